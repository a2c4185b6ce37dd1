"""The settings of a run, and the file that stores them."""

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

from wavenet_tf import audio
from wavenet_tf.data.splits import check_fraction
from wavenet_tf.data.targets import CHARACTERS, COLUMN, labels_are_of_text
from wavenet_tf.errors import (
    InputError,
    check_seed,
    optional_positive_integer,
    positive_integer,
)
from wavenet_tf.models.config import NEXT_SAMPLE_LOSS_WEIGHT, PRESETS
from wavenet_tf.options import (
    CLASSIFIER_TASKS,
    FOLDINGS,
    PRECISIONS,
    SCHEDULES,
    SPEECH_MODELS,
    SPLITS_BY,
    STRATEGIES,
    TASKS,
)
from wavenet_tf.runs.setting_checks import check_adaptation, check_best_by

SETTINGS = "settings.json"
# Arguments of `WaveNet` that `overrides` must not contain, and what to use instead.
REFUSED_OVERRIDES = {
    "num_speakers": "set speakers (--speakers)",
    "speaker_names": "set speakers (--speakers)",
    "features": "set features (--features)",
    "local_channels": "set features (--features)",
    "upsample_factors": "set features (--features)",
    "phone_set": "set task speak (--task speak)",
    "dtype": "set precision (--precision)",
    "global_channels": "set tags (--tags)",
    "tag_names": "set tags (--tags)",
}
# Settings that determine the model or the state of the optimizer: a resumed run cannot change them.
MODEL_SETTINGS = (
    "task",
    "classes",
    "labels",
    "ctc",
    "folding",
    "next_sample_weight",
    "preset",
    "overrides",
    "features",
    "speakers",
    "adapt_from",
    "adapt_all",
    "tags",
    "precision",
    "weight_decay",
    "ema_decay",
    "gradient_accumulation",
    "best_by",  # a column of the log
)


