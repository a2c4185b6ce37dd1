"""The contents of a model directory that a report of a training run shows."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from wavenet_tf import data, runs, training
from wavenet_tf.errors import InputError
from wavenet_tf.evaluation import EvaluationReport
from wavenet_tf.models import TrainableModel, WaveNet, WaveNetClassifier
from wavenet_tf.runs.settings import stored_settings

# Read from the model directory, if no other file is given.
EVALUATION = "evaluation.json"


@dataclasses.dataclass(frozen=True)
class RunContents:
    """A training run, which may still go on.

    Attributes:
        directory: the model directory.
        model: the trained model.
        settings: the stored settings of the run, by name; empty if there are none.
        log: columns of the log by name, `[validations]`; NaN for a missing value.
        best: the best validation; None before the first.
        evaluation: what tools/evaluate.py wrote; None if there is no such file.
        recordings: the validation split; None if the recordings cannot be read.
        recordings_error: why the recordings cannot be read.
    """

    directory: Path
    model: WaveNet | WaveNetClassifier
    settings: dict[str, Any]
    log: dict[str, np.ndarray]
    best: runs.BestValidation | None
    evaluation: EvaluationReport | None
    recordings: data.Recordings | None
    recordings_error: str = ""

    @property
    def name(self) -> str:
        """The name of the model directory."""
        return self.directory.resolve().name

    @property
    def num_steps(self) -> int:
        """Number of optimizer steps of the model."""
        return 0 if self.model.optimizer is None else training.num_steps(self.model.optimizer)


def read_run(
    model_dir: str | os.PathLike,
    step: int | str = runs.LAST,
    data_dir: str | os.PathLike | None = None,
    evaluation_path: str | os.PathLike | None = None,
    verbose: bool = False,
) -> RunContents:
    """Reads a model directory and the recordings of its validation split.

    Args:
        model_dir: of the training run.
        step: of the checkpoint to load, see `runs.load_model`; "last" for the model of the last
            step.
        data_dir: folder of recordings; None takes the folder that the run was trained on.
        evaluation_path: JSON file that tools/evaluate.py wrote; None takes evaluation.json of the
            model directory, if there is one.
        verbose: prints which model is loaded.

    Raises:
        InputError: if there is no model, or the evaluation cannot be read.
        OSError: if there is no file at `evaluation_path`.
    """
    directory = Path(model_dir)
    model = runs.load_model(directory, step, verbose=verbose, kind=TrainableModel)
    settings = stored_settings(directory)
    contents = RunContents(
        directory,
        model,
        settings,
        log=runs.read_log(directory),
        best=runs.best_validation(directory),
        evaluation=_read_evaluation(directory, evaluation_path, model),
        recordings=None,
    )
    data_dir = data_dir or settings.get("data_dir")
    try:
        if data_dir is None:
            raise InputError("the run's settings do not name their folder: see --data_dir")
        recordings = runs.recordings_from_run(directory, model, data_dir, "validation")
    except (InputError, OSError) as error:
        reason = _with_folder_names(str(error), directory, data_dir)
        return dataclasses.replace(contents, recordings_error=reason)
    return dataclasses.replace(contents, recordings=recordings)


def _read_evaluation(
    directory: Path, path: str | os.PathLike | None, model: WaveNet | WaveNetClassifier
) -> EvaluationReport | None:
    """Returns the evaluation of a generator; a classifier is scored for the report."""
    if isinstance(model, WaveNetClassifier):
        return None
    if path is None:
        path = directory / EVALUATION
        if not path.exists():
            return None
    try:
        return EvaluationReport.from_json(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"cannot read {path} as an evaluation report: {error}") from error


def _with_folder_names(text: str, *paths: str | os.PathLike | None) -> str:
    """Returns a text with the names of folders in place of their paths.

    Reports are sent to others, and paths may hold the name of a user.
    """
    for path in (path for path in paths if path is not None):
        for full in sorted({os.path.realpath(path), os.path.abspath(path)}, key=len):
            text = text.replace(full, os.path.basename(full))
    return text
