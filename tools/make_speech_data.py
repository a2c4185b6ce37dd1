"""Speaks a corpus of sentences with espeak-ng, with the times of phones and words.

The sentences come from a grammar, or from the lines of a text file. No two recordings of a corpus
have the same text, except those of single digits. Each voice has a folder of WAV files, with a
TextGrid beside each, whose tiers are phones (IPA), the stress of vowels (0, 1 or 2) and words. A
manifest has speaker, text and alignment of all recordings. Single digits are named as in the Free
Spoken Digit Dataset, such as 7_en-us_f1_12.wav. The same flags always give the same files.

Usage:
    python tools/make_speech_data.py --output data/speech
    python tools/make_speech_data.py --output data/two --voices en-us+f1,en-us+m3:pitch=40:rate=150
    python tools/make_speech_data.py --output data/digits --kind digits --sentences 50 --voices 50
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import itertools
from collections.abc import Sequence

import sentences
import speech_corpus
from absl import flags

from wavenet_tf import files

DEFAULT_SENTENCES = 100


def _parse_voices(text: str) -> list[speech_corpus.Voice]:
    if text.isascii() and text.isdecimal():
        return speech_corpus.english_voices(int(text))
    return [speech_corpus.Voice.parse(voice) for voice in text.split(",")]


_OUTPUT = command_line.define_path("output", None, "New or empty folder of the corpus.", True)
_SENTENCES = flags.DEFINE_integer(
    "sentences",
    None,
    f"Number of recordings of each voice ({DEFAULT_SENTENCES}; with --text all lines, divided "
    "among the voices).",
    1,
)
_VOICES = command_line.define(
    "voices",
    ",".join(speech_corpus.DEFAULT_VOICES),
    "Voices of espeak-ng, joined by commas: language and variant, and any of pitch (0 to 99) and "
    "rate (80 to 450 words per minute), such as en-us+f2:pitch=60:rate=150; or a number of "
    "different English voices.",
    _parse_voices,
)
_KIND = flags.DEFINE_enum(
    "kind",
    "sentences",
    sentences.KINDS,
    "What is spoken: English sentences, strings of two to seven digits, or single digits.",
)
_TEXT = command_line.define_path(
    "text", None, "Text file whose lines are spoken instead, one for each recording."
)
_SAMPLE_RATE = flags.DEFINE_integer("sample_rate", 16000, "Sample rate in Hz.", 8000, 48000)
_SEED = command_line.define_seed(0, "Seed of the sentences and of small changes of pitch and rate.")
_WORKERS = flags.DEFINE_integer("workers", None, "Processes (one for each core).", 1)


def main(argv: Sequence[str]) -> None:
    """Writes the corpus named by the flags."""
    command_line.refuse_words(argv)
    files.check_writable_folder(_OUTPUT.value)
    voices = _VOICES.value
    if _TEXT.value is None:
        num_texts = (_SENTENCES.value or DEFAULT_SENTENCES) * len(voices)
        texts = list(
            itertools.islice(sentences.draw_sentences(_KIND.value, _SEED.value), num_texts)
        )
    else:
        texts = speech_corpus.read_texts(_TEXT.value)
        num_texts = (_SENTENCES.value or max(1, len(texts) // len(voices))) * len(voices)
        if len(texts) < num_texts:
            raise command_line.InputError(
                f"{len(voices)} voices with {num_texts // len(voices)} sentences each need "
                f"{num_texts} different lines; {_TEXT.value} has {len(texts)}"
            )
    clips = speech_corpus.write_corpus(
        _OUTPUT.value,
        voices,
        texts[:num_texts],
        _SAMPLE_RATE.value,
        _SEED.value,
        _WORKERS.value,
        progress=True,
    )
    minutes = sum(clip.alignment["phones"][-1][1] for clip in clips) / 60
    print(f"wrote {len(clips)} recordings, {minutes:.1f} minutes in all, to {_OUTPUT.value}")


if __name__ == "__main__":
    command_line.run(main)
