"""Linguistic features of phones and of frames: what a text says about each moment of its speech."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from wavenet_tf.errors import InputError
from wavenet_tf.text.phone_features import (
    CONTEXT,
    PHONES,
    QUESTION,
    STRESS,
    STRESSES,
    WORDS,
    phone_features,
)
from wavenet_tf.text.phonetics import SILENCE, SILENCES, Articulation
from wavenet_tf.text.words import Break, Word

# Widths of the three Gaussians that code the position in a phone coarsely (Zen et al. 2013).
COARSE_CENTERS, COARSE_WIDTH = (0.0, 0.5, 1.0), 0.4


class SpokenPhone(NamedTuple):
    """A phone of an utterance.

    Attributes:
        label: name of the phone, without stress; "sil" for silence.
        stress: of a vowel, 0, 1 or 2; None for other phones and where it is not known.
        word: index of its word in the utterance; None for silence.
        question: whether it is in a question.
    """

    label: str
    stress: int | None = None
    word: int | None = None
    question: bool = False


def spoken_phones(words: Sequence[Word]) -> list[SpokenPhone]:
    """Returns the phones of words, with silence at both ends and at breaks.

    Args:
        words: of one sentence or several.

    Example:
    >>> from wavenet_tf.text.words import parse_phones
    >>> [phone.label for phone in spoken_phones([Word("hi", parse_phones("HH AY1"))])]
    ['sil', 'HH', 'AY', 'sil']
    """
    phones = [SpokenPhone(SILENCE)]
    for index, word in enumerate(words):
        phones += [SpokenPhone(*phone, index, word.question) for phone in word.phones]
        if word.following != Break.NONE or index == len(words) - 1:
            phones.append(SpokenPhone(SILENCE))
    return phones


def phones_of_alignment(
    alignment: Mapping[str, Sequence[tuple[float, float, str]]], question: bool = False
) -> list[SpokenPhone]:
    """Returns the phones of an aligned recording, one for each segment of its "phones".

    The word of a phone is the segment of "words" around its center; without words, phones between
    silences are one. The stress of a vowel is its digit, as in "AH0", or that in "stress" at
    its center.

    Args:
        alignment: start and end in seconds, and label, of the segments, by kind.
        question: whether the recording is of a question.

    Raises:
        InputError: for an alignment without phones.

    Example:
    >>> phones = [(0.0, 0.1, "sil"), (0.1, 0.2, "HH"), (0.2, 0.4, "AY1")]
    >>> phones_of_alignment({"phones": phones})[2]
    SpokenPhone(label='AY', stress=1, word=0, question=False)
    """
    segments = alignment.get("phones", ())
    if not segments:
        raise InputError(f"an alignment needs phones; received {', '.join(alignment) or 'nothing'}")
    spoken: list[SpokenPhone] = []
    word = -1
    for start, end, label in segments:
        if label in SILENCES:
            spoken.append(SpokenPhone(SILENCE))
            continue
        center = (start + end) / 2
        if "words" in alignment:
            word = _segment_at(alignment["words"], center)
        elif not spoken or spoken[-1].word is None:
            word += 1
        level = label[-1:] if label[-1:].isdigit() else ""
        name = label.removesuffix(level)
        if not level and "stress" in alignment:
            level = alignment["stress"][_segment_at(alignment["stress"], center)][2]
        stress = int(level) if level.isdigit() else None
        spoken.append(SpokenPhone(name, stress, word, question))
    return spoken


def _segment_at(segments: Sequence[tuple[float, float, str]], time: float) -> int:
    """Returns the index of the last segment that starts before a time."""
    return max(0, int(np.searchsorted([start for start, *_ in segments], time, "right")) - 1)


@dataclasses.dataclass(frozen=True)
class LinguisticFeatures:
    """Computes features of the phones of utterances, and of frames.

    A phone has: itself, two phones before and two after it (one-hot); its articulation; the stress
    of its syllable and of the syllables beside it (one-hot); the positions of phone, syllable,
    word and phrase, forwards and backwards, as `1 / (1 + n)`; whether its phrase ends the
    utterance; and whether it is in a question. Syllables follow from the maximal onset principle,
    phrases are separated by silence.

    A frame has those of its phone; the log durations of this phone and of those beside it; and its
    position in the phone: the fraction, and three Gaussians (coarse coding).

    Args:
        phone_set: labels of all phones, "sil" included, in the order of the one-hot vectors.

    Example:
    >>> features = LinguisticFeatures(("AY", "HH", "sil"))
    >>> phones = [SpokenPhone("sil"), SpokenPhone("HH", None, 0), SpokenPhone("AY", 1, 0)]
    >>> of_phones = features.of_phones(phones)
    >>> of_phones.shape == (3, len(features.phone_names))
    True
    >>> features.of_frames(of_phones, [2, 1, 3], frame_seconds=0.005).shape[0]
    6
    """

    phone_set: Sequence[str]

    @property
    def phone_names(self) -> list[str]:
        """The name of each feature of a phone."""
        places = range(-CONTEXT, CONTEXT + 1)
        names = [f"phone {place:+d} is {label}" for place in places for label in self.phone_set]
        names += [f"articulation {name}" for name in Articulation._fields]
        sides = ("previous", "current", "next")
        names += [f"stress of {side} syllable is {level}" for side in sides for level in STRESSES]
        units = ("phone in syllable", "syllable in word", "word in phrase", "phrase in utterance")
        names += [f"{unit}, {way}" for unit in units for way in ("forwards", "backwards")]
        return [*names, "last phrase", "question"]

    @property
    def frame_names(self) -> list[str]:
        """The name of each feature of a frame."""
        durations = [f"log seconds of {side} phone" for side in ("previous", "current", "next")]
        gaussians = [f"position in phone near {center:g}" for center in COARSE_CENTERS]
        return [*self.phone_names, *durations, "position in phone", *gaussians]

    def check(self, phones: Sequence[SpokenPhone]) -> None:
        """Raises InputError for a phone that is not in the phone set.

        Args:
            phones: of an utterance.
        """
        for phone in phones:
            if phone.label not in self.phone_set:
                raise InputError(
                    f"phones must be of the set {', '.join(self.phone_set)}; received "
                    f"{phone.label!r}"
                )

    def of_phones(self, phones: Sequence[SpokenPhone]) -> np.ndarray:
        """Returns the features of each phone of an utterance, float32 `[phones, features]`.

        Args:
            phones: of the utterance.

        Raises:
            InputError: for a phone that is not in the phone set.
        """
        return phone_features(self.encode(phones), self.phone_set)

    def encode(self, phones: Sequence[SpokenPhone]) -> dict[str, np.ndarray]:
        """Returns the phones of an utterance as numbers, see `phone_features`.

        Args:
            phones: of the utterance.

        Raises:
            InputError: for a phone that is not in the phone set.
        """
        self.check(phones)
        indices = {label: index for index, label in enumerate(self.phone_set)}
        numbers = {
            PHONES: [indices[phone.label] for phone in phones],
            STRESS: [-1 if phone.stress is None else phone.stress for phone in phones],
            WORDS: [-1 if phone.word is None else phone.word for phone in phones],
            QUESTION: [phone.question for phone in phones],
        }
        return {name: np.array(values, np.int32) for name, values in numbers.items()}

    def of_frames(
        self, of_phones: np.ndarray, durations: Sequence[int] | np.ndarray, frame_seconds: float
    ) -> np.ndarray:
        """Returns the features of each frame, float32 `[frames, features]`.

        Args:
            of_phones: features of the phones, see `of_phones`.
            durations: frames of each phone; 0 for one that is shorter than half a frame.
            frame_seconds: duration of a frame.

        Raises:
            InputError: for durations below 0, or another number of them.
        """
        frames = np.asarray(durations)
        if frames.shape != (len(of_phones),) or (len(frames) and frames.min() < 0):
            raise InputError(
                f"durations must be {len(of_phones)} numbers of frames, at least 0; received "
                f"{list(durations)}"
            )
        phone_of_frame = np.repeat(np.arange(len(frames)), frames)
        return expand_to_frames(of_phones, frames, phone_of_frame, frame_seconds)


def expand_to_frames(of_phones, durations, phone_of_frame, frame_seconds: float, arrays: Any = np):
    """Returns the features of each frame, float32 `[frames, features]`.

    Args:
        of_phones: float32 `[phones, features]`.
        durations: frames of each phone, int `[phones]`.
        phone_of_frame: index of the phone of each frame, int `[frames]`.
        frame_seconds: duration of a frame.
        arrays: module of the functions on arrays: `numpy`, or `tf.experimental.numpy` in graphs.
    """
    as_float = functools.partial(arrays.asarray, dtype=arrays.float32)
    durations = arrays.asarray(durations, dtype=arrays.int64)
    phone_of_frame = arrays.asarray(phone_of_frame, dtype=arrays.int64)
    logs = arrays.log(as_float(arrays.maximum(durations, 1)) * as_float(frame_seconds))
    before = arrays.concatenate([logs[:1], logs[:-1]], axis=0)
    after = arrays.concatenate([logs[1:], logs[-1:]], axis=0)
    beside = arrays.stack([before, logs, after], axis=1)
    of_phones = arrays.concatenate([as_float(of_phones), beside], axis=1)
    starts = arrays.cumsum(durations) - durations
    of_frame = functools.partial(arrays.take, indices=phone_of_frame, axis=0)
    places = arrays.cumsum(arrays.ones_like(phone_of_frame)) - 1 - of_frame(starts)
    lengths = of_frame(durations)
    fractions = (as_float(places) + as_float(0.5)) / as_float(lengths)
    distances = fractions[:, None] - as_float(COARSE_CENTERS)
    gaussians = arrays.exp(as_float(-0.5 / COARSE_WIDTH**2) * distances * distances)
    return arrays.concatenate([of_frame(of_phones), fractions[:, None], gaussians], axis=1)
