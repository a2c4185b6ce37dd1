"""Checks of settings that belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wavenet_tf.errors import InputError
from wavenet_tf.options import CLASSIFIER_SCORES, CLASSIFIER_TASKS, GENERATED_SCORES

if TYPE_CHECKING:
    from wavenet_tf.runs.settings import Settings


def check_best_by(settings: Settings) -> None:
    """Raises InputError unless the score that compares checkpoints can be computed.

    Args:
        settings: with the setting best_by.
    """
    score = settings.best_by
    if score not in GENERATED_SCORES:
        raise InputError(
            f"best_by must be one of {', '.join(GENERATED_SCORES)}; received {score!r}"
        )
    if settings.task in CLASSIFIER_TASKS:
        raise InputError(f"best_by is for a generator; received task {settings.task!r}")
    if score in CLASSIFIER_SCORES and settings.best_by_classifier is None:
        raise InputError(f"best_by {score} needs best_by_classifier, a model directory")
    if score == "copy_synthesis" and settings.features is None and settings.adapt_from is None:
        raise InputError("best_by copy_synthesis needs features (--features)")


def check_adaptation(settings: Settings) -> None:
    """Raises InputError for settings that do not fit the adaptation of a model.

    Args:
        settings: with the setting adapt_from or adapt_all.
    """
    if settings.adapt_from is None:
        raise InputError("adapt_all needs adapt_from, the model directory to adapt")
    # The adapted model has these already; nothing else may be asked for.
    fixed: dict[str, Any] = {
        "task": "generate",
        "preset": "small",
        "overrides": {},
        "features": None,
        "tags": None,
        "precision": "float32",
        "gradient_checkpointing": False,
    }
    if not settings.adapt_all:
        # Both change every row of the embedding, those of the other speakers too.
        fixed |= {"ema_decay": None, "weight_decay": 0.0}
    for name, value in fixed.items():
        if getattr(settings, name) != value:
            raise InputError(
                f"{name} cannot be set with adapt_from; received {getattr(settings, name)!r}"
            )
