"""Front ends of speech synthesis: texts as phones, sentence by sentence."""

import dataclasses
import functools
import os
import re
from collections.abc import Callable, Sequence

from wavenet_tf.errors import InputError
from wavenet_tf.text import espeak
from wavenet_tf.text.lexicon import Lexicon
from wavenet_tf.text.linguistic import SpokenPhone, phones_of_alignment, spoken_phones
from wavenet_tf.text.phonetics import SILENCE, SILENCES
from wavenet_tf.text.words import Break, Phone, Word, parse_phones
from wavenet_tf.worker_processes import WorkerProcess

FRONT_ENDS = ("lexicon", "espeak")
# espeak-ng has global state, and may end its process.
_ESPEAK = WorkerProcess("espeak-ng")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")


@dataclasses.dataclass(frozen=True)
class Sentence:
    """A sentence as it is spoken.

    Attributes:
        phones: with silence at both ends and in pauses.
        words: the words in letters; `SpokenPhone.word` is an index of it.
    """

    phones: list[SpokenPhone]
    words: list[str]


def front_end(
    name: str,
    dictionaries: Sequence[str | os.PathLike] = (),
    letter_rules: bool = False,
    voice: str = "en-us",
) -> Callable[[str], list[Sentence]]:
    r"""Returns the function that maps a text to its sentences.

    Args:
        name: "lexicon" looks English words up, see `Lexicon`: phones in ARPAbet; "espeak" asks
            espeak-ng: phones in IPA, of any of its languages.
        dictionaries: files for the front end "lexicon".
        letter_rules: whether the front end "lexicon" guesses words that no dictionary has.
        voice: voice of espeak-ng, such as "en-us" or "de"; for the front end "espeak".

    Raises:
        InputError: for an unknown name; the function raises it for a text without words, and for
            words or voices that are not known.

    Example:
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".dict") as file:
    ...     _ = file.write("hello  HH AH0 L OW1\nbob  B AA1 B\n")
    ...     file.flush()
    ...     sentences = front_end("lexicon", [file.name])("Hello. Hello, Bob!")
    >>> [sentence.words for sentence in sentences]
    [['hello'], ['hello', 'bob']]
    """
    if name not in FRONT_ENDS:
        raise InputError(f"front_end must be one of {', '.join(FRONT_ENDS)}; received {name!r}")
    if name == "lexicon":
        lexicon = Lexicon(dictionaries, letter_rules)
        return lambda text: _sentences_of_words(lexicon(text))
    return lambda text: _espeak_sentences(text, voice)


def sentence_of_phones(text: str) -> Sentence:
    """Returns the sentence that phones in ARPAbet or IPA make up.

    Args:
        text: phones separated by spaces, vowels with a digit for their stress; "|" separates
            words, and "sil" is a pause.

    Raises:
        InputError: for text that is no phone, or without phones.

    Example:
    >>> sentence = sentence_of_phones("HH AH0 L OW1 | sil | B AA1 B")
    >>> [phone.label for phone in sentence.phones]
    ['sil', 'HH', 'AH', 'L', 'OW', 'sil', 'B', 'AA', 'B', 'sil']
    """
    words: list[Word] = []
    for part in text.split("|"):
        labels = part.split()
        if labels and all(label in SILENCES for label in labels):
            if words:
                words[-1] = dataclasses.replace(words[-1], following=Break.PHRASE)
        elif labels:
            words.append(Word(" ".join(labels), parse_phones(part)))
    if not words:
        raise InputError(f"phones must hold at least one phone; received {text!r}")
    return Sentence(spoken_phones(words), [word.text for word in words])


def espeak_words(text: str, voice: str = "en-us") -> list[Word]:
    """Returns the words of a text with their phones in IPA, by espeak-ng.

    Args:
        text: one sentence or several.
        voice: voice of espeak-ng, such as "en-us" or "de".

    Raises:
        InputError: for a text without words, an unknown voice, or if espeak-ng is not installed.
    """
    words = []
    for sentence in _espeak_sentences(text, voice):
        phones: dict[int, list[Phone]] = {}
        for phone in sentence.phones:
            if phone.word is not None:
                phones.setdefault(phone.word, []).append(Phone(phone.label, phone.stress))
        words += [Word(sentence.words[index], tuple(part)) for index, part in phones.items()]
    return words


def _sentences_of_words(words: Sequence[Word]) -> list[Sentence]:
    sentences, current = [], []
    for word in words:
        current.append(word)
        if word.following == Break.SENTENCE or word is words[-1]:
            sentences.append(Sentence(spoken_phones(current), [part.text for part in current]))
            current = []
    return sentences


def _espeak_sentences(text: str, voice: str) -> list[Sentence]:
    texts = [part for part in _SENTENCE_END.split(text.strip()) if re.search(r"\w", part)]
    if not texts:
        raise InputError(f"text must have at least one word; received {text!r}")
    sentences = []
    for spoken, alignment in zip(texts, _spoken_alignments(texts, voice), strict=True):
        phones = phones_of_alignment(alignment, question=spoken.rstrip().endswith("?"))
        if phones[0].label != SILENCE:
            phones = [SpokenPhone(SILENCE), *phones]
        sentences.append(Sentence(phones, [label for *_, label in alignment["words"]]))
    return sentences


def _spoken_alignments(texts: Sequence[str], voice: str) -> list[dict]:
    """Returns the alignment of each text as espeak-ng speaks it."""
    espeak.check_installed()
    return _ESPEAK.call(_align_in_worker, texts, voice)


@functools.cache
def _synthesizer() -> espeak.Synthesizer:
    return espeak.Synthesizer()


def _align_in_worker(texts: Sequence[str], voice: str) -> list[dict]:
    from wavenet_tf.text import espeak_alignment

    synthesizer = _synthesizer()
    synthesizer.set_voice(voice)
    rate = synthesizer.sample_rate
    return [
        espeak_alignment.align(text, *synthesizer.speak(text, 50, 160), rate, rate).alignment
        for text in texts
    ]
