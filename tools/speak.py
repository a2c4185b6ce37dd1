"""Speaks a text, with the models that `train.py --task speak` trains.

A long text is spoken sentence by sentence: each is ready as soon as it is made. `--phones` speaks
phones in place of a text. `--prosody` speaks a recording again, with the times of its phones and
its F0 (copy synthesis); its alignment is the file of the same name with the suffix .TextGrid, or
`--input_alignment`.

Usage:
    python tools/train.py --task speak --data_dir data/speech --model_dir runs/voice
    python tools/speak.py --model_dir runs/voice --text "Hello, Bob." --output hello.wav
    python tools/speak.py --model_dir runs/voice --phones "HH AH0 L OW1" --output hello.wav
"""

from __future__ import annotations  # annotations of TensorFlow's classes are not evaluated

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from absl import flags

from wavenet_tf import audio, data, files, runs, speech, text
from wavenet_tf.errors import InputError
from wavenet_tf.text.front_ends import FRONT_ENDS

_MODEL_DIR = command_line.define_model_dir()
_STEP = command_line.define_step()
_TEXT = flags.DEFINE_string("text", None, "Text to speak.")
_TEXT_FILE = command_line.define_path("text_file", None, "Text file to speak.")
_PHONES = command_line.define_phones()
_PROSODY = command_line.define_path(
    "prosody", None, "Recording to speak again with its own times and F0."
)
_INPUT_ALIGNMENT = command_line.define_path(
    "input_alignment", None, "Alignment of that recording (its .TextGrid)."
)
_OUTPUT = command_line.define_path("output", None, "Audio file to write.")
_STREAM = flags.DEFINE_bool(
    "stream",
    False,
    "Write the audio to standard output as it is made, as 16-bit samples without a header.",
)
_ALIGNMENT = command_line.define_path(
    "alignment", None, "File to write the times of phones and words to: .TextGrid or .json."
)
_FRONT_END = flags.DEFINE_enum(
    "front_end",
    "lexicon",
    FRONT_ENDS,
    "lexicon: English by pronunciation dictionaries, in ARPAbet; espeak: espeak-ng, in IPA.",
)
_LEXICON = flags.DEFINE_multi_string(
    "lexicon", [], "Pronunciation dictionary that is asked first; may be given several times."
)
_LETTER_RULES = flags.DEFINE_bool(
    "letter_rules", False, "Guess the phones of words that no dictionary has."
)
_LANGUAGE = flags.DEFINE_string(
    "language", "en-us", "Language, or voice, of the front end espeak, such as de."
)
_SPEAKER = command_line.define_speaker()
_RATE = command_line.define_rate()
_PITCH = command_line.define_pitch()
_TEMPERATURE = command_line.define_temperature()
_SEED = command_line.define_seed()
_RUNTIME = command_line.define_runtime()


def main(argv):
    """Speaks what the flags name."""
    command_line.refuse_words(argv)
    _check_flags()
    runs.find_model(_MODEL_DIR.value, _STEP.value)
    sentences = None if _PROSODY.value else _sentences()
    voice = runs.load_voice(_MODEL_DIR.value, _STEP.value, runtime=_RUNTIME.value)
    command_line.asked_speaker(voice.wavenet.conditioning, _SPEAKER.value)
    voice.warm_up()
    started = time.perf_counter()
    first_audio, seconds, spoken = 0.0, 0.0, []
    blocks: list = []
    for number, (sentence, prosody) in enumerate(_planned(voice, sentences)):
        spoken.append((seconds, voice.alignment(sentence, prosody)))
        seconds += float(prosody.durations.sum()) * voice.frame_seconds
        for block in _audio(voice, sentence, prosody, number):
            first_audio = first_audio or time.perf_counter() - started
            blocks.append(block)
            if _STREAM.value:
                sys.stdout.buffer.write(audio.to_16_bits(block).tobytes())
                sys.stdout.buffer.flush()
    elapsed = time.perf_counter() - started
    if _OUTPUT.value is not None:
        _write_audio(blocks, voice.wavenet.sample_rate)
    if _ALIGNMENT.value is not None:
        _write_alignment(spoken, seconds)
    print(
        f"{_OUTPUT.value or 'spoken'}: {seconds:.2f} s at {voice.wavenet.sample_rate} Hz, "
        f"first audio after {first_audio:.2f} s, {seconds / elapsed:.2f} times real time",
        file=sys.stderr if _STREAM.value else sys.stdout,
    )


