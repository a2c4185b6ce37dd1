"""What to train on a corpus: a configuration, and the time that it takes on this machine."""

import dataclasses
import itertools
import os
import shlex
from typing import Any

import numpy as np

from wavenet_tf import data, training
from wavenet_tf.runs.estimation import measure_steps
from wavenet_tf.runs.settings import Settings, stored_settings

# Higher rates are resampled to this one, which the presets are for.
MAX_SAMPLE_RATE = 16000
TINY_SECONDS = 300.0
# Longer recordings without texts and speakers are taken for music: a context stack is worth it.
MUSIC_SECONDS = 10.0
# Every part of a small corpus is trained on this often.
PASSES = 20
STEPS = (2_000, 100_000)  # the fewest and the most
CROP_SECONDS = 1.0
# Settings that a suggestion gives to a run.
SUGGESTED = ("preset", "crop_seconds", "steps")


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """A configuration for a corpus.

    Attributes:
        summary: one line about the corpus.
        settings: arguments of `Settings`, by name.
        reasons: why, a line for each setting or two.
        expectations: what to expect of the audio, in lines.
    """

    summary: str
    settings: dict[str, Any]
    reasons: list[str]
    expectations: list[str]

    def flags(self) -> list[str]:
        """Returns the flags of tools/train.py."""
        settings = dict(self.settings)
        overrides = settings.pop("overrides")
        return [f"--{name}={value}" for name, value in {**settings, **overrides}.items()]

    def __str__(self) -> str:
        return "\n".join([self.summary, *self.reasons, *self.expectations])


def suggest(directory: str | os.PathLike, layout: str = "auto") -> Suggestion:
    """Looks at a corpus and returns what to train on it.

    Args:
        directory: folder of recordings, raw or prepared.
        layout: see `corpora.read_corpus`.

    Raises:
        InputError: if there is no such folder, or no file in it that can be used.
    """
    if data.is_prepared(directory):
        recordings = data.open_prepared(directory)
        file_rate = recordings.sample_rate
    else:
        file_rate = data.most_frequent_rate(data.read_headers(directory, layout)) or 0
        rate = min(file_rate or MAX_SAMPLE_RATE, MAX_SAMPLE_RATE)
        recordings = data.read_recordings(directory, rate, layout)
    rate, seconds = recordings.sample_rate, recordings.seconds
    typical = float(np.median(recordings.lengths)) / rate
    texts = any(clip.text for clip in itertools.islice(recordings.metadata, 100))
    speakers, tags = len(recordings.speaker_names), len(recordings.tag_names)
    music = bool(tags) or (typical > MUSIC_SECONDS and not texts and not speakers)
    preset = "music" if music else ("tiny" if seconds < TINY_SECONDS else "small")
    crop = round(min(CROP_SECONDS, max(typical, 0.1)), 2)
    batch = Settings.batch_size
    steps = int(np.clip(PASSES * seconds / (crop * batch), *STEPS))
    steps = round(steps, 2 - len(str(steps)))  # two digits
    settings: dict[str, Any] = {
        "preset": preset,
        "overrides": {"sample_rate": rate},
        "crop_seconds": crop,
        "steps": steps,
    }
    reasons = [
        f"sample rate   {rate} Hz: " + _rate_reason(file_rate, rate),
        f"preset        {preset}: " + _preset_reason(preset, seconds, typical, bool(tags)),
        f"crop          {crop:g} s: the shorter of a typical recording ({typical:.1f} s) and "
        f"{CROP_SECONDS:g} s",
        f"steps         {steps:,} of {batch} crops: each part of the corpus about "
        f"{steps * batch * crop / seconds:,.1f} times",
    ]
    if speakers > 1:
        settings["speakers"] = "corpus"
        reasons.append(f"speakers      corpus: it names {speakers}")
    if tags:
        settings["tags"] = "all"
        reasons.append(f"tags          all: it has {tags}")
    return Suggestion(recordings.summary, settings, reasons, _expectations(settings, seconds))


def measured_time(suggestion: Suggestion, directory: str | os.PathLike) -> str:
    """Trains a few steps as suggested, writes nothing, and returns a line about the time.

    Args:
        suggestion: for the corpus.
        directory: of the corpus.
    """
    settings = Settings(os.fspath(directory), **suggestion.settings)
    run, step_seconds = measure_steps(settings)
    hours = step_seconds * settings.steps / 3600.0
    duration = training.format_duration(step_seconds * settings.steps)
    line = (
        f"time          {duration} on this machine: {settings.steps:,} steps of "
        f"{step_seconds:.2f} s, measured ({run.step_samples / step_seconds:,.0f} samples/s)"
    )
    if hours > 24.0:
        line += "; fewer --steps give worse audio sooner, a GPU is faster"
    return line


def train_command(suggestion: Suggestion, directory: str | os.PathLike) -> str:
    """Returns the command that trains as suggested.

    Args:
        suggestion: for the corpus.
        directory: of the corpus.
    """
    words = ["python", "tools/train.py", "--data_dir", os.fspath(directory), "--model_dir"]
    return shlex.join([*words, "runs/first", *suggestion.flags()])


def with_suggestion(
    settings: Settings, model_dir: str | os.PathLike, given: dict[str, Any]
) -> Settings:
    """Returns settings in which a suggestion replaces the defaults of preset, crop and steps.

    Args:
        settings: of a run.
        model_dir: of the run.
        given: the arguments of `Settings` that the user chose, by name; None for no choice.

    Returns:
        The settings as they are if a preset was chosen, the run exists already, or the task is not
        to generate.
    """
    if given.get("preset") is not None or settings.task != "generate" or settings.adapt_from:
        return settings
    if stored_settings(model_dir):
        return settings
    suggestion = suggest(settings.data_dir, settings.layout)
    chosen = {name: suggestion.settings[name] for name in SUGGESTED if given.get(name) is None}
    overrides = {**suggestion.settings["overrides"], **settings.overrides}
    words = " ".join(f"--{name}={value}" for name, value in {**chosen, **overrides}.items())
    print(f"without --preset, as tools/suggest.py suggests: {words}")
    return dataclasses.replace(settings, **chosen, overrides=overrides)


def _rate_reason(file_rate: int, rate: int) -> str:
    if not file_rate:
        return "no file has a readable header"
    if file_rate > rate:
        return f"most files have {file_rate} Hz, and {rate} Hz trains and samples faster"
    return "that of most files"


def _preset_reason(preset: str, seconds: float, typical: float, tags: bool) -> str:
    if preset == "music":
        kind = "tags" if tags else f"recordings of {typical:.0f} s without texts or speakers"
        return f"{kind}: a context stack has a receptive field of seconds"
    if preset == "tiny":
        return f"{seconds / 60:.1f} minutes of audio; larger models only learn them by heart"
    return f"{seconds / 60:.0f} minutes of audio; 'medium' is better where a GPU trains it"


def _expectations(settings: dict[str, Any], seconds: float) -> list[str]:
    lines = ["expect        silence and noise first: --best_by noise and the report tell when"]
    if "speakers" in settings:
        lines.append("              then babble in the voices of the speakers: there is no text")
        lines.append("              --features=mel makes a vocoder, which follows recordings")
    elif settings["preset"] == "music":
        lines.append("              then the sound of the instruments; form only within seconds")
    else:
        lines.append("              then the sound of the recordings, without words or form")
    if seconds < TINY_SECONDS:
        lines.append("              more recordings help most: there are few minutes")
    return lines
