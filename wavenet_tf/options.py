"""Names that arguments and flags choose among; importable without TensorFlow."""

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
SCHEDULES = ("cosine", "exponential", "constant")
STRATEGIES = ("auto", "default", "mirrored", "multi_worker")
DISTRIBUTIONS = ("categorical", "logistic_mixture", "gaussian_mixture")
QUANTIZATIONS = ("none", "float16", "dynamic_int8", "int8")
# Arguments of `WaveNet` that are whole numbers by default.
INTEGER_ARGUMENTS = (
    "num_stacks",
    "layers_per_stack",
    "kernel_size",
    "residual_channels",
    "gate_channels",
    "skip_channels",
    "head_channels",
    "quantization_channels",
    "num_mixtures",
    "sample_rate",
)
