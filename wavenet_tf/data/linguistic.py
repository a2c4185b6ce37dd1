"""The condition source of linguistic features, from the alignments of recordings."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from wavenet_tf.conditioning import LOCAL_CONDITIONING
from wavenet_tf.data.alignments import Segment, without_gaps
from wavenet_tf.data.condition_source import FrameSource
from wavenet_tf.data.recordings import Recordings
from wavenet_tf.errors import InputError
from wavenet_tf.text import LinguisticFeatures, SpokenPhone, phones_of_alignment
from wavenet_tf.text.phonetics import SILENCE


@dataclasses.dataclass(frozen=True)
class LinguisticSource(FrameSource):
    """Linguistic features of the phones that are spoken, frame by frame.

    A recording needs an alignment "phones"; "words" and "stress" add to it, see
    `text.phones_of_alignment`. Time without a phone is silence. A recording whose text ends with a
    question mark is a question.

    Args:
        phone_set: labels of all phones without stress, "sil" included, see `find_phone_set`.
        hop_length: samples per frame.
        name: name of the model input.

    Example:
    >>> from pathlib import Path
    >>> from wavenet_tf.data.manifest import Clip
    >>> clip = Clip("1.wav", alignment={"phones": [(0.0, 0.02, "HH"), (0.02, 0.045, "AY1")]})
    >>> recordings = Recordings(Path(), ["1.wav"], [], np.array([400]), 8000, metadata=[clip])
    >>> source = LinguisticSource(find_phone_set(recordings), hop_length=40)
    >>> source.clip_value(recordings, 0).shape == (10, *source.shape)
    True
    """

    phone_set: Sequence[str]
    hop_length: int
    name: str = LOCAL_CONDITIONING

    @property
    def features(self) -> LinguisticFeatures:
        """What computes the features, and names them."""
        return LinguisticFeatures(self.phone_set)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.features.frame_names),)

    def check(self, recordings: Recordings) -> None:
        for index, name in enumerate(recordings.names):
            try:
                self.features.check(self.spoken_phones(recordings, index))
            except InputError as error:
                raise InputError(f"{name}: {error}") from error

    def clip_value(self, recordings: Recordings, index: int) -> np.ndarray:
        of_phones, durations = self.phones_and_durations(recordings, index)
        frame_seconds = self.hop_length / recordings.sample_rate
        return self.features.of_frames(of_phones, durations, frame_seconds)

    def spoken_phones(self, recordings: Recordings, index: int) -> list[SpokenPhone]:
        """Returns the phones of a clip, with silence where it has no phone.

        Args:
            recordings: the clips.
            index: index of the clip.

        Raises:
            InputError: for a clip without phones.
        """
        question = (recordings.texts[index] or "").rstrip().endswith("?")
        return phones_of_alignment(_covering_alignment(recordings, index), question)

    def phones_and_durations(
        self, recordings: Recordings, index: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns linguistic features of the phones of a clip, and the frames of each phone.

        Args:
            recordings: the clips.
            index: index of the clip.

        Returns:
            float32 `[phones, features]` and int `[phones]`, whose sum is the frames of the clip.
        """
        alignment = _covering_alignment(recordings, index)
        of_phones = self.features.of_phones(self.spoken_phones(recordings, index))
        frame_seconds = self.hop_length / recordings.sample_rate
        starts = [start for start, *_ in alignment["phones"][1:]]
        num_frames = -(-int(recordings.lengths[index]) // self.hop_length)
        boundaries = np.clip(np.round(np.array(starts) / frame_seconds), 0, num_frames).astype(int)
        return of_phones, np.diff(boundaries, prepend=0, append=num_frames)


def find_phone_set(recordings: Recordings) -> tuple[str, ...]:
    """Returns the labels of all phones in the alignments of recordings, sorted; without stress.

    Args:
        recordings: the clips.

    Raises:
        InputError: if a recording has no alignment "phones".
    """
    found = {SILENCE}
    for index, name in enumerate(recordings.names):
        try:
            phones = phones_of_alignment(_covering_alignment(recordings, index))
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        found |= {phone.label for phone in phones}
    return tuple(sorted(found))


def _covering_alignment(recordings: Recordings, index: int) -> dict[str, list[Segment]]:
    """Returns the alignment of a clip, in which phones cover the clip."""
    alignment = dict(recordings.alignments[index]) if len(recordings.metadata) else {}
    if alignment.get("phones"):
        seconds = int(recordings.lengths[index]) / recordings.sample_rate
        alignment["phones"] = list(without_gaps(alignment["phones"], seconds))
    return alignment
