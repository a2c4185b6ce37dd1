"""The evaluation of a model on recordings, and the JSON file of its figures."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

import numpy as np

from wavenet_tf import data
from wavenet_tf.errors import InputError
from wavenet_tf.evaluation.generated import GeneratedReport
from wavenet_tf.evaluation.scores import Scores, check_has_speakers, score, score_speakers
from wavenet_tf.evaluation.spectral import log_spectral_distance
from wavenet_tf.evaluation.synthesis import check_has_features, copy_synthesis


@dataclasses.dataclass(frozen=True)
class EvaluationReport:
    """Figures of a model on recordings.

    Attributes:
        bits_per_sample: mean over the samples of all recordings.
        files: bits per sample of each recording, by name.
        speakers_identified: share of the recordings, from 0 to 1, that are most likely under their
            own speaker; None if it was not computed.
        log_spectral_distance: mean over the recordings of the distance in dB between a recording
            and its copy synthesis; None if it was not computed.
        speakers: bits per sample of each speaker, by name; None without speakers.
        generated: scores of generated audio; None if none was generated.

    Example:
    >>> report = EvaluationReport(2.5, {"a.wav": 2.0, "b.wav": 3.0}, speakers_identified=0.5)
    >>> EvaluationReport.from_json(report.to_json()) == report
    True
    """

    bits_per_sample: float
    files: dict[str, float]
    speakers_identified: float | None = None
    log_spectral_distance: float | None = None
    speakers: dict[str, float] | None = None
    generated: GeneratedReport | None = None

    def to_json(self) -> str:
        """Returns the figures that were computed, as a JSON object."""
        figures = {key: value for key, value in vars(self).items() if value is not None}
        if self.generated is not None:
            figures["generated"] = self.generated.to_dict()
        return json.dumps(figures, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> EvaluationReport:
        """Returns the report that `to_json` wrote.

        Args:
            text: a JSON object; other keys than those of `to_json` are ignored.

        Raises:
            InputError: for text that is no JSON, or a key that is missing or of a wrong type.
        """
        try:
            figures = json.loads(text)
            return cls(
                bits_per_sample=float(figures["bits_per_sample"]),
                files={name: float(bits) for name, bits in figures["files"].items()},
                speakers_identified=_optional_float(figures.get("speakers_identified")),
                log_spectral_distance=_optional_float(figures.get("log_spectral_distance")),
                speakers=figures.get("speakers"),
                generated=(
                    GeneratedReport.from_dict(figures["generated"])
                    if "generated" in figures
                    else None
                ),
            )
        except KeyError as error:
            raise InputError(f"no key {error}") from error
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(str(error)) from error


def _optional_float(value: Any) -> float | None:
    return None if value is None else float(value)


def evaluate(
    model,
    recordings: data.Recordings,
    batch_size: int = 4,
    identify_speakers: bool = False,
    num_copies: int = 0,
    seed: int = 0,
    verbose: bool = False,
    whole_context: bool = False,
) -> EvaluationReport:
    """Evaluates a model on recordings.

    Args:
        model: a `WaveNet`.
        recordings: at the model's sample rate; with the speakers and features that the model is
            conditioned on.
        batch_size: number of crops that are scored at once.
        identify_speakers: also computes how often the right speaker is the most likely one.
        num_copies: number of recordings to generate from their features, and to compare with the
            recorded ones.
        seed: of the generated audio.
        verbose: prints each figure once it is computed, and shows progress bars.
        whole_context: see `score`.

    Raises:
        InputError: if the model is not conditioned on what the figures take, an argument is out of
            its range, or no clip can be read.
    """
    if identify_speakers:
        check_has_speakers(model)
    if num_copies:
        check_has_features(model)
    progress = verbose and sys.stdout.isatty()
    scores = score(model, recordings, batch_size, 1.0, progress, whole_context)
    report = EvaluationReport(
        scores.bits_per_sample,
        scores.bits_per_sample_by_name,
        speakers=scores.bits_per_sample_by_speaker(recordings) or None,
    )
    if verbose:
        seconds = scores.samples.sum() / model.sample_rate
        print(
            f"{report.bits_per_sample:.4f} bits per sample over {len(report.files)} recordings "
            f"({seconds:,.1f} s); {model.distribution.uniform_bits:g} is uniform guessing, lower "
            "is better"
        )
        for name, bits in (report.speakers or {}).items():
            print(f"  {bits:.4f} bits per sample of {name}")
    if identify_speakers:
        share = _share_identified(model, recordings, scores, batch_size)
        report = dataclasses.replace(report, speakers_identified=share)
        if verbose:
            print(f"{100 * share:.1f}% of recordings are most likely under their own speaker")
    if num_copies:
        copied = recordings.select(scores.scored_clips[:num_copies])
        distance = _copy_distance(model, copied, seed, verbose)
        report = dataclasses.replace(report, log_spectral_distance=distance)
        if verbose:
            print(
                f"{distance:.2f} dB log-spectral distance over {len(copied.names)} recordings "
                "after copy synthesis"
            )
    return report


def _share_identified(model, recordings: data.Recordings, scores: Scores, batch_size: int) -> float:
    """Returns the share of scored clips that are most likely under their own speaker."""
    nats = score_speakers(model, recordings, batch_size)
    identified = nats.argmin(axis=1) == recordings.speaker_ids
    return float(np.mean(identified[scores.scored_clips]))


def _copy_distance(model, recordings: data.Recordings, seed: int, progress: bool) -> float:
    """Returns the mean log-spectral distance of clips and their copy synthesis, in dB."""
    copies = copy_synthesis(model, recordings, seed=seed, progress=progress)
    distances = [
        log_spectral_distance(recordings.waveform(index), copy, model.sample_rate)
        for index, copy in enumerate(copies)
    ]
    return float(np.mean(distances))