def _check_flags() -> None:
    given = [f for f in (_TEXT, _TEXT_FILE, _PHONES, _PROSODY) if f.value is not None]
    if len(given) != 1:
        raise InputError(
            "one of --text, --text_file, --phones and --prosody must be given; received "
            f"{' and '.join(f'--{flag.name}' for flag in given) or 'none'}"
        )
    if _OUTPUT.value is None and not _STREAM.value:
        raise InputError("--output must name an audio file, or --stream be given")
    if _OUTPUT.value is not None:
        audio.check_output(_OUTPUT.value)
        command_line.check_output("output", _OUTPUT.value, _TEXT_FILE.value, _PROSODY.value)
    command_line.check_exists("text file", _TEXT_FILE.value)
    command_line.check_exists("recording", _PROSODY.value)
    if _ALIGNMENT.value is not None:
        if Path(_ALIGNMENT.value).suffix not in (".TextGrid", ".json"):
            raise InputError(
                f"alignment must end in .TextGrid or .json; received {_ALIGNMENT.value}"
            )
        command_line.check_output("alignment", _ALIGNMENT.value, _OUTPUT.value)
    if _PROSODY.value is not None and (_RATE.value != 1.0 or _PITCH.value):
        raise InputError("--rate and --pitch change predicted prosody, which --prosody replaces")


def _sentences() -> list[text.Sentence]:
    """Returns the sentences of the text or the phones in the flags."""
    if _PHONES.value is not None:
        return [text.sentence_of_phones(_PHONES.value)]
    front_end = text.front_end(
        _FRONT_END.value, _LEXICON.value, _LETTER_RULES.value, _LANGUAGE.value
    )
    if _TEXT.value is not None:
        return front_end(_TEXT.value)
    try:
        return front_end(Path(_TEXT_FILE.value).read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{_TEXT_FILE.value} must be a text in UTF-8: {error}") from error


def _planned(voice, sentences) -> Iterator[tuple[text.Sentence, speech.Prosody]]:
    """Yields sentences with their prosody: predicted, or of the recording in the flags."""
    if sentences is not None:
        for sentence in sentences:
            yield sentence, voice.predict(sentence, _SPEAKER.value, _RATE.value, _PITCH.value)
        return
    waveform, _ = audio.read_audio(_PROSODY.value, voice.wavenet.sample_rate)
    path = _INPUT_ALIGNMENT.value or str(Path(_PROSODY.value).with_suffix(".TextGrid"))
    command_line.check_exists("alignment", path)
    yield speech.recorded_sentence(voice, waveform, data.read_alignment(path))


def _audio(voice, sentence, prosody, number: int) -> Iterator:
    """Yields the audio of a sentence in blocks, float32 `[samples]`."""
    from wavenet_tf import audio_blocks

    seed = None if _SEED.value is None else _SEED.value + number
    frames = voice.frames(sentence, prosody)
    stream = voice.stream(frames, _SPEAKER.value, _TEMPERATURE.value, seed)
    samples, rate = len(frames) * voice.wavenet.hop_length, voice.wavenet.sample_rate
    for block in audio_blocks.take(stream, samples, rate, progress=True):
        yield block[0]


def _write_audio(blocks, sample_rate: int) -> None:
    import numpy as np

    audio.write_audio(_OUTPUT.value, np.concatenate(blocks), sample_rate)


def _write_alignment(spoken, seconds: float) -> None:
    """Writes the times of phones and words of all sentences."""
    tiers: dict[str, list] = {"phones": [], "words": []}
    for offset, alignment in spoken:
        for kind, segments in alignment.items():
            tiers[kind] += [(start + offset, end + offset, name) for start, end, name in segments]
    if _ALIGNMENT.value.endswith(".json"):
        files.write_text(_ALIGNMENT.value, json.dumps(tiers, indent=2) + "\n")
    else:
        files.write_text(_ALIGNMENT.value, data.textgrid_text(tiers, seconds))


if __name__ == "__main__":
    command_line.run(main)
