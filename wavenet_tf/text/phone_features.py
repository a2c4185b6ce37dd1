"""Linguistic features of phones, computed on arrays: with numpy, or in a graph of TensorFlow."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from wavenet_tf.text.phonetics import SILENCES, articulation, may_precede

CONTEXT = 2  # phones before and after the current one (quinphone)
STRESSES = (0, 1, 2)
# Inputs of `phone_features`.
ENCODED = PHONES, STRESS, WORDS, QUESTION = "phones", "stress", "words", "question"


class PhoneTable(NamedTuple):
    """What a phone set says about each of its phones.

    Attributes:
        articulations: see `phonetics.Articulation`, float32 `[phones, 8]`.
        silent: whether a phone is silence, bool `[phones]`.
        may_precede: whether a phone (row) may stand before another one (column) at the start of a
            syllable, bool `[phones, phones]`.
    """

    articulations: np.ndarray
    silent: np.ndarray
    may_precede: np.ndarray

    @classmethod
    @functools.lru_cache
    def of(cls, phone_set: tuple[str, ...]) -> "PhoneTable":
        """Returns the table of a phone set."""
        return cls(
            np.array([articulation(label) for label in phone_set], np.float32),
            np.array([label in SILENCES for label in phone_set]),
            np.array([[may_precede(one, other) for other in phone_set] for one in phone_set]),
        )


class _Structure(NamedTuple):
    """The units of an utterance that each phone is in; -1 for silence.

    Each is an int array `[phones]`: index of the syllable, the word and the phrase in the
    utterance.
    """

    syllable: Any
    word: Any
    phrase: Any


def phone_features(encoded: Mapping[str, Any], phone_set: Sequence[str], arrays: Any = np):
    """Returns the features of each phone of an utterance, float32 `[phones, features]`.

    Args:
        encoded: int arrays `[phones]`: `phones`, indices in the phone set; `stress`, from 0 to 2,
            or -1 for none; `words`, index of the word in the utterance, or -1 for silence; and
            `question`, 1 in questions.
        phone_set: labels of all phones.
        arrays: module of the functions on arrays: `numpy`, or `tf.experimental.numpy` in graphs.

    Example: of the word "hi" between silences.
    >>> encoded = {"phones": [2, 1, 0, 2], "stress": [-1, -1, 1, -1], "words": [-1, 0, 0, -1],
    ...            "question": [0, 0, 0, 0]}
    >>> phone_features(encoded, ("AY", "HH", "sil")).shape
    (4, 42)
    """
    as_int = functools.partial(arrays.asarray, dtype=arrays.int32)
    as_float = functools.partial(arrays.asarray, dtype=arrays.float32)
    table = PhoneTable.of(tuple(phone_set))
    phones, stress, words, question = (as_int(encoded[name]) for name in ENCODED)
    words = arrays.where(arrays.take(table.silent, phones, axis=0), as_int(-1), words)
    structure = _structure(phones, words, table, arrays)
    silence = arrays.zeros([CONTEXT, len(phone_set)], arrays.float32)
    one_hot = arrays.take(np.eye(len(phone_set), dtype=np.float32), phones, axis=0)
    padded = arrays.concatenate([silence, one_hot, silence], axis=0)
    end = -2 * CONTEXT
    quinphone = [padded[k : (end + k) or None] for k in range(2 * CONTEXT + 1)]
    last = arrays.max(structure.phrase)
    flags = [(structure.phrase == last) & (structure.phrase >= 0), question > 0]
    columns = [
        *quinphone,
        arrays.take(table.articulations, phones, axis=0),
        *_stresses(stress, structure, arrays),
        *_positions(structure, arrays),
        *(flag[:, None] for flag in flags),
    ]
    return arrays.concatenate([as_float(column) for column in columns], axis=1)


def _structure(phones, words, table: PhoneTable, arrays: Any) -> _Structure:
    """Returns the syllables, words and phrases of phones.

    A syllable begins with the longest run of consonants before its vowel that may stand there
    (maximal onset principle). Phrases are separated by silence.
    """
    spoken = words >= 0
    index = arrays.cumsum(arrays.ones_like(phones)) - 1
    word_starts = spoken & (words != _before(words, -1, arrays))
    word = _count(word_starts, arrays) - 1
    phrase = _count(word_starts & (_before(words, -1, arrays) < 0) & (word > 0), arrays)

    vowel = spoken & (arrays.take(table.articulations[:, 0], phones, axis=0) > 0)
    vowel_in_word = _equal(word) & spoken[:, None] & vowel
    nothing = arrays.max(index) + 1
    following = arrays.concatenate([phones[1:], phones[-1:]], axis=0)
    pairs = phones * len(table.silent) + following
    attached = arrays.take(table.may_precede.reshape(-1), pairs, axis=0)
    first_vowel = arrays.min(arrays.where(vowel_in_word, index, nothing), axis=1)
    reached = vowel_in_word & (index >= index[:, None])
    next_vowel = arrays.min(arrays.where(reached, index, nothing), axis=1)
    between = (index >= index[:, None]) & (index < next_vowel[:, None])
    onset = (next_vowel < nothing) & ~arrays.any(between & ~attached, axis=1)
    continued = _before(onset, False, arrays) & (_before(next_vowel, -1, arrays) == next_vowel)
    syllable_starts = word_starts | (onset & (next_vowel > first_vowel) & ~continued)
    syllable = _count(spoken & syllable_starts, arrays) - 1
    return _Structure(*(arrays.where(spoken, unit, -1) for unit in (syllable, word, phrase)))


def _stresses(stress, structure: _Structure, arrays: Any) -> list:
    """Returns the stress of the previous, the current and the next syllable, `[phones, 3]` each."""
    index = arrays.cumsum(arrays.ones_like(stress)) - 1
    spoken, stressed = structure.syllable >= 0, (structure.syllable >= 0) & (stress >= 0)
    levels = []
    for shift in (-1, 0, 1):
        beside = structure.syllable[:, None] + shift == structure.syllable
        last = arrays.max(arrays.where(beside & stressed, index, -1), axis=1)
        known = spoken & (last >= 0)
        level = arrays.take(stress, arrays.maximum(last, 0), axis=0)
        level = arrays.where(known, level, -1)
        levels.append(level[:, None] == arrays.asarray(STRESSES, dtype=arrays.int32))
    return levels


def _positions(structure: _Structure, arrays: Any) -> list:
    """Returns the positions of phone, syllable, word and phrase, `[phones, 1]` each."""
    phone = arrays.cumsum(arrays.ones_like(structure.phrase)) - 1
    utterance = arrays.where(structure.phrase >= 0, 0, -1)
    as_float = functools.partial(arrays.asarray, dtype=arrays.float32)
    positions = []
    for inner, outer in (
        (phone, structure.syllable),
        (structure.syllable, structure.word),
        (structure.word, structure.phrase),
        (structure.phrase, utterance),
    ):
        inside = _equal(outer)
        first = arrays.min(arrays.where(inside, inner, arrays.max(inner)), axis=1)
        last = arrays.max(arrays.where(inside, inner, -1), axis=1)
        for distance in (inner - first, last - inner):
            position = 1.0 / (1.0 + as_float(distance))
            positions.append(arrays.where(outer >= 0, position, as_float(0.0))[:, None])
    return positions


def _equal(unit):
    """Returns whether phones are in the same unit, bool `[phones, phones]`."""
    return unit[:, None] == unit


def _count(flags, arrays: Any):
    """Returns how many flags are set up to each phone."""
    return arrays.cumsum(arrays.asarray(flags, dtype=arrays.int32))


def _before(values, first, arrays: Any):
    """Returns the value of the phone before each phone."""
    return arrays.concatenate([arrays.full_like(values[:1], first), values[:-1]], axis=0)
