"""Names that arguments and flags choose among; importable without TensorFlow."""

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
SCHEDULES = ("cosine", "exponential", "constant")
STRATEGIES = ("auto", "default", "mirrored", "multi_worker")
DISTRIBUTIONS = ("categorical", "logistic_mixture", "gaussian_mixture")
QUANTIZATIONS = ("none", "float16", "dynamic_int8", "int8")
