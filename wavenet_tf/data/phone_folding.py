"""Foldings of phones into fewer classes.

"unstressed" leaves the stress of vowels out: AH0 and AH1 are AH. "timit48" and "timit39" are those
of TIMIT's 61 phones by Lee and Hon (1989), 48 classes for training and 39 for scoring, which the
literature compares error rates by.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from wavenet_tf.data.recordings import Recordings
from wavenet_tf.errors import InputError
from wavenet_tf.options import FOLDINGS
from wavenet_tf.text import parse_phones

UNSTRESSED = "unstressed"

# Phone, class for training, class for scoring. The glottal stop q has none.
_TABLE = """
aa aa aa|ae ae ae|ah ah ah|ao ao aa|aw aw aw|ax ax ah|ax-h ax ah|axr er er|ay ay ay|b b b
bcl vcl sil|ch ch ch|d d d|dcl vcl sil|dh dh dh|dx dx dx|eh eh eh|el el l|em m m|en en n
eng ng ng|epi epi sil|er er er|ey ey ey|f f f|g g g|gcl vcl sil|h# sil sil|hh hh hh|hv hh hh
ih ih ih|ix ix ih|iy iy iy|jh jh jh|k k k|kcl cl sil|l l l|m m m|n n n|ng ng ng|nx n n|ow ow ow
oy oy oy|p p p|pau sil sil|pcl cl sil|q - -|r r r|s s s|sh sh sh|t t t|tcl cl sil|th th th
uh uh uh|uw uw uw|ux uw uw|v v v|w w w|y y y|z z z|zh zh sh
"""
_ROWS = [entry.split() for entry in _TABLE.replace("\n", "|").split("|") if entry]
# The class of each phone by the name of a folding; None for a phone that is left out.
PHONE_CLASSES: Mapping[str, Mapping[str, str | None]] = {
    name: {row[0]: None if row[column] == "-" else row[column] for row in _ROWS}
    for column, name in enumerate(("timit48", "timit39"), 1)
}
# The class of "timit39" that each class of "timit48" is scored as.
SCORED_AS = {row[1]: row[2] for row in _ROWS if row[1] != "-"}


def scored_classes(folding: str | None) -> Mapping[str, str] | None:
    """Returns the class that each class is scored as; None scores classes as they are.

    Args:
        folding: name of the folding that a model is trained with.
    """
    return SCORED_AS if folding in PHONE_CLASSES else None


def fold_segments(
    segments: Sequence[tuple[float, float, str]], folding: str, where: str
) -> list[tuple[float, float, str]]:
    """Returns segments with the classes of their phones.

    The time of a phone of TIMIT without a class goes to its neighbors, half to each, and neighbors
    of the same class are one segment.

    Args:
        segments: start and end in seconds, and phone, of each.
        folding: name of the folding, of `options.FOLDINGS`.
        where: name of the recording, for the error.

    Raises:
        InputError: for a label that is no phone, or none of TIMIT's.

    Example:
    >>> fold_segments([(0, 1, "tcl"), (1, 2, "t"), (2, 4, "q"), (4, 5, "ix")], "timit39", "1.wav")
    [(0, 1, 'sil'), (1, 3.0, 't'), (3.0, 5, 'ih')]
    """
    if folding == UNSTRESSED:
        return [(start, end, parse_phones(phone)[0].label) for start, end, phone in segments]
    classes = PHONE_CLASSES[folding]
    folded: list[tuple[float, float, str]] = []
    start_of_next = None
    for start, end, phone in segments:
        if phone not in classes:
            raise InputError(f"{where}: {phone!r} at {start:.3f} s is no phone of TIMIT")
        label = classes[phone]
        if label is None:
            if folded:
                start_of_next = (start + end) / 2
                folded[-1] = (folded[-1][0], start_of_next, folded[-1][2])
            elif start_of_next is None:
                start_of_next = start
            continue
        start = start if start_of_next is None else start_of_next
        start_of_next = None
        if folded and folded[-1][2] == label and folded[-1][1] == start:
            folded[-1] = (folded[-1][0], end, label)
        else:
            folded.append((start, end, label))
    return folded


def fold_alignments(recordings: Recordings, alignment: str, folding: str) -> Recordings:
    """Returns recordings whose alignment holds the classes of a folding.

    Args:
        recordings: the clips.
        alignment: which of a clip's alignments, such as "phones".
        folding: name of the folding, of `options.FOLDINGS`.

    Raises:
        InputError: for an unknown folding, or as `fold_segments` raises it.
    """
    if folding not in FOLDINGS:
        raise InputError(f"unknown folding {folding!r}: expected one of {', '.join(FOLDINGS)}")
    clips = []
    for clip in recordings.metadata:
        segments = clip.alignment.get(alignment)
        if segments is not None:
            folded = fold_segments(segments, folding, clip.name)
            clip = dataclasses.replace(clip, alignment={**clip.alignment, alignment: folded})
        clips.append(clip)
    return dataclasses.replace(recordings, metadata=clips)
