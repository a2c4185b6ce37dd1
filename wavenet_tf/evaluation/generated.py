"""Scores of generated audio: figures against those of recordings, and a verdict in words."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from wavenet_tf import audio, data
from wavenet_tf.errors import InputError
from wavenet_tf.evaluation.audio_figures import AudioFigures, AudioMeter
from wavenet_tf.evaluation.frechet import classifier_embeddings, frechet_distance
from wavenet_tf.evaluation.spectral import log_spectral_distance
from wavenet_tf.evaluation.synthesis import copy_synthesis

# Limits of the verdicts, as differences from the recordings.
MORE_NOISE = 0.25
MORE_SILENCE = 0.3
MAX_CLIPPING = 0.01
PITCHED_SHARE = 0.5
MAX_SPECTRUM_DB = 6.0
MAX_LEVEL_DB = 6.0


@dataclasses.dataclass(frozen=True)
class GeneratedReport:
    """Scores of generated clips against recorded ones.

    Attributes:
        clips: number of generated clips.
        seconds: duration of all of them.
        generated: their figures.
        recorded: figures of the recorded clips.
        spectrum: distance between the average spectra in dB, see `AudioMeter.spectrum_distance`.
        copy_synthesis: mean log-spectral distance in dB of each clip from the recording whose
            features it was generated from; None for a model without features.
        frechet: Frechet distance on the embeddings of a classifier; None without a classifier.
        classes: error rate of a classifier on the generated clips, whose right classes are those
            of the recordings; None without a classifier.
        recorded_classes: its error rate on the recorded clips; None without a classifier.

    Example:
    >>> figures = AudioFigures(silence=0.1, clipping=0.0, noise=0.1, pitched=0.7, level=-20.0)
    >>> noisy = dataclasses.replace(figures, noise=0.8, pitched=0.1)
    >>> report = GeneratedReport(4, 12.0, noisy, figures, spectrum=2.0)
    >>> report.verdict
    'mostly noise: train on'
    >>> round(report.scores["noise"], 3)
    0.7
    >>> GeneratedReport.from_dict(report.to_dict()) == report
    True
    """

    clips: int
    seconds: float
    generated: AudioFigures
    recorded: AudioFigures
    spectrum: float
    copy_synthesis: float | None = None
    frechet: float | None = None
    classes: float | None = None
    recorded_classes: float | None = None

    @property
    def scores(self) -> dict[str, float]:
        """The scores by name, see `options.GENERATED_SCORES`; the lowest is the best."""
        scores = {
            name: abs(getattr(self.generated, name) - getattr(self.recorded, name))
            for name in ("silence", "noise", "pitched", "level")
        }
        for name in ("spectrum", "copy_synthesis", "frechet", "classes"):
            if (value := getattr(self, name)) is not None:
                scores[name] = value
        return scores

    @property
    def verdict(self) -> str:
        """What the scores say, in words."""
        generated, recorded = self.generated, self.recorded
        if generated.silence - recorded.silence > MORE_SILENCE:
            return "mostly silence: train on, and sample with a temperature near 1"
        if generated.noise - recorded.noise > MORE_NOISE:
            return "mostly noise: train on"
        if generated.clipping - recorded.clipping > MAX_CLIPPING:
            return "clipped: train on, or sample with a lower temperature"
        if generated.pitched < PITCHED_SHARE * recorded.pitched:
            return "too little pitch, neither noise nor like the recordings: train on"
        if self.spectrum > MAX_SPECTRUM_DB:
            return f"sound, but with another spectrum ({self.spectrum:.1f} dB): train on"
        if self.scores["level"] > MAX_LEVEL_DB:
            return f"like the recordings, but {self.scores['level']:.0f} dB off their level"
        return "like the recordings by these scores: judge it by ear"

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """Name and value of each figure, generated and recorded, for tables."""
        shares = {
            "silence": "Silence",
            "clipping": "Clipped samples",
            "noise": "Noise-like frames",
            "pitched": "Pitched frames",
        }
        rows: list[tuple[str, ...]] = [
            (name, *(f"{getattr(part, key):.1%}" for part in (self.generated, self.recorded)))
            for key, name in shares.items()
        ]
        levels = (f"{part.level:.1f} dBFS" for part in (self.generated, self.recorded))
        rows.append(("Level", *levels))
        rows.append(("Distance of average spectra", f"{self.spectrum:.1f} dB", ""))
        if self.copy_synthesis is not None:
            distance = f"{self.copy_synthesis:.1f} dB"
            rows.append(("Log-spectral distance of copy synthesis", distance, ""))
        if self.frechet is not None:
            rows.append(("Frechet distance", f"{self.frechet:.2f}", ""))
        if self.classes is not None and self.recorded_classes is not None:
            right = (f"{1.0 - rate:.1%}" for rate in (self.classes, self.recorded_classes))
            rows.append(("Classes recognized", *right))
        return rows

    def __str__(self) -> str:
        lines = [f"generated audio: {self.verdict}"]
        for name, generated, recorded in self.rows:
            beside = f", recorded {recorded}" if recorded else ""
            lines.append(f"  {name.lower()}: {generated}{beside}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Returns the scores that were computed, as JSON has them, and the verdict."""
        figures = dataclasses.asdict(self)
        computed = {name: value for name, value in figures.items() if value is not None}
        return {**computed, "verdict": self.verdict}

    @classmethod
    def from_dict(cls, figures: dict[str, Any]) -> GeneratedReport:
        """Returns the report of what `to_dict` returned.

        Args:
            figures: by name; the verdict is computed again.

        Raises:
            KeyError: for a missing name.
            TypeError: for an unknown name.
        """
        figures = {name: value for name, value in figures.items() if name != "verdict"}
        figures["generated"] = AudioFigures(**figures["generated"])
        figures["recorded"] = AudioFigures(**figures["recorded"])
        return cls(**figures)

    def to_json(self) -> str:
        """Returns the scores as a JSON object."""
        return json.dumps(self.to_dict(), indent=2) + "\n"


