"""How a model is trained, and where a run remembers it."""

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

from wavenet_tf import audio
from wavenet_tf.data.splits import check_fraction
from wavenet_tf.errors import (
    InputError,
    check_seed,
    optional_positive_integer,
    positive_integer,
)
from wavenet_tf.models.config import PRESETS
from wavenet_tf.options import PRECISIONS, SCHEDULES, STRATEGIES

SETTINGS = "settings.json"
# Arguments of `WaveNet` that `overrides` must not hold, and what to do instead.
REFUSED_OVERRIDES = {
    "num_speakers": "set speakers (--speakers)",
    "speaker_names": "set speakers (--speakers)",
    "features": "set features (--features)",
    "local_channels": "set features (--features)",
    "upsample_factors": "set features (--features)",
    "dtype": "set precision (--precision)",
    "global_channels": "use WaveNet.fit: recordings have no global_conditioning",
}
# Another value makes another model, or another state of the optimizer.
MODEL_SETTINGS = (
    "preset",
    "overrides",
    "features",
    "speakers",
    "precision",
    "weight_decay",
    "averaging",
    "gradient_accumulation",
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a model is trained.

    Attributes:
        data_dir: the folder of recordings, raw or prepared.
        layout: of the corpus, see `corpora.read_corpus`.
        preset: the model's configuration, see `models.PRESETS`.
        overrides: arguments of `WaveNet` that take the place of the preset's.
        features: names of features of the recordings to condition the model on, see
            `audio.FEATURES`, joined by commas; None trains without.
        speakers: how a recording's speaker is told, see `Recordings.with_speakers`; None trains
            without.
        balance_speakers: hear all speakers alike, however long their recordings are.
        steps: updates in all.
        batch_size: crops a batch.
        gradient_accumulation: batches an update; more than 1 makes updates of large batches in
            little memory.
        crop_seconds: scored part of a crop, in seconds.
        learning_rate: the highest.
        schedule: see `training.learning_rate_schedule`.
        weight_decay: of every weight, at each update times the learning rate (AdamW).
        averaging: of the weights over the updates, such as 0.999: what the model's average keeps
            of itself at each. It is validated and generates; None averages none.
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        rematerialise: work the blocks out again for the gradient in place of keeping what they
            gave: less memory, a third more work.
        validation_fraction: of the duration, where the corpus does not say what to validate on.
        validation_crops: crops scored at each validation, the same ones each time.
        steps_per_validation: updates between validations; a checkpoint is written at each.
        checkpoints_kept: the newest ones, and the best one beside them.
        patience: validations without a better one after which to stop; None goes on to the end.
        strategy: how training is spread over devices and machines, see `training.named_strategy`.
        tensorboard_audio: seconds of audio to generate for TensorBoard at each validation; 0 makes
            none.
        tensorboard_histograms: of weights and gradients, at each validation.
        deterministic: the same weights, bit by bit, every time; somewhat slower.
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
    gradient_accumulation: int = 1
    crop_seconds: float = 1.0
    learning_rate: float = 4e-3
    schedule: str = "cosine"
    weight_decay: float = 0.0
    averaging: float | None = None
    precision: str = "float32"
    rematerialise: bool = False
    validation_fraction: float = 0.1
    validation_crops: int = 64
    steps_per_validation: int = 500
    checkpoints_kept: int = 3
    patience: int | None = None
    strategy: str = "auto"
    tensorboard_audio: float = 2.0
    tensorboard_histograms: bool = False
    deterministic: bool = False
    seed: int = 0

    def __post_init__(self):
        if self.preset not in PRESETS:
            raise InputError(
                f"unknown preset {self.preset!r}: expected one of {', '.join(PRESETS)}"
            )
        if self.features:
            audio.feature_channels(self.features.split(","))
        if self.precision not in PRECISIONS:
            raise InputError(
                f"unknown precision {self.precision!r}: expected one of {', '.join(PRECISIONS)}"
            )
        if self.schedule not in SCHEDULES:
            raise InputError(
                f"unknown schedule {self.schedule!r}: expected one of {', '.join(SCHEDULES)}"
            )
        for name in self.overrides:
            if name in REFUSED_OVERRIDES:
                raise InputError(
                    f"overrides must not hold {name}={self.overrides[name]!r}: "
                    f"{REFUSED_OVERRIDES[name]}"
                )
        if self.strategy not in STRATEGIES:
            raise InputError(
                f"unknown strategy {self.strategy!r}: expected one of {', '.join(STRATEGIES)}"
            )
        check_fraction("validation_fraction", self.validation_fraction)
        whole = ["steps", "batch_size", "validation_crops", "steps_per_validation"]
        whole += ["gradient_accumulation", "checkpoints_kept"]
        for name in whole:
            positive_integer(name, getattr(self, name))
        optional_positive_integer("patience", self.patience)
        check_seed(self.seed)
        for name in ("crop_seconds", "learning_rate"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} must be above 0; received {getattr(self, name)}")
        for name in ("weight_decay", "tensorboard_audio"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} must be at least 0; received {getattr(self, name)}")
        if self.averaging is not None and not 0.0 < self.averaging < 1.0:
            raise InputError(f"averaging must be between 0 and 1; received {self.averaging}")

    @classmethod
    def of_run(cls, model_dir: str | os.PathLike, **given) -> "Settings":
        """The settings of the run in a model directory, with those given now in their place.

        Args:
            model_dir: a folder, which may be missing.
            **given: attributes; None where nothing was given.

        Raises:
            InputError: if no folder of recordings is named for a new run, or the settings cannot be
                read.
        """
        given = {name: value for name, value in given.items() if value is not None}
        stored = stored_settings(model_dir)
        settings = {**stored, **given}
        if "data_dir" not in settings:
            raise InputError("data_dir must name a folder of recordings")
        try:
            result = cls(**settings)
        except TypeError as error:
            raise InputError(f"cannot use the settings in {model_dir}: {error}") from error
        if "data_dir" not in given and not Path(result.data_dir).is_dir():
            raise InputError(
                f"the recordings of the run in {model_dir} were in {result.data_dir}, which "
                "is not there: set data_dir (--data_dir) to the folder where they are now"
            )
        return result

    def check_continues(self, model_dir: str | os.PathLike) -> None:
        """Whether the run in a model directory can go on with these.

        Raises:
            InputError: if they are of another model.
        """
        stored, mine = stored_settings(model_dir), json.loads(self.to_json())
        for name in MODEL_SETTINGS:
            if name in stored and mine[name] != stored[name]:
                raise InputError(
                    f"{model_dir} holds the run of another model: its {name} is "
                    f"{stored[name]!r}, given was {mine[name]!r}. Choose another folder"
                )

    def with_absolute_paths(self) -> "Settings":
        """Returns settings that have the same meaning in any working directory."""
        return dataclasses.replace(self, data_dir=os.path.abspath(self.data_dir))

    def to_json(self) -> str:
        """All of them by name, as `settings.json` holds them."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def stored_settings(model_dir: str | os.PathLike) -> dict[str, Any]:
    """What `settings.json` says; nothing where there is none."""
    path = Path(model_dir) / SETTINGS
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, OSError) as error:
        raise InputError(f"cannot read the settings in {path}: {error}") from error
