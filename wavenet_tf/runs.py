"""A model directory: what a training run leaves there, and how it is found and continued.

settings.json       how the run was started
checkpoints/        update_00000800.keras: model, optimizer and number of updates
model.keras         the model at the end of the run
log.csv             a line for each validation
tensorboard/        the same for TensorBoard
"""

import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from wavenet_tf import audio, data, files, training
from wavenet_tf.errors import InputError
from wavenet_tf.models import WaveNet
from wavenet_tf.presets import PRESETS

FINAL_MODEL = "model.keras"
SETTINGS = "settings.json"
NAMES_LISTED = 10


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a model is trained.

    Attributes:
        data_dir: the folder of recordings, raw or prepared.
        layout: of the corpus, see `corpora.read_corpus`.
        preset: the model's configuration, see `presets.py`.
        overrides: arguments of `WaveNet` that take the place of the preset's.
        features: names of features of the recordings to condition the model on, see
            `audio.FEATURES`, joined by commas; None trains without.
        speakers: how a recording's speaker is told, see `Recordings.with_speakers`; None trains
            without.
        balance_speakers: hear all speakers alike, however long their recordings are.
        steps: updates in all.
        batch_size: crops an update.
        crop_seconds: scored part of a crop, in seconds.
        learning_rate: the highest.
        schedule: "cosine" falls from it to nearly 0 over the steps, "constant" keeps it.
        validation_fraction: of the files, where the corpus does not say what to validate on.
        validation_crops: crops scored at each validation, the same ones each time.
        steps_per_validation: updates between validations; a checkpoint is written at each.
        checkpoints_kept: the newest ones.
        seed: of the weights, and of the crops' order and places.
    """

    data_dir: str
    layout: str = "auto"
    preset: str = "small"
    overrides: dict[str, Any] = dataclasses.field(default_factory=dict)
    features: str | None = None
    speakers: str | None = None
    balance_speakers: bool = False
    steps: int = 20000
    batch_size: int = 4
    crop_seconds: float = 1.0
    learning_rate: float = 4e-3
    schedule: str = "cosine"
    validation_fraction: float = 0.1
    validation_crops: int = 64
    steps_per_validation: int = 500
    checkpoints_kept: int = 3
    seed: int = 0

    def __post_init__(self):
        if self.preset not in PRESETS:
            raise InputError(
                f"unknown preset {self.preset!r}: expected one of {', '.join(PRESETS)}"
            )
        if self.features:
            audio.feature_channels(self.features.split(","))
        whole = ["steps", "batch_size", "validation_crops", "steps_per_validation"]
        for name in [*whole, "checkpoints_kept", "crop_seconds", "learning_rate"]:
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above 0; received {getattr(self, name)}")

    @classmethod
    def of_run(cls, model_dir: str | os.PathLike, **given) -> "Settings":
        """The settings of the run in a model directory, with those given now in their place.

        Args:
            model_dir: a folder, which may be missing.
            **given: attributes; None where nothing was given.

        Raises:
            InputError: if what is given is another model than the run's, or no folder of
                recordings is named for a new run.
        """
        stored = _stored(model_dir)
        given = {name: value for name, value in given.items() if value is not None}
        for name in ("preset", "overrides", "features", "speakers"):
            if stored and given.get(name, stored.get(name)) != stored.get(name):
                raise InputError(
                    f"{model_dir} holds the run of another model: its {name} is "
                    f"{stored.get(name)!r}, given was {given[name]!r}. Choose another folder"
                )
        settings = {**stored, **given}
        if "data_dir" not in settings:
            raise InputError("data_dir must name a folder of recordings")
        return cls(**settings)


def _stored(model_dir: str | os.PathLike) -> dict[str, Any]:
    """What `settings.json` says; nothing where there is none."""
    path = Path(model_dir) / SETTINGS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def train(settings: Settings, model_dir: str | os.PathLike) -> WaveNet:
    """Trains a model, or goes on where the run in `model_dir` stopped.

    Args:
        settings: of the run, see `Settings.of_run`.
        model_dir: made if missing.

    Returns:
        The trained model, also saved as `model.keras`.

    Raises:
        InputError: if the recordings cannot be used, a setting is out of range, or the loss
            becomes NaN.
    """
    model_dir = Path(model_dir)
    existing = checkpoints(model_dir)
    if existing:
        model = _load(existing[-1])
        recordings = read_recordings(settings, model, settings.data_dir)
    else:
        model, recordings = _new_model(settings)
    train_part, validation_part = recordings.split(settings.validation_fraction)
    if model.features:
        train_part = train_part.with_features(model.features, model.hop_length)
        validation_part = validation_part.with_features(model.features, model.hop_length)
    if not existing:
        if model.features:
            model.adapt(train_part.sample_frames())
        model.compile("adam")
    model.optimizer.learning_rate = training.learning_rate_schedule(
        settings.schedule, settings.learning_rate, settings.steps
    )
    done = int(model.optimizer.iterations)

    batches = data.training_batches(
        train_part,
        model,
        settings.batch_size,
        settings.crop_seconds,
        settings.seed,
        first_batch=done,
        balance_speakers=settings.balance_speakers,
    )
    validation = data.evaluation_batches(
        validation_part, model, settings.batch_size, settings.crop_seconds
    ).take(-(-settings.validation_crops // settings.batch_size))
    print(recordings.summary)
    if model.speaker_names:
        print(f"{len(model.speaker_names)} speakers: {_listed(model.speaker_names)}")
    print(
        f"training on {len(train_part.names)} recordings ({train_part.seconds:,.0f} s), "
        f"validating on {len(validation_part.names)} ({validation_part.seconds:,.0f} s)"
        + (", as the corpus says" if recordings.has_split else "")
    )
    print(
        f"{model.count_params():,} parameters, receptive field {model.receptive_field} samples "
        f"({1000 * model.receptive_field / model.sample_rate:.0f} ms)"
    )
    print(
        f"bits per sample: {model.distribution.uniform_bits:.2f} is uniform guessing, lower is "
        "better"
    )
    if done:
        print(f"going on after update {done}")
    files.write_text(
        model_dir / SETTINGS, json.dumps(dataclasses.asdict(settings), indent=2) + "\n"
    )
    if done < settings.steps:
        period = settings.steps_per_validation
        first_epoch = done // period
        model.fit(
            batches,
            initial_epoch=first_epoch,
            epochs=first_epoch + -(-(settings.steps - done) // period),
            steps_per_epoch=min(period, settings.steps - done),
            validation_data=validation,
            callbacks=[
                training.StopAtUpdate(settings.steps),
                training.CountUpdates(),
                _WriteCheckpoint(model_dir, settings.checkpoints_kept),
                keras.callbacks.CSVLogger(str(model_dir / "log.csv"), append=done > 0),
                training.TensorBoardScalars(model_dir / "tensorboard"),
            ],
            verbose=1 if sys.stdout.isatty() else 2,
        )
    _save(model, model_dir / FINAL_MODEL)
    return model


def read_recordings(
    settings: Settings, model: WaveNet, directory: str | os.PathLike
) -> data.Recordings:
    """Reads a folder for the model of a run, with the speakers that the run tells apart.

    Args:
        settings: of the run.
        model: whose sample rate and, if it has them, speakers count.
        directory: of recordings.

    Raises:
        InputError: as `data.read_recordings` and `Recordings.with_speakers` raise it.
    """
    recordings = data.read_recordings(directory, model.sample_rate, settings.layout)
    if settings.speakers is None:
        return recordings
    return recordings.with_speakers(settings.speakers, model.speaker_names)


def recordings_of_run(
    model_dir: str | os.PathLike,
    model: WaveNet,
    directory: str | os.PathLike,
    split: str = "all",
    kept_aside: float = 0.1,
) -> data.Recordings:
    """Reads a folder as a run's own: with the speakers and features that its model wants.

    Args:
        model_dir: of the training run.
        model: of it.
        directory: of recordings.
        split: "all" of them, "validation" for those that training on the same folder keeps aside,
            or "test" for those that the corpus calls so.
        kept_aside: this fraction of them, where the corpus does not say what to validate on.

    Raises:
        InputError: as `read_recordings` raises it.
    """
    settings = Settings.of_run(model_dir, data_dir=str(directory))
    if Path(directory).resolve() != Path(_stored(model_dir).get("data_dir", "")).resolve():
        settings = dataclasses.replace(settings, layout="auto")
    recordings = read_recordings(settings, model, directory)
    if split == "validation":
        _, recordings = recordings.split(kept_aside)
    elif split == "test":
        recordings = recordings.test_part()
    if model.features:
        recordings = recordings.with_features(model.features, model.hop_length)
    return recordings


def _new_model(settings: Settings) -> tuple[WaveNet, data.Recordings]:
    """An untrained model for the recordings, their speakers and features; and the recordings."""
    arguments = dict(settings.overrides)
    if "sample_rate" not in arguments and data.is_prepared(settings.data_dir):
        arguments["sample_rate"] = data.open_prepared(settings.data_dir).sample_rate
    # A bad argument is told before the recordings are read, which may take long.
    sample_rate = WaveNet.from_preset(settings.preset, **arguments).sample_rate
    recordings = data.read_recordings(settings.data_dir, sample_rate, settings.layout)
    if settings.speakers is not None:
        recordings = recordings.with_speakers(settings.speakers)
        names = recordings.speaker_names
        arguments |= {"num_speakers": len(names), "speaker_names": list(names)}
    if settings.features is not None:
        features = settings.features.split(",")
        hop_length = recordings.hop_length or max(1, round(audio.HOP_SECONDS * sample_rate))
        factors = upsample_factors(hop_length)
        arguments |= {
            "local_channels": audio.feature_channels(features),
            "upsample_factors": factors,
            "features": features,
        }
    keras.utils.set_random_seed(settings.seed)
    return WaveNet.from_preset(settings.preset, **arguments), recordings


def upsample_factors(hop_length: int) -> tuple[int, int]:
    """Two factors of a hop length, as near to each other as can be, the smaller one first."""
    smaller = max(n for n in range(1, int(hop_length**0.5) + 1) if hop_length % n == 0)
    return smaller, hop_length // smaller


def _listed(names: Sequence[str]) -> str:
    """The first few, and whether there are more."""
    more = ", ..." if len(names) > NAMES_LISTED else ""
    return ", ".join(names[:NAMES_LISTED]) + more


def load_model(model_dir: str | os.PathLike, update: int | None = None) -> WaveNet:
    """The newest model of a model directory: the final one, or else the last checkpoint.

    Args:
        model_dir: of a training run.
        update: takes the checkpoint of this update instead.

    Raises:
        InputError: if there is none, or it cannot be read.
    """
    model_dir = Path(model_dir)
    if not model_dir.is_dir():
        raise InputError(f"no model directory at {model_dir}")
    if update is not None:
        path = _checkpoint_path(model_dir, update)
        if not path.exists():
            kept = ", ".join(str(int(p.stem.split("_")[1])) for p in checkpoints(model_dir))
            raise InputError(f"no checkpoint of update {update}; kept are {kept or 'none'}")
        return _load(path)
    final = [path for path in [model_dir / FINAL_MODEL] if path.exists()]
    models = sorted([*checkpoints(model_dir), *final], key=lambda path: path.stat().st_mtime)
    if not models:
        raise InputError(
            f"{model_dir} holds no model: expected {FINAL_MODEL} or a checkpoint of a training run"
        )
    return _load(models[-1])


def checkpoints(model_dir: Path) -> list[Path]:
    """The checkpoints, oldest first."""
    return sorted(model_dir.glob("checkpoints/update_*.keras"))


def _checkpoint_path(model_dir: Path, update: int) -> Path:
    return model_dir / "checkpoints" / f"update_{update:08d}.keras"


def _load(path: Path) -> WaveNet:
    try:
        model = keras.models.load_model(path)
    except (ValueError, OSError, KeyError) as error:
        raise InputError(f"cannot read {path} as a model: {error}") from error
    if not isinstance(model, WaveNet):
        raise InputError(f"{path} holds a {type(model).__name__}, not a WaveNet")
    return model


def _save(model: WaveNet, path: Path) -> None:
    with files.atomic_path(path) as temporary:
        model.save(temporary)


class _WriteCheckpoint(keras.callbacks.Callback):
    """Writes a checkpoint at the end of each epoch and deletes those that are too old."""

    def __init__(self, model_dir: Path, kept: int):
        super().__init__()
        self.model_dir = model_dir
        self.kept = kept

    def on_epoch_end(self, epoch, logs=None):
        update = int(self.model.optimizer.iterations)
        _save(self.model, _checkpoint_path(self.model_dir, update))
        for path in checkpoints(self.model_dir)[: -self.kept]:
            path.unlink()