def generate_clips(
    model, recorded: data.Recordings, seconds: float, seed: int = 0, progress: bool = False
) -> list[np.ndarray]:
    """Generates a clip for each recorded one, conditioned as it is.

    Args:
        model: a `WaveNet`.
        recorded: with what the model is conditioned on, see `data.select_excerpts`.
        seconds: length of each clip; a model with local conditioning generates clips as long as the
            recorded ones.
        seed: of the sampling.
        progress: shows a progress bar.

    Raises:
        InputError: for a model with a global conditioning that is no vector of tags.
    """
    if model.config.global_channels and not model.config.tag_names:
        raise InputError("the model is conditioned on a vector that recordings do not have")
    if model.config.local_channels:
        return copy_synthesis(model, recorded, seed=seed, progress=progress)
    conditions = {}
    if model.conditioning.names:
        conditions = data.clip_conditions(model.crop_spec.conditions, recorded)
    samples = max(1, round(seconds * model.sample_rate))
    number = len(recorded.names)
    return list(model.generate(samples, number, seed=seed, progress=progress, **conditions))


def with_generated_clips(recorded: data.Recordings, clips: Sequence[np.ndarray]) -> data.Recordings:
    """Returns recordings whose audio is generated, with the labels of the recorded ones.

    Args:
        recorded: the recordings.
        clips: generated audio for each of them, float `[samples]` in [-1, 1].
    """
    samples = [audio.to_16_bits(clip) for clip in clips]
    lengths = np.array([len(clip) for clip in samples])
    return dataclasses.replace(recorded, clips=samples, lengths=lengths)


def score_generated(
    clips: Sequence[np.ndarray],
    recorded: Sequence[np.ndarray],
    sample_rate: int,
    copies: bool = False,
    classifier=None,
) -> GeneratedReport:
    """Scores generated clips against recorded ones.

    Args:
        clips: generated audio, float `[samples]` in [-1, 1] each.
        recorded: recorded audio, likewise.
        sample_rate: of both, in Hz.
        copies: whether each generated clip is the copy synthesis of its recorded one.
        classifier: a `WaveNetClassifier` for the Frechet distance; None for none.

    Raises:
        InputError: if there is no clip of 50 ms, or the classifier has another sample rate.
    """
    if classifier is not None and classifier.sample_rate != sample_rate:
        raise InputError(
            f"the classifier must have the sample rate of the audio, {sample_rate} Hz; it has "
            f"{classifier.sample_rate} Hz"
        )
    meter = AudioMeter(recorded, sample_rate)
    distance = None
    if copies:
        pairs = zip(recorded, clips, strict=True)
        distances = [log_spectral_distance(first, copy, sample_rate) for first, copy in pairs]
        distance = float(np.mean(distances))
    frechet = None
    if classifier is not None:
        parts = (classifier_embeddings(classifier, part) for part in (clips, recorded))
        frechet = frechet_distance(*parts)
    return GeneratedReport(
        clips=len(clips),
        seconds=math.fsum(map(len, clips)) / sample_rate,
        generated=meter.figures(clips),
        recorded=meter.recorded_figures,
        spectrum=meter.spectrum_distance(clips),
        copy_synthesis=distance,
        frechet=frechet,
    )
