"""How phones are articulated, in ARPAbet and in the International Phonetic Alphabet (IPA)."""

from collections.abc import Sequence
from typing import NamedTuple

# The label of silence, and the labels that aligners write for it.
SILENCE = "sil"
SILENCES = frozenset(["", SILENCE, "SIL", "sp", "<sil>", "<eps>", "pau", "_"])


class Articulation(NamedTuple):
    """Articulation of a phone; each value is from 0 to 1.

    Attributes:
        vowel: 1 for vowels and syllabic consonants.
        voiced: 1 for voiced phones.
        stop: 1 for stops and affricates.
        fricative: 1 for fricatives and affricates.
        nasal: 1 for nasals.
        approximant: 1 for liquids and glides.
        front: place of the tongue or the lips, 1 is the front.
        height: of the tongue in vowels, 1 is close; 0 for consonants.
    """

    vowel: float = 0.0
    voiced: float = 0.0
    stop: float = 0.0
    fricative: float = 0.0
    nasal: float = 0.0
    approximant: float = 0.0
    front: float = 0.0
    height: float = 0.0


ARPABET_TO_IPA = {
    **{"AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AX": "ə", "AY": "aɪ", "B": "b"},
    **{"CH": "tʃ", "D": "d", "DH": "ð", "DX": "ɾ", "EH": "ɛ", "ER": "ɝ", "EY": "eɪ", "F": "f"},
    **{"G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "dʒ", "K": "k", "L": "l", "M": "m"},
    **{"N": "n", "NG": "ŋ", "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ"},
    **{"T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z"},
    "ZH": "ʒ",
}


def _consonants(symbols: str, front: Sequence[float], **manner: float) -> dict[str, Articulation]:
    places = zip(symbols, front, strict=True)
    return {symbol: Articulation(front=place, **manner) for symbol, place in places}


def _vowels(rows: dict[str, tuple[float, float]]) -> dict[str, Articulation]:
    return {
        symbol: Articulation(vowel=1.0, voiced=1.0, front=front, height=height)
        for symbols, (front, height) in rows.items()
        for symbol in symbols
    }


# By the first character of a phone in IPA; a diphthong is described by its first vowel.
_ARTICULATIONS = {
    **_consonants("ptkcqʔ", [1.0, 0.7, 0.2, 0.4, 0.1, 0.0], stop=1.0),
    **_consonants("bdɡgɟ", [1.0, 0.7, 0.2, 0.2, 0.4], stop=1.0, voiced=1.0),
    **_consonants("fθsʃçxhɸχħ", [0.9, 0.8, 0.7, 0.5, 0.4, 0.2, 0.0, 1.0, 0.1, 0.0], fricative=1.0),
    **_consonants(
        "vðzʒʝɣβʁɦ", [0.9, 0.8, 0.7, 0.5, 0.4, 0.2, 1.0, 0.1, 0.0], fricative=1.0, voiced=1.0
    ),
    **_consonants("mnŋɲɱɳ", [1.0, 0.7, 0.2, 0.4, 0.9, 0.5], nasal=1.0, voiced=1.0),
    **_consonants(
        "lɹrɾjwɻɭʎɥɫʀ",
        [0.7, 0.5, 0.6, 0.7, 0.4, 1.0, 0.5, 0.5, 0.4, 0.7, 0.6, 0.1],
        approximant=1.0,
        voiced=1.0,
    ),
    **_vowels(
        {
            "iy": (1.0, 1.0),
            "ɪʏ": (0.8, 0.8),
            "ᵻɨʉ": (0.5, 0.9),
            "eø": (0.9, 0.7),
            "əɘɵɚ": (0.5, 0.5),
            "ɛœ": (0.8, 0.35),
            "ɜɝɞ": (0.5, 0.4),
            "æ": (0.8, 0.15),
            "a": (0.7, 0.0),
            "ɐ": (0.5, 0.15),
            "uɯ": (0.0, 1.0),
            "ʊ": (0.2, 0.8),
            "oɤ": (0.0, 0.7),
            "ʌɔ": (0.1, 0.35),
            "ɑɒ": (0.0, 0.0),
        }
    ),
}
_SYLLABIC = "\u0329"


def articulation(phone: str) -> Articulation:
    """Returns how a phone is articulated; all zeros for silence and unknown symbols.

    Args:
        phone: in ARPAbet or IPA, without stress.

    Example:
    >>> articulation("IY") == articulation("iː")
    True
    >>> articulation("tʃ").stop, articulation("tʃ").fricative, articulation("sil").voiced
    (1.0, 1.0, 0.0)
    """
    if phone in SILENCES:
        return Articulation()
    symbols = ARPABET_TO_IPA.get(phone, phone)
    first = _ARTICULATIONS.get(symbols[0], Articulation())
    if first.stop and symbols[1:2] in ("ʃ", "ʒ", "s", "z"):
        return first._replace(fricative=1.0, front=_ARTICULATIONS[symbols[1]].front)
    return first._replace(vowel=1.0) if _SYLLABIC in symbols else first


def may_precede(consonant: str, following: str) -> bool:
    """Returns whether a consonant may begin a syllable in front of a phone.

    Sonority must rise; an "s" may precede a stop.

    Args:
        consonant: in ARPAbet or IPA.
        following: a consonant or a vowel.

    Example:
    >>> may_precede("T", "R"), may_precede("R", "T"), may_precede("NG", "AA")
    (True, False, False)
    """
    if articulation(following).vowel:
        return consonant not in ("NG", "ŋ")
    if consonant in ("S", "s"):
        return articulation(following).stop > 0 or _sonority(following) > 1
    return _sonority(consonant) < _sonority(following) and _sonority(consonant) < 2


def _sonority(phone: str) -> int:
    """Returns 1 for stops and fricatives, 2 for nasals, 3 for liquids and glides, 4 for vowels."""
    of_phone = articulation(phone)
    if of_phone.vowel:
        return 4
    if of_phone.approximant:
        return 3
    return 2 if of_phone.nasal else 1