# Classifiers of preset tiny stay at the level of guessing with the learning rate of generators.
LEARNING_RATES = {"generate": 4e-3, "speak": 4e-3, "classify": 1e-3, "recognize": 1e-3}
# Of the embedding of a new speaker alone, and of all weights of a trained model.
ADAPT_ROW_RATE, ADAPT_ALL_RATE = 1e-2, 2e-4
ADAPT_STEPS = {"steps": 300, "steps_per_validation": 100}  # defaults of adaptations
# Default length of crops, and the longest recording whose labels are learned by CTC.
CROP_SECONDS, SEQUENCE_SECONDS = 1.0, 10.0
NO_FEATURES = "none"


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of a run.

    Attributes:
        data_dir: the folder of recordings, raw or prepared.
        layout: layout of the corpus, see `corpora.read_corpus`.
        preset: name of the model's configuration, see `models.PRESETS`.
        task: "generate" trains a `WaveNet`; "speak" a `WaveNet` on linguistic features, and models
            of prosody beside it, see `models.DurationModel` and `models.LogF0Model`; "classify" a
            `WaveNetClassifier` of whole recordings; "recognize" a `WaveNetClassifier` of the labels
            within recordings.
        classes: for the task "classify": the rule that finds a recording's class, see
            `data.ClipClassSource`, or "tags" for the tags of the recordings.
        labels: for the task "recognize": which alignment holds the labels, such as "phones";
            "characters" of the texts; "lexicon" or "espeak" for the phones of texts; or
            "column:NAME", see `data.sequence_labels`.
        ctc: for the task "recognize": learn the order of the labels without their times, by
            connectionist temporal classification. Characters, phones of texts and columns have no
            times, and are always learned so.
        folding: "timit48" or "timit39" folds TIMIT's 61 phones to 48 or 39 classes; "unstressed"
            leaves the stress of vowels out; None leaves labels as they are. A model of 48 classes
            is scored on 39.
        alignments: files of alignments, see `data.with_alignments`; None takes the alignments of
            the corpus.
        overrides: arguments of `WaveNet` that replace those of the preset.
        features: names of features of the recordings to condition the model on, see
            `audio.FEATURES`, joined by commas; None trains without. For the task "speak" it is the
            feature that gives F0, of `audio.F0_FEATURES`, or "none"; None takes "f0_world" if
            pyworld is installed, else "f0".
        models: for the task "speak": which of its models are trained, of
            `options.SPEECH_MODELS`, joined by commas.
        prosody_steps: number of optimizer steps of each model of prosody.
        speakers: rule that finds a recording's speaker, see `Recordings.with_speakers`; None
            trains without speakers. A classifier is not conditioned on them.
        tags: tags of the recordings to condition the model on, joined by commas, or "all"; None
            trains without tags.
        adapt_from: model directory of a model with speakers, to which the recordings of one new
            speaker are added; None trains a new model.
        adapt_all: after the embedding of the new speaker, adapt all other weights too.
        balance_speakers: draw crops of all speakers equally often, however long their recordings
            are.
        augment: of a classifier, but not with CTC: vary the crops, see
            `data.augmentation.vary_waveform`.
        next_sample_weight: weight of the loss of the next sample, beside that of a classifier's
            classes; with 0 the next sample is not predicted.
        steps: total number of optimizer steps.
        batch_size: crops per batch.
        gradient_accumulation: batches per step; more than 1 gives steps of large batches in little
            memory.
        crop_seconds: scored part of a crop, in seconds; with CTC, the longest recording that is
            used. None takes 1 s, with CTC 10 s.
        learning_rate: the highest learning rate; None takes that of `LEARNING_RATES` for the task.
        schedule: schedule of the learning rate, see `training.learning_rate_schedule`.
        weight_decay: fraction of every weight, times the learning rate, that each step subtracts
            (AdamW).
        ema_decay: fraction of the exponential moving average (EMA) of the weights that each step
            retains, such as 0.999. The average is validated and generates. None trains without.
        precision: precision of the network: "float32", "mixed_bfloat16" or "mixed_float16".
        gradient_checkpointing: compute the blocks again for the gradient instead of storing their
            activations (rematerialization): less memory, a third more computation.
        validation_fraction: fraction of the duration to validate on, if the corpus has no
            validation split.
        split_by: "recording", or "speaker" to validate on speakers that are not trained on.
        validation_pattern: regular expression; the recordings whose names it is found in are for
            validation, all others for training. None divides them by `validation_fraction`.
        validation_crops: number of crops scored at each validation, the same ones each time.
        steps_per_validation: steps between validations; each validation writes a checkpoint.
        checkpoints_kept: number of most recent checkpoints that are kept beside the best one.
        patience: number of validations without a better one after which training ends; None trains
            to the last step.
        best_by: score of generated audio, of `options.GENERATED_SCORES`, that is computed at each
            validation and by which checkpoints are compared; None compares them by the validation.
        best_by_classifier: model directory of the classifier that the scores "frechet" and
            "classes" need.
        strategy: how training is spread over devices and machines, see `training.named_strategy`.
        tensorboard_audio: seconds of audio to generate for TensorBoard at each validation; 0
            generates none.
        tensorboard_histograms: write histograms of weights and gradients at each validation.
        deterministic: make repeated runs equal bit for bit; somewhat slower.
        seed: seed of the weights, and of the order and the positions of crops.
    """

    data_dir: str
    layout: str = "auto"
    preset: str = "small"
    task: str = "generate"
    classes: str | None = None
    labels: str = "phones"
    ctc: bool = False
    folding: str | None = None
    alignments: str | None = None
    overrides: dict[str, Any] = dataclasses.field(default_factory=dict)
    features: str | None = None
    models: str = ",".join(SPEECH_MODELS)
    prosody_steps: int = 1000
    speakers: str | None = None
    tags: str | None = None
    adapt_from: str | None = None
    adapt_all: bool = False
    balance_speakers: bool = False
    augment: bool = False
    next_sample_weight: float = NEXT_SAMPLE_LOSS_WEIGHT
    steps: int = 20000
    batch_size: int = 4
    gradient_accumulation: int = 1
    crop_seconds: float = None  # type: ignore[assignment]  # set for the targets
    learning_rate: float = None  # type: ignore[assignment]  # set for the task
    schedule: str = "cosine"
    weight_decay: float = 0.0
    ema_decay: float | None = None
    precision: str = "float32"
    gradient_checkpointing: bool = False
    validation_fraction: float = 0.1
    split_by: str = "recording"
    validation_pattern: str | None = None
    validation_crops: int = 64
    steps_per_validation: int = 500
    checkpoints_kept: int = 3
    patience: int | None = None
    best_by: str | None = None
    best_by_classifier: str | None = None
    strategy: str = "auto"
    tensorboard_audio: float = 2.0
    tensorboard_histograms: bool = False
    deterministic: bool = False
    seed: int = 0

    def __post_init__(self):
        for name, known in (
            ("strategy", STRATEGIES),
            ("task", TASKS),
            ("split_by", SPLITS_BY),
        ):
            if getattr(self, name) not in known:
                raise InputError(
                    f"unknown {name} {getattr(self, name)!r}: expected one of {', '.join(known)}"
                )
        self._check_task()
        if self.learning_rate is None:
            rate = LEARNING_RATES[self.task]
            if self.adapt_from is not None:
                rate = ADAPT_ALL_RATE if self.adapt_all else ADAPT_ROW_RATE
            object.__setattr__(self, "learning_rate", rate)
        if self.crop_seconds is None:
            seconds = SEQUENCE_SECONDS if self.learns_sequences else CROP_SECONDS
            object.__setattr__(self, "crop_seconds", seconds)
        if self.preset not in PRESETS:
            raise InputError(
                f"unknown preset {self.preset!r}: expected one of {', '.join(PRESETS)}"
            )
        if self.feature_names:
            audio.feature_channels(self.feature_names)
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
                    f"overrides must not contain {name}={self.overrides[name]!r}: "
                    f"{REFUSED_OVERRIDES[name]}"
                )
        check_fraction("validation_fraction", self.validation_fraction)
        whole = ["steps", "batch_size", "validation_crops", "steps_per_validation"]
        whole += ["gradient_accumulation", "checkpoints_kept", "prosody_steps"]
        for name in whole:
            positive_integer(name, getattr(self, name))
        optional_positive_integer("patience", self.patience)
        check_seed(self.seed)
        for name in ("crop_seconds", "learning_rate"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} must be above 0; received {getattr(self, name)}")
        for name in ("weight_decay", "tensorboard_audio", "next_sample_weight"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} must be at least 0; received {getattr(self, name)}")
        if self.ema_decay is not None and not 0.0 < self.ema_decay < 1.0:
            raise InputError(f"ema_decay must be between 0 and 1; received {self.ema_decay}")

    def _check_task(self) -> None:
        """Raises InputError for settings that do not belong to the task."""
        if (self.classes is None) == (self.task == "classify"):
            raise InputError(
                "classes must be given for the task classify, and for no other; received task "
                f"{self.task!r} and classes {self.classes!r}"
            )
        if self.folding is not None and self.folding not in FOLDINGS:
            raise InputError(
                f"unknown folding {self.folding!r}: expected one of {', '.join(FOLDINGS)}"
            )
        if self.ctc and self.task != "recognize":
            raise InputError(f"ctc is for the task 'recognize'; received {self.task!r}")
        if self.augment and (self.task not in CLASSIFIER_TASKS or self.learns_sequences):
            raise InputError(
                f"augment is for classes of clips and of frames; received task {self.task!r}"
                + (" and CTC" if self.learns_sequences else "")
            )
        conditions = {"features": self.features, "tags": self.tags}
        for name, value in conditions.items():
            if value is not None and self.task in CLASSIFIER_TASKS:
                raise InputError(f"{name} condition a generator; received task {self.task!r}")
        if self.task == "speak":
            self._check_speech()
        if self.adapt_from is not None or self.adapt_all:
            check_adaptation(self)
        if self.best_by is not None:
            check_best_by(self)

    def _check_speech(self) -> None:
        """Sets the feature of F0, and raises InputError for settings that do not fit speech."""
        if self.features is None:
            object.__setattr__(self, "features", audio.default_f0_feature())
        expected = (*audio.F0_FEATURES, NO_FEATURES)
        if self.features not in expected:
            raise InputError(
                f"features must be one of {', '.join(expected)} for the task speak; received "
                f"{self.features!r}"
            )
        if not self.models or not set(self.model_names) <= set(SPEECH_MODELS):
            raise InputError(
                f"models must be some of {', '.join(SPEECH_MODELS)}; received {self.models!r}"
            )
        if self.models == "log_f0" and not self.feature_names:
            raise InputError("models log_f0 needs F0; received features 'none'")

    @property
    def feature_names(self) -> list[str]:
        """Names of the features that condition the model."""
        return [] if self.features in (None, NO_FEATURES) else self.features.split(",")

    @property
    def model_names(self) -> list[str]:
        """Names of the models that are trained for the task "speak"."""
        return self.models.split(",")

    @property
    def prosody_models(self) -> list[str]:
        """Names of the models of prosody that are trained; none for other tasks."""
        if self.task != "speak":
            return []
        known = ["durations", "log_f0"] if self.feature_names else ["durations"]
        return [name for name in known if name in self.model_names]

    @property
    def learns_sequences(self) -> bool:
        """Whether the order of labels is learned without their times (CTC)."""
        without_times = self.labels == CHARACTERS or labels_are_of_text(self.labels)
        without_times |= self.labels.startswith(COLUMN)
        return self.task == "recognize" and (self.ctc or without_times)

    @classmethod
    def from_run(cls, model_dir: str | os.PathLike, **changes) -> "Settings":
        """Returns the settings of the run in a model directory, with some of them changed.

        Args:
            model_dir: a folder, which may be missing.
            **changes: attributes; None leaves the stored setting or the default.

        Raises:
            InputError: if no folder of recordings is named for a new run, or the settings cannot be
                read.
        """
        changes = {name: value for name, value in changes.items() if value is not None}
        defaults = ADAPT_STEPS if "adapt_from" in changes else {}
        settings = {**defaults, **stored_settings(model_dir), **changes}
        if "data_dir" not in settings:
            raise InputError("data_dir must name a folder of recordings")
        try:
            result = cls(**settings)
        except TypeError as error:
            raise InputError(f"cannot use the settings in {model_dir}: {error}") from error
        if "data_dir" not in changes and not Path(result.data_dir).is_dir():
            raise InputError(
                f"the recordings of the run in {model_dir} were in {result.data_dir}, which "
                "is not there: set data_dir (--data_dir) to the folder where they are now"
            )
        return result

    def check_continues(self, model_dir: str | os.PathLike) -> None:
        """Raises InputError if the run in a model directory trains another model.

        Args:
            model_dir: of the run to resume.
        """
        stored, current = stored_settings(model_dir), json.loads(self.to_json())
        for name in MODEL_SETTINGS:
            if name in stored and current[name] != stored[name]:
                raise InputError(
                    f"{model_dir} holds the run of another model: its {name} is "
                    f"{stored[name]!r}, given was {current[name]!r}. Choose another folder"
                )

    def with_absolute_paths(self) -> "Settings":
        """Returns settings that have the same meaning in any working directory."""
        paths = {
            name: os.path.abspath(path)
            for name in ("data_dir", "adapt_from", "best_by_classifier")
            if (path := getattr(self, name)) is not None
        }
        return dataclasses.replace(self, **paths)

    def without_adapt_all(self) -> "Settings":
        """Returns the settings of the run before, which learns only the speaker's embedding."""
        return dataclasses.replace(
            self,
            adapt_all=False,
            learning_rate=ADAPT_ROW_RATE,
            ema_decay=None,
            weight_decay=0.0,
        )

    def to_json(self) -> str:
        """Returns all settings by name, as `settings.json` contains them."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def stored_settings(model_dir: str | os.PathLike) -> dict[str, Any]:
    """Returns the contents of `settings.json`; an empty dict if there is no such file."""
    path = Path(model_dir) / SETTINGS
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, OSError) as error:
        raise InputError(f"cannot read the settings in {path}: {error}") from error
