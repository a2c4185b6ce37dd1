"""The foldings of TIMIT's phones."""

import dataclasses

import numpy as np
import pytest

from wavenet_tf import data
from wavenet_tf.data.phone_folding import PHONE_CLASSES, SCORED_AS, fold_segments
from wavenet_tf.errors import InputError


def test_61_phones_are_48_classes_and_39():
    for name, classes in (("timit48", 48), ("timit39", 39)):
        assert len(PHONE_CLASSES[name]) == 61
        assert len(set(PHONE_CLASSES[name].values()) - {None}) == classes
    for phone, label in PHONE_CLASSES["timit48"].items():
        assert PHONE_CLASSES["timit39"][phone] == (label and SCORED_AS[label])


def test_the_time_of_the_glottal_stop_goes_to_its_neighbors():
    segments = [(0, 2, "q"), (2, 3, "q"), (3, 4, "aa"), (4, 6, "q"), (6, 7, "ao"), (7, 9, "q")]
    assert fold_segments(segments, "timit48", "x") == [(0, 5.0, "aa"), (5.0, 8.0, "ao")]
    assert fold_segments(segments, "timit39", "x") == [(0, 8.0, "aa")]
    assert fold_segments([(0, 1, "q")], "timit48", "x") == []


def test_equal_neighbors_become_one_segment_and_gaps_stay():
    segments = [(0, 1, "h#"), (1, 2, "pau"), (2, 3, "bcl"), (4, 5, "dcl")]
    assert fold_segments(segments, "timit48", "x") == [(0, 2, "sil"), (2, 3, "vcl"), (4, 5, "vcl")]


def test_other_labels_are_named():
    clip = data.Clip("a.wav", alignment={"phones": [(0.25, 1.0, "AH0")]})
    recordings = data.Recordings(None, ["a.wav"], [], np.zeros(1), 8000, metadata=[clip])
    with pytest.raises(InputError, match=r"a\.wav: 'AH0' at 0\.250 s is no phone of TIMIT"):
        data.fold_alignments(recordings, "phones", "timit48")
    with pytest.raises(InputError, match="unknown folding 'timit61': expected one of timit48"):
        data.fold_alignments(recordings, "phones", "timit61")
    untouched = dataclasses.replace(clip, alignment={"words": [(0.0, 1.0, "AH0")]})
    recordings = dataclasses.replace(recordings, metadata=[untouched])
    assert data.fold_alignments(recordings, "phones", "timit48").metadata == [untouched]


def test_stress_is_left_out():
    segments = [(0, 1, "sil"), (1, 2, "AH0"), (2, 3, "AH1"), (3, 4, "T"), (4, 5, "o\u028a2")]
    folded = [(0, 1, "sil"), (1, 2, "AH"), (2, 3, "AH"), (3, 4, "T"), (4, 5, "o\u028a")]
    assert fold_segments(segments, "unstressed", "x") == folded
    with pytest.raises(InputError, match="received '7'"):
        fold_segments([(0, 1, "7")], "unstressed", "x")
