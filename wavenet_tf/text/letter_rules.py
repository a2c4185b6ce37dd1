"""A guess at the phones of an English word that is in no dictionary."""

from wavenet_tf.text.words import Phone, parse_phones

VOWELS = frozenset(
    ["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"]
)
# Letters and their phones, the longest letters first; $ is the end of the word.
_RULES = {
    "tion$": "SH AH0 N",
    "sion$": "ZH AH0 N",
    "tious$": "SH AH0 S",
    "cious$": "SH AH0 S",
    "ture$": "CH ER0",
    "ous$": "AH0 S",
    "igh": "AY",
    "eigh": "EY",
    "ough": "AO",
    "augh": "AO",
    "tch": "CH",
    "sch": "S K",
    "dge": "JH",
    "que$": "K",
    "ch": "CH",
    "ck": "K",
    "gh": "G",
    "kn": "N",
    "ng": "NG",
    "ph": "F",
    "qu": "K W",
    "sh": "SH",
    "th": "TH",
    "wh": "W",
    "wr": "R",
    "ai": "EY",
    "ay": "EY",
    "au": "AO",
    "aw": "AO",
    "ea": "IY",
    "ee": "IY",
    "ei": "IY",
    "ey": "IY",
    "eu": "UW",
    "ew": "UW",
    "ie": "IY",
    "oa": "OW",
    "oi": "OY",
    "oo": "UW",
    "ou": "AW",
    "ow": "OW",
    "oy": "OY",
    "ue$": "UW",
    "ar": "AA R",
    "er": "ER",
    "ir": "ER",
    "or": "AO R",
    "ur": "ER",
    "le$": "AH0 L",
    "es$": "IH0 Z",
    "ed$": "D",
    "ce": "S EH",
    "ci": "S IH",
    "cy": "S IY",
    "ge": "JH EH",
    "y$": "IY0",
    "e$": "",
    "o$": "OW",
    "a$": "AH0",
    **dict(
        zip(
            "abcdefghijklm",
            ["AE", "B", "K", "D", "EH", "F", "G", "HH", "IH", "JH", "K", "L", "M"],
            strict=True,
        )
    ),
    **dict(
        zip(
            "nopqrstuvwxyz",
            ["N", "AA", "P", "K", "R", "S", "T", "AH", "V", "W", "K+S", "IY", "Z"],
            strict=True,
        )
    ),
}
_LONG = {"AE": "EY", "EH": "IY", "IH": "AY", "AA": "OW", "AH": "UW"}


def guess_phones(word: str) -> tuple[Phone, ...]:
    """Returns the phones that letter rules give; wrong for many words, but always something.

    Args:
        word: in letters of the English alphabet, and apostrophes, in lower case.

    Example:
    >>> from wavenet_tf.text.words import format_phones
    >>> format_phones(guess_phones("blorf")), format_phones(guess_phones("zate"))
    ('B L AO1 R F', 'Z EY1 T')
    """
    letters = word.replace("'", "")
    labels: list[str] = []
    position = 0
    while position < len(letters):
        found, used = _longest_rule(letters, position)
        # A vowel before one consonant and a silent e is long.
        if found in _LONG and letters[position + 2 :] == "e" and used == 1:
            found = _LONG[found]
        labels += found.replace("+", " ").split()
        position += used
        if used == 1 and letters[position - 1 : position + 1] == letters[position - 1] * 2:
            position += 1  # double consonants are one
    return _stressed(labels)


def _longest_rule(letters: str, position: int) -> tuple[str, int]:
    """Returns the phones of the letters at a position, and the number of letters."""
    for length in (5, 4, 3, 2, 1):
        part = letters[position : position + length]
        if len(part) < length:
            continue
        if position + length == len(letters) and position and f"{part}$" in _RULES:
            return _RULES[f"{part}$"], length
        if part in _RULES:
            return _RULES[part], length
    return "", 1


def _stressed(labels: list[str]) -> tuple[Phone, ...]:
    """Returns phones with primary stress on the first vowel, of those without a stress if any."""
    phones = parse_phones(" ".join(labels))
    vowels = [index for index, phone in enumerate(phones) if phone.label in VOWELS]
    open_vowels = [index for index in vowels if phones[index].stress is None]
    primary = (open_vowels or vowels or [-1])[0]
    return tuple(
        Phone(phone.label, int(index == primary)) if index in vowels else phone
        for index, phone in enumerate(phones)
    )
