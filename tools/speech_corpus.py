"""A corpus of synthetic speech: sentences that voices of espeak-ng speak, with alignments."""

import dataclasses
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sentences

from wavenet_tf import audio, files, worker_processes
from wavenet_tf.data.alignments import textgrid_text
from wavenet_tf.data.manifest import Clip, write_manifest
from wavenet_tf.errors import InputError
from wavenet_tf.text import espeak, espeak_alignment

MANIFEST = "manifest.jsonl"
PITCHES, RATES = (0, 99), (80, 450)
# Voices without echo: it would fill pauses. Formants, pitch and rate differ.
DEFAULT_VOICES = (
    "en-us+f1:pitch=50:rate=165",
    "en-us+m1:pitch=50:rate=160",
    "en-us+linda:pitch=40:rate=155",
    "en-us+m3:pitch=40:rate=150",
    "en-us+Annie:pitch=55:rate=175",
    "en-us+m7:pitch=60:rate=170",
    "en-us+steph:pitch=60:rate=150",
    "en-us+m5:pitch=35:rate=180",
    "en-us+shelby:pitch=65:rate=160",
    "en-us+robert:pitch=45:rate=145",
)
# Accents and variants of espeak-ng, which `english_voices` combines.
ENGLISH_ACCENTS = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-us")
VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "linda"),
    *("Annie", "steph", "shelby", "robert", "paul", "Andy", "Lee", "Gene", "Mike", "victor"),
    *("zac", "adam", "anika", "antonio", "belinda", "benjamin", "boris", "david", "ed", "edward"),
    *("iven", "ian", "john", "klatt2", "klatt4", "max", "Michael", "norbert", "pablo", "quincy"),
    *("rob", "sandro", "travis", "caleb", "marcelo", "Mario"),
)
# Pitch and rate of a sentence differ from the voice's by at most this.
PITCH_JITTER, RATE_JITTER = 6, 12


@dataclasses.dataclass(frozen=True)
class Voice:
    """A voice of espeak-ng.

    Attributes:
        name: language, and "+" and a variant, such as "en-us+f2".
        pitch: pitch from 0 to 99.
        rate: words per minute, from 80 to 450.
    """

    name: str
    pitch: int = 50
    rate: int = 160

    def __str__(self) -> str:
        return f"{self.name}:pitch={self.pitch}:rate={self.rate}"

    @classmethod
    def parse(cls, text: str) -> "Voice":
        """Returns the voice that a text describes.

        Args:
            text: a name, and any of pitch and rate.

        Raises:
            InputError: if the text has another form or a number is out of its range.

        Example:
        >>> Voice.parse("en-us+f2:pitch=60")
        Voice(name='en-us+f2', pitch=60, rate=160)
        """
        name, *settings = text.split(":")
        values = dict(setting.partition("=")[::2] for setting in settings)
        ranges = {"pitch": PITCHES, "rate": RATES}
        if not name or not all(
            value.isascii() and value.isdecimal() and low <= int(value) <= high
            for key, value in values.items()
            for low, high in [ranges.get(key, (1, 0))]
        ):
            raise InputError(
                "voices must have a form such as en-us+f2:pitch=60:rate=150, with a pitch from "
                f"{PITCHES[0]} to {PITCHES[1]} and a rate from {RATES[0]} to {RATES[1]}; "
                f"received {text!r}"
            )
        return cls(name, **{key: int(value) for key, value in values.items()})


def english_voices(count: int) -> list[Voice]:
    """Returns different voices of English, whose accents, formants, pitches and rates differ.

    Args:
        count: number of voices.

    Raises:
        InputError: if there are not so many.

    Example:
    >>> [str(voice) for voice in english_voices(2)]
    ['en-us+m1:pitch=25:rate=120', 'en+m2:pitch=62:rate=173']
    """
    if not 0 < count <= len(VARIANTS):
        raise InputError(
            f"voices must be a number from 1 to {len(VARIANTS)} or names; received {count}"
        )
    return [
        Voice(
            f"{ENGLISH_ACCENTS[index % len(ENGLISH_ACCENTS)]}+{variant}",
            pitch=25 + 37 * index % 50,
            rate=120 + 53 * index % 90,
        )
        for index, variant in enumerate(VARIANTS[:count])
    ]


