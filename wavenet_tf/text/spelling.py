"""English text as words in letters: numbers and abbreviations are spelt out."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from wavenet_tf.errors import InputError
from wavenet_tf.text.words import Break

ABBREVIATIONS = {
    "mr.": "mister",
    "mrs.": "missus",
    "ms.": "miz",
    "dr.": "doctor",
    "prof.": "professor",
    "st.": "saint",
    "jr.": "junior",
    "sr.": "senior",
    "vs.": "versus",
    "etc.": "et cetera",
    "e.g.": "for example",
    "i.e.": "that is",
    "capt.": "captain",
    "col.": "colonel",
    "gen.": "general",
    "lt.": "lieutenant",
    "rev.": "reverend",
    "hon.": "honorable",
    "co.": "company",
    "ltd.": "limited",
    "inc.": "incorporated",
}
SYMBOLS = {"&": "and", "%": "percent", "+": "plus", "=": "equals", "@": "at", "#": "number"}
CURRENCIES = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent")}
PLURALS = {"penny": "pence"}
_PHRASE_MARKS, _SENTENCE_MARKS = ",;:()[]–—", ".!?…"
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_ABBREVIATION = "|".join(re.escape(name) for name in sorted(ABBREVIATIONS, key=len, reverse=True))
_TOKEN = re.compile(
    rf"(?P<money>[$£€])(?P<amount>{_NUMBER})(?!\w)"
    r"|(?P<time>\d{1,2}:[0-5]\d)(?!\w)"
    r"|(?P<ordinal>\d+)(?:st|nd|rd|th)\b"
    rf"|(?P<number>{_NUMBER})"
    rf"|(?P<symbol>[{re.escape(''.join(SYMBOLS))}])"
    r"|(?P<count>(?<!\w)no\.(?=\s*\d))"
    rf"|(?P<abbreviation>(?<!\w)(?:{_ABBREVIATION}))"
    r"|(?P<initials>(?<!\w)(?:[A-Za-z]\.){2,})"
    r"|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*['’]?)"
    rf"|(?P<mark>[{re.escape(_PHRASE_MARKS + _SENTENCE_MARKS)}]|(?<=\s)-+(?=\s)|--+)",
    re.IGNORECASE,
)


class SpelledWord(NamedTuple):
    """A word in letters.

    Attributes:
        text: in lower case, an acronym in upper case; letters and apostrophes.
        following: what follows it.
        question: whether its sentence ends with a question mark.
    """

    text: str
    following: Break
    question: bool


def spell_out(text: str) -> list[SpelledWord]:
    """Returns the words of an English text.

    Args:
        text: one sentence or several. Numbers, ordinals, years, times, sums of money and common
            abbreviations become words.

    Raises:
        InputError: for text without a word, or if `num2words` is not installed and there are
            numbers.

    Example:
    >>> [word.text for word in spell_out("Dr. Lee paid $2.50 on May 3rd, 1984.")]
    ['doctor', 'lee', 'paid', 'two', 'dollars', 'and', 'fifty', 'cents', 'on', 'may', 'third',
     'nineteen', 'eighty', 'four']
    """
    words: list[SpelledWord] = []
    first = 0  # of the sentence
    for match in _TOKEN.finditer(text):
        if mark := match["mark"]:
            following = Break.SENTENCE if mark[0] in _SENTENCE_MARKS else Break.PHRASE
            if words and following > words[-1].following:
                words[-1] = words[-1]._replace(following=following)
            if mark == "?":
                words[first:] = [word._replace(question=True) for word in words[first:]]
            if following == Break.SENTENCE:
                first = len(words)
            continue
        words += [SpelledWord(part, Break.NONE, False) for part in _words_of(match)]
    if not words:
        raise InputError(f"text must have at least one word; received {text!r}")
    words[-1] = words[-1]._replace(following=Break.SENTENCE)
    return words


def _words_of(match: re.Match) -> Iterator[str]:
    """Yields the words of a token."""
    kind = match.lastgroup if match.lastgroup != "amount" else "money"
    spelled = _SPELLED[str(kind)](match)
    yield from re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*'?", spelled.replace("’", "'"))


def _money(match: re.Match) -> str:
    whole, _, part = match["amount"].replace(",", "").partition(".")
    names = CURRENCIES[match["money"]]
    sums = [(int(whole), names[0]), (int(part.ljust(2, "0")[:2] or 0), names[1])]
    spoken = [f"{_number(count)} {_counted(name, count)}" for count, name in sums if count]
    return " and ".join(spoken) or f"zero {_counted(names[0], 0)}"


def _counted(name: str, count: int) -> str:
    return name if count == 1 else PLURALS.get(name, f"{name}s")


def _time(match: re.Match) -> str:
    hours, minutes = (int(part) for part in match["time"].split(":"))
    if not minutes:
        return f"{_number(hours)} o'clock"
    return f"{_number(hours)} {'oh ' if minutes < 10 else ''}{_number(minutes)}"


def _plain_number(match: re.Match) -> str:
    text = match["number"]
    digits = text.replace(",", "")
    if "." in digits:
        return _number(float(digits))
    is_year = "," not in text and len(digits) == 4 and 1100 <= int(digits) < 2100
    return _number(int(digits), "year" if is_year else "cardinal")


def _word(match: re.Match) -> str:
    word = match["word"]
    return word if word.isupper() and len(word) > 1 else word.lower()


def _number(value: int | float, to: str = "cardinal") -> str:
    try:
        from num2words import num2words
    except ImportError as error:
        raise InputError(
            f"the number {value} needs num2words: pip install 'wavenet_tf[text]' installs it"
        ) from error
    return num2words(value, lang="en", to=to)


_SPELLED: dict[str, Callable[[re.Match], str]] = {
    "money": _money,
    "time": _time,
    "ordinal": lambda match: _number(int(match["ordinal"]), "ordinal"),
    "number": _plain_number,
    "symbol": lambda match: SYMBOLS[match["symbol"]],
    "count": lambda match: "number",
    "abbreviation": lambda match: ABBREVIATIONS[match["abbreviation"].lower()],
    "initials": lambda match: match["initials"].replace(".", "").upper(),
    "word": _word,
}
