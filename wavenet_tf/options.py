"""Names that arguments, flags and logs choose among; importable without TensorFlow."""

from collections.abc import Iterable

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
SCHEDULES = ("cosine", "exponential", "constant")
STRATEGIES = ("auto", "default", "mirrored", "multi_worker")
DISTRIBUTIONS = ("categorical", "logistic_mixture", "gaussian_mixture")
MIXTURE_MEANS = ("relative", "absolute")
QUANTIZATIONS = ("none", "float16", "dynamic_int8", "int8")
FOLDINGS = ("timit48", "timit39")  # of TIMIT's phones, see `data.phone_folding`
SPLITS_BY = ("recording", "speaker")
TASKS = ("generate", "speak", "classify", "recognize")
CLASSIFIER_TASKS = ("classify", "recognize")
# The models of a run of the task "speak".
SPEECH_MODELS = ("durations", "log_f0", "wavenet")
# Metrics by which checkpoints are compared, the lowest is the best, with their names in prose. The
# first one that a log has is used.
MONITORED_METRICS = {
    "bits_per_sample": "bits per sample",
    "classes_error_rate": "error rate",
    "error_rate": "error rate",
    "classes_loss": "loss of the classes",
    "loss": "loss",
}


def monitored_metric(names: Iterable[str]) -> str | None:
    """Returns the metric by which checkpoints are compared; None if there is none.

    Args:
        names: metrics of a log, with or without the prefix "val_".

    Example:
    >>> monitored_metric(["loss", "classes_loss", "val_loss", "val_classes_error_rate"])
    'classes_error_rate'
    """
    known = {name.removeprefix("val_") for name in names}
    return next((name for name in MONITORED_METRICS if name in known), None)
