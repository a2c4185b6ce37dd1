"""Alignments of synthetic speech: phones, stress and words from the events of espeak-ng."""

import dataclasses
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import soxr

from wavenet_tf.errors import InputError
from wavenet_tf.text import espeak
from wavenet_tf.text.phonetics import SILENCE, articulation

# A longer pause at the end is shortened to this.
END_PAUSE_SECONDS = 0.2
# espeak-ng synthesizes the "l" of "feel" as the end of the vowel, and reports no duration of it. It
# takes this much of the vowel: the middle of the transition of the second formant is 60 to 80 ms
# before the end, in eleven words at 160 words per minute.
MERGED_SECONDS = 0.065
# Stress by the mark in front of a phone; a vowel without one is unstressed, other phones have none.
STRESS = {"\u02c8": "1", "\u02cc": "2"}
UNSTRESSED, NO_STRESS = "0", "-"

_FULL_SCALE = 2**15
_WORD = re.compile(r"\S*\w\S*")
_PUNCTUATION = re.compile(r"^\W+|\W+$")


@dataclasses.dataclass(frozen=True)
class Speech:
    """A spoken text.

    Attributes:
        audio: float32 [samples], in [-1, 1).
        seconds: duration of the audio.
        alignment: segments by kind, "phones", "stress" and "words"; those of each kind cover the
            audio.
    """

    audio: np.ndarray
    seconds: float
    alignment: dict[str, list[tuple[float, float, str]]]


class _Start(NamedTuple):
    """The first sample of a phone, and the index of the word that the phone belongs to."""

    sample: int
    phone: str
    word: int


@dataclasses.dataclass(frozen=True)
class _Phone:
    """A phone between two samples, and the index of its word; the label of a pause is ""."""

    start: int
    end: int
    label: str
    word: int


def align(
    text: str,
    audio: np.ndarray,
    events: Sequence[espeak.Event],
    synthesizer_rate: int,
    sample_rate: int,
) -> Speech:
    """Returns a spoken text with its alignment.

    Digital silence in front of a phone is its closure. A vowel after a liquid or nasal in the same
    word starts late, by up to its transition, as espeak-ng reports its start after it.

    Args:
        text: what is spoken.
        audio: what espeak-ng synthesized, int16 `[samples]`.
        events: the starts of phones and words in it.
        synthesizer_rate: sample rate of `audio` in Hz.
        sample_rate: sample rate of the result in Hz.

    Raises:
        InputError: if the text has no phones.
    """
    words = list(_WORD.finditer(text))
    phones = _phones(audio, events, [word.start() for word in words], synthesizer_rate)
    if not (words and any(phone.label for phone in phones)):
        raise InputError(f"espeak-ng finds nothing to speak in the text {text!r}")
    if not phones[-1].label:
        end = phones[-1].start + round(END_PAUSE_SECONDS * synthesizer_rate)
        phones[-1] = dataclasses.replace(phones[-1], end=min(end, phones[-1].end))
    audio = audio[: phones[-1].end] / np.float32(_FULL_SCALE)
    audio = soxr.resample(audio, synthesizer_rate, sample_rate)
    audio *= min(1.0, (_FULL_SCALE - 1) / _FULL_SCALE / np.max(np.abs(audio)))
    phones = _rescale(phones, len(audio))
    alignment = {
        "phones": [(p.start, p.end, p.label.lstrip("".join(STRESS))) for p in phones],
        "stress": [(p.start, p.end, stress(p.label)) for p in phones],
        "words": list(_words(phones, [word[0] for word in words])),
    }
    in_seconds = {
        kind: [
            (start / sample_rate, end / sample_rate, label or SILENCE)
            for start, end, label in segments
        ]
        for kind, segments in alignment.items()
    }
    return Speech(audio, len(audio) / sample_rate, in_seconds)


