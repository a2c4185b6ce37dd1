"""What a run of recognition has besides its model: the decoder, and error rates in the log."""

import os
from pathlib import Path

import keras
import numpy as np

from wavenet_tf import data, evaluation, files
from wavenet_tf.errors import InputError
from wavenet_tf.models import WaveNetClassifier
from wavenet_tf.recognition import Decoder, Recognizer
from wavenet_tf.runs.new_model import class_sources
from wavenet_tf.runs.open_run import Run
from wavenet_tf.runs.settings import Settings

DECODER = "decoder.json"


class LogLabelErrorRate(keras.callbacks.Callback):
    """Adds the edits per label on the first recordings for validation to the log.

    The segments are those of the likeliest classes of frames, without a decoder.

    Args:
        run: of a classifier of frames.
    """

    def __init__(self, run: Run):
        super().__init__()
        clips = np.arange(min(run.settings.validation_crops, len(run.validation.names)))
        self.recordings = run.validation.select(clips)
        (self.source,) = class_sources(run.settings, run.model)
        self.recognizer = Recognizer(run.model)

    def on_epoch_end(self, epoch, logs=None):
        report = evaluation.evaluate_classifier(self.recognizer, self.recordings, self.source)
        logs["val_label_error_rate"] = report.error_rate.value


def evaluate_classifier(
    model_dir: str | os.PathLike, model: WaveNetClassifier, recordings: data.Recordings
) -> evaluation.RecognitionReport:
    """Evaluates the classifier of a run, with its classes, its decoder and the scored folding.

    Args:
        model_dir: of the run.
        model: of the run.
        recordings: see `recordings_from_run`.

    Raises:
        InputError: as `evaluation.evaluate_classifier` raises it.
    """
    settings = Settings.from_run(model_dir, data_dir=os.fspath(recordings.directory))
    (source,) = class_sources(settings, model)
    return evaluation.evaluate_classifier(
        Recognizer(model),
        recordings,
        source,
        data.scored_classes(settings.folding),
        load_decoder(model_dir, model),
    )


def write_decoder(model_dir: Path, run: Run) -> None:
    """Writes the decoder of a trained classifier of frames; prints its weights.

    Args:
        model_dir: of the run.
        run: whose labels are counted, and whose recordings for validation tune the weights.
    """
    (source,) = class_sources(run.settings, run.model)
    decoder = evaluation.fit_decoder(
        Recognizer(run.model),
        source,
        run.training,
        run.validation,
        run.settings.validation_crops,
    )
    files.write_text(model_dir / DECODER, decoder.to_json())
    weights = ", ".join(f"{name} {value:g}" for name, value in decoder.weights.items())
    print(f"decoder, tuned on validation: {weights}")


def load_decoder(model_dir: str | os.PathLike, model: WaveNetClassifier) -> Decoder | None:
    """Returns the decoder of a run; None for a model without one.

    Args:
        model_dir: of the run.
        model: of the run.

    Raises:
        InputError: if the file cannot be read, or is of another model.
    """
    path = Path(model_dir) / DECODER
    if model.targets != "frames" or not path.exists():
        return None
    try:
        decoder = Decoder.from_json(path.read_text(encoding="utf-8"))
    except (OSError, InputError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if len(decoder.log_priors) != model.num_classes:
        raise InputError(
            f"{path} must be of {model.num_classes} classes; it has {len(decoder.log_priors)}"
        )
    return decoder