def read_texts(path: str | os.PathLike) -> list[str]:
    """Returns the different lines of a text file that are not empty.

    Raises:
        InputError: if the file cannot be read as UTF-8 text.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"cannot read the text {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read the text {path}: it is not in UTF-8") from error
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


def write_corpus(
    output_dir: str | os.PathLike,
    voices: Sequence[Voice],
    texts: Sequence[str],
    sample_rate: int,
    seed: int,
    workers: int | None = None,
    progress: bool = False,
) -> list[Clip]:
    """Writes a corpus whose voices speak different texts.

    Each voice has a folder of 16-bit WAV files, with a TextGrid beside each. Recordings of single
    digits are named as those of the Free Spoken Digit Dataset, such as "7_en-us_f1_12.wav". The
    manifest has speaker, text and alignment of all. The same arguments always give the same bytes,
    with any number of workers.

    Args:
        output_dir: the folder, new or empty; it stays empty if a sentence cannot be spoken.
        voices: the voices.
        texts: the texts, dealt to the voices in turn.
        sample_rate: sample rate in Hz.
        seed: non-negative seed of the variation of pitch and rate.
        workers: the most processes at a time; None for one per core.
        progress: whether to print a line for each finished voice.

    Returns:
        The clips, in the order of the manifest.

    Raises:
        InputError: if the folder is not empty, a voice is unknown, a text has nothing to speak or
            espeak-ng is not installed or crashes.
        OSError: if a file cannot be written.
    """
    espeak.check_installed()
    output_dir = Path(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    if any(output_dir.iterdir()):
        raise InputError(f"output must be a new or empty folder; {output_dir} has files in it")
    list(worker_processes.map_in_new_processes(_check_voices, {"voices": (voices,)}))
    speakers = _speaker_names(voices)
    clips: dict[str, list[Clip]] = {}
    with tempfile.TemporaryDirectory(prefix=".incomplete-", dir=output_dir) as folder:
        # The audio of a text depends on the texts before it in the process: a process speaks all
        # texts of a voice, and no others.
        arguments = {
            speaker: (
                Path(folder),
                speaker,
                voice,
                texts[index :: len(voices)],
                sample_rate,
                [seed, index],
            )
            for index, (speaker, voice) in enumerate(zip(speakers, voices, strict=True))
        }
        for speaker, spoken in worker_processes.map_in_new_processes(
            _speak_texts, arguments, workers
        ):
            clips[speaker] = spoken
            if progress:
                print(f"{speaker}: {len(spoken)} recordings", flush=True)
        for speaker in speakers:
            os.rename(Path(folder, speaker), output_dir / speaker)
    in_order = [clip for speaker in speakers for clip in clips[speaker]]
    write_manifest(output_dir / MANIFEST, in_order)
    return in_order


def _speaker_names(voices: Sequence[Voice]) -> list[str]:
    """Returns a different name for each voice, which may be the name of a folder.

    Example:
    >>> _speaker_names([Voice("en-us+f2"), Voice("en-us+f2", pitch=70), Voice("de")])
    ['en-us_f2', 'en-us_f2_2', 'de']
    """
    names = [re.sub(r"[^A-Za-z0-9-]", "_", voice.name) for voice in voices]
    earlier = [names[:index].count(name) for index, name in enumerate(names)]
    return [
        f"{name}_{count + 1}" if count else name for name, count in zip(names, earlier, strict=True)
    ]


def _check_voices(voices: Sequence[Voice]) -> None:
    """Raises InputError unless espeak-ng has all voices; runs in a worker process."""
    synthesizer = espeak.Synthesizer()
    for voice in voices:
        synthesizer.set_voice(voice.name)


def _speak_texts(
    folder: Path,
    speaker: str,
    voice: Voice,
    texts: Sequence[str],
    sample_rate: int,
    seed: Sequence[int],
) -> list[Clip]:
    """Writes the recordings and TextGrids of a voice; runs in a worker process."""
    generator = np.random.default_rng(seed)
    synthesizer = espeak.Synthesizer()
    synthesizer.set_voice(voice.name)
    clips = []
    for number, text in enumerate(texts):
        spoken = synthesizer.speak(
            text,
            _vary(generator, voice.pitch, PITCH_JITTER, PITCHES),
            _vary(generator, voice.rate, RATE_JITTER, RATES),
        )
        speech = espeak_alignment.align(text, *spoken, synthesizer.sample_rate, sample_rate)
        path = Path(speaker, _file_name(speaker, text, number))
        audio.write_audio(folder / path, speech.audio, sample_rate)
        textgrid = textgrid_text(speech.alignment, speech.seconds)
        files.write_text(folder / path.with_suffix(".TextGrid"), textgrid)
        clips.append(Clip(path.as_posix(), speaker=speaker, text=text, alignment=speech.alignment))
    return clips


def _file_name(speaker: str, text: str, number: int) -> str:
    if text in sentences.DIGITS:
        return f"{sentences.DIGITS.index(text)}_{speaker}_{number}.wav"
    return f"{number:04d}.wav"


def _vary(generator: np.random.Generator, value: int, jitter: int, limits: tuple[int, int]) -> int:
    """Returns a random whole number at most `jitter` away from a value, inside the limits."""
    return int(np.clip(value + generator.integers(-jitter, jitter + 1), *limits))