def stress(phone: str) -> str:
    r"""Returns the stress of a vowel, "-" for another phone and "" for a pause.

    Args:
        phone: IPA with stress mark; "" is a pause.

    Example:
    >>> [stress(phone) for phone in ("\u02c8o", "\u02cca", "a", "t", "")]
    ['1', '2', '0', '-', '']
    """
    if not phone:
        return ""
    syllable = articulation(phone.lstrip("".join(STRESS))).vowel
    return STRESS.get(phone[0], UNSTRESSED if syllable else NO_STRESS)


def _phones(
    audio: np.ndarray,
    events: Sequence[espeak.Event],
    word_positions: Sequence[int],
    sample_rate: int,
) -> list[_Phone]:
    """Returns phones that cover the audio, without phones that have no duration.

    Args:
        audio: int16 `[samples]`.
        events: the starts of phones and words in it.
        word_positions: the index of the first character of each word in the text.
        sample_rate: sample rate in Hz.
    """
    starts = [_Start(0, "", 0)]  # a pause, of no duration unless the audio starts with one
    word = 0
    for before, event, after in zip([None, *events], events, [*events[1:], None], strict=False):
        if event.type == espeak.WORD:
            found = int(np.searchsorted(word_positions, event.position, side="right")) - 1
            word = max(word, found)
            continue
        if not event.phone and after and after.phone:
            continue  # a glide in a word has no label, as a pause; the phone before it goes on
        last = starts[-1]
        sample = _end_of_sound(audio, last.sample, event.sample)
        if event.phone and before and before.type == espeak.WORD:
            # The event of a word comes before the closure of its first phone. It also comes before
            # a nasal that precedes it, and is then at the same sample as the event of the nasal.
            if before.sample > last.sample or not last.phone:
                sample = before.sample
        elif event.phone == "l" and after and not audio[event.sample : after.sample].any():
            merged = event.sample - round(MERGED_SECONDS * sample_rate)
            sample = max(merged, (last.sample + event.sample) // 2)
        starts.append(_Start(sample, event.phone, word))
    phones: list[_Phone] = []
    for start, following in itertools.pairwise([*starts, _Start(len(audio), "", 0)]):
        if phones and not start.phone and not phones[-1].label:
            phones[-1] = dataclasses.replace(phones[-1], end=following.sample)
        elif following.sample > start.sample:
            phones.append(_Phone(start.sample, following.sample, start.phone, start.word))
    return phones


def _end_of_sound(audio: np.ndarray, start: int, end: int) -> int:
    """Returns where the digital silence at the end of a segment starts: `end` if all is silent."""
    sound = np.flatnonzero(audio[start:end])
    return start + int(sound[-1]) + 1 if sound.size else end


def _rescale(phones: Sequence[_Phone], num_samples: int) -> list[_Phone]:
    """Returns phones at another sample rate, of audio with `num_samples` samples."""
    scale = num_samples / phones[-1].end
    scaled = [(round(phone.start * scale), round(phone.end * scale)) for phone in phones]
    return [
        dataclasses.replace(phone, start=start, end=end)
        for phone, (start, end) in zip(phones, scaled, strict=True)
        if end > start
    ]


def _words(phones: Sequence[_Phone], words: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yields segments of words and of the pauses between them.

    Words that espeak-ng speaks as one, such as a number and its unit, are one segment.
    """
    spoken = [
        (index, list(group))
        for index, group in itertools.groupby(
            (phone for phone in phones if phone.label), lambda phone: phone.word
        )
    ]
    time = 0
    firsts = [0, *(index for index, _ in spoken[1:]), len(words)]
    for (first, last), (_, group) in zip(itertools.pairwise(firsts), spoken, strict=True):
        if group[0].start > time:
            yield time, group[0].start, ""
        time = group[-1].end
        label = " ".join(_PUNCTUATION.sub("", word) for word in words[first:last])
        yield group[0].start, time, label.lower()
    if phones[-1].end > time:
        yield time, phones[-1].end, ""
