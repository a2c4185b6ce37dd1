"""Words as phones with stress, which every front end returns."""

import dataclasses
import enum
import re
from collections.abc import Iterable
from typing import NamedTuple

from wavenet_tf.errors import InputError

# A name with a letter in it, and the digit of the stress.
_PHONE = re.compile(r"(\D*[^\W\d_]\D*)([0-2]?)")


class Phone(NamedTuple):
    """A phone.

    Attributes:
        label: name of the phone, without stress, such as "AH" in ARPAbet.
        stress: of a vowel, 0 for none, 1 for primary and 2 for secondary; None for other phones.
    """

    label: str
    stress: int | None = None


class Break(enum.IntEnum):
    """What follows a word: another word, a pause within a sentence, or the sentence's end."""

    NONE = 0
    PHRASE = 1
    SENTENCE = 2


@dataclasses.dataclass(frozen=True)
class Word:
    """A word as it is spoken.

    Attributes:
        text: the word as it is written, spelt out.
        phones: its phones.
        following: what follows it.
        question: whether it is in a sentence that ends with a question mark.
    """

    text: str
    phones: tuple[Phone, ...]
    following: Break = Break.NONE
    question: bool = False


def parse_phones(text: str) -> tuple[Phone, ...]:
    """Returns phones in ARPAbet, as pronunciation dictionaries write them, or in IPA.

    Args:
        text: phones separated by spaces, vowels with a digit for their stress.

    Raises:
        InputError: for text that is no phone.

    Example:
    >>> parse_phones("HH AH0 L OW1")[1:]
    (Phone(label='AH', stress=0), Phone(label='L', stress=None), Phone(label='OW', stress=1))
    >>> parse_phones("oʊ1")
    (Phone(label='oʊ', stress=1),)
    """
    phones = []
    for part in text.split():
        match = _PHONE.fullmatch(part)
        if match is None:
            raise InputError(f"phones must be like HH AH0 L OW1; received {part!r} in {text!r}")
        phones.append(Phone(match[1], int(match[2]) if match[2] else None))
    return tuple(phones)


def format_phones(phones: Iterable[Phone]) -> str:
    """Returns phones as text, vowels with a digit for their stress.

    Args:
        phones: of a word, or several.

    Example:
    >>> format_phones(parse_phones("HH AH0 L OW1"))
    'HH AH0 L OW1'
    """
    return " ".join(
        phone.label + ("" if phone.stress is None else str(phone.stress)) for phone in phones
    )
