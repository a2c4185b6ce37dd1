"""Scores of the audio that a run's model generates, also to compare its checkpoints."""

import dataclasses
import os
from pathlib import Path
from typing import NamedTuple

import keras

from wavenet_tf import data, evaluation, training
from wavenet_tf.models import WaveNet, WaveNetClassifier
from wavenet_tf.options import GENERATED
from wavenet_tf.runs.checkpointing import load_model
from wavenet_tf.runs.open_run import Run
from wavenet_tf.runs.recognition import evaluate_classifier

# What is generated at each validation to compare checkpoints.
VALIDATION_CLIPS = 8
VALIDATION_SECONDS = 2.0


class RunClassifier(NamedTuple):
    """A classifier with its model directory, which holds the rule for its classes.

    Attributes:
        directory: the model directory.
        model: the classifier.
    """

    directory: Path
    model: WaveNetClassifier

    @classmethod
    def load(cls, model_dir: str | os.PathLike) -> "RunClassifier":
        """Loads the classifier of a model directory.

        Args:
            model_dir: of a training run with the task "classify" or "recognize".

        Raises:
            InputError: for a directory without a classifier.
        """
        return cls(Path(model_dir), load_model(model_dir, kind=WaveNetClassifier))


def score_generated_audio(
    model: WaveNet,
    recordings: data.Recordings,
    number: int,
    seconds: float,
    classifier: RunClassifier | None = None,
    seed: int = 0,
    progress: bool = False,
) -> evaluation.GeneratedReport:
    """Generates audio conditioned as recordings are, and scores it against them.

    Args:
        model: which generates.
        recordings: with what the model is conditioned on, of which the starts of some clips of as
            many speakers as possible are used.
        number: number of clips to generate, if there are as many recordings.
        seconds: length of each clip, at most.
        classifier: for the Frechet distance and the recognized classes; None for none.
        seed: of the sampling.
        progress: shows a progress bar.

    Raises:
        InputError: for a model that generates nothing from recordings, or a classifier of another
            sample rate or of classes that the recordings lack.
    """
    recorded = data.select_excerpts(recordings, number, seconds)
    clips = evaluation.generate_clips(model, recorded, seconds, seed, progress)
    report = evaluation.score_generated(
        clips,
        list(recorded.waveforms()),
        model.sample_rate,
        copies=bool(model.config.local_channels),
        classifier=None if classifier is None else classifier.model,
    )
    if classifier is None:
        return report
    rates = [
        evaluate_classifier(*classifier, part).error_rate.value
        for part in (evaluation.with_generated_clips(recorded, clips), recorded)
    ]
    return dataclasses.replace(report, classes=rates[0], recorded_classes=rates[1])


class LogGeneratedScore(keras.callbacks.Callback):
    """Adds a score of generated audio to the log at each validation, and prints the verdict.

    Of several workers, each has to have this callback, because the score selects the checkpoint.
    If training keeps an average of the weights (EMA), the average generates.

    Args:
        run: whose setting `best_by` names the score.
    """

    def __init__(self, run: Run):
        super().__init__()
        self.run = run
        directory = run.settings.best_by_classifier
        self.classifier = None if directory is None else RunClassifier.load(directory)

    def on_epoch_end(self, epoch, logs=None):
        settings = self.run.settings
        with training.ema_weights(self.model):
            report = score_generated_audio(
                self.model,
                self.run.validation,
                VALIDATION_CLIPS,
                VALIDATION_SECONDS,
                self.classifier,
            )
        score = report.scores[settings.best_by]
        logs[f"val_{GENERATED}{settings.best_by}"] = score
        if self.run.is_chief:
            print(f"generated audio: {settings.best_by} {score:.4f}, {report.verdict}")
