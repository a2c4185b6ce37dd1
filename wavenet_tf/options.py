"""Names that arguments, flags and logs choose among; importable without TensorFlow."""

from collections.abc import Iterable

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
SCHEDULES = ("cosine", "exponential", "constant")
STRATEGIES = ("auto", "default", "mirrored", "multi_worker")
DISTRIBUTIONS = ("categorical", "logistic_mixture", "gaussian_mixture")
MIXTURE_MEANS = ("relative", "absolute")
QUANTIZATIONS = ("none", "float16", "dynamic_int8", "int8")
NATIVE_PRECISIONS = ("float32", "int8")
RUNTIMES = ("auto", "tensorflow", "native", "native_int8")
# Fewer streams leave a GPU idle between its kernels, each of them shorter than its launch.
STREAMS_FOR_GPU = 16
FOLDINGS = ("timit48", "timit39", "unstressed")  # of phones, see `data.phone_folding`
SPLITS_BY = ("recording", "speaker")
TASKS = ("generate", "speak", "classify", "recognize")
CLASSIFIER_TASKS = ("classify", "recognize")
# The models of a run of the task "speak".
SPEECH_MODELS = ("durations", "log_f0", "wavenet")
# Metrics of training and validation by which checkpoints are compared, the lowest is the best, with
# their names in prose. The first one that a log has is used.
MONITORED_METRICS = {
    "bits_per_sample": "bits per sample",
    "classes_error_rate": "error rate",
    "error_rate": "error rate",
    "classes_loss": "loss of the classes",
    "loss": "loss",
}

# Scores of generated audio by which checkpoints are compared instead, with their names in prose.
# The lowest is the best: each is a distance from the recordings, or an error rate.
GENERATED_SCORES = {
    "silence": "difference of the share of silence",
    "noise": "difference of the share of noise-like frames",
    "pitched": "difference of the share of pitched frames",
    "level": "dB difference of the level",
    "spectrum": "dB between the average spectra",
    "copy_synthesis": "dB log-spectral distance of copy synthesis",
    "frechet": "Frechet distance",
    "classes": "error rate of the classes of generated audio",
}
CLASSIFIER_SCORES = ("frechet", "classes")
GENERATED = "generated_"  # begins the names of their columns in a log


def compared_metric(names: Iterable[str]) -> str | None:
    """Returns the metric by which checkpoints are compared; None if there is none.

    It is the score of generated audio if a log has one, and else the monitored metric.

    Args:
        names: metrics of a log, with or without the prefix "val_".

    Example:
    >>> compared_metric(["bits_per_sample", "val_bits_per_sample", "val_generated_noise"])
    'generated_noise'
    """
    names = [name.removeprefix("val_") for name in names]
    scores = (name for name in names if name.startswith(GENERATED))
    return next(scores, monitored_metric(names))


def describe_metric(metric: str) -> str:
    """Returns the name in prose of a metric that `compared_metric` returns.

    Example:
    >>> describe_metric("generated_spectrum")
    'dB between the average spectra'
    """
    return {**MONITORED_METRICS, **GENERATED_SCORES}[metric.removeprefix(GENERATED)]


def monitored_metric(names: Iterable[str]) -> str | None:
    """Returns the monitored metric of training and validation; None if there is none.

    Args:
        names: metrics of a log, with or without the prefix "val_".

    Example:
    >>> monitored_metric(["loss", "classes_loss", "val_loss", "val_classes_error_rate"])
    'classes_error_rate'
    """
    known = {name.removeprefix("val_") for name in names}
    return next((name for name in MONITORED_METRICS if name in known), None)
