"""Tiny models by name, which the suites of contracts, sampling and exports run over."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from conftest import SMALL, randomise, small_model
from oracles import random_conditions

import wavenet_tf as wt

HOP = 20
LOCAL = {"local_channels": 5, "upsample_factors": (4, 5)}
CONTEXT = {"context_stacks": [{"pooling": HOP, "layers_per_stack": 3, "channels": 4}]}

# Linear steps instead of the mu-law, with silence beside the middle.
STEPS = np.arange(-24, 40) / 64.0
CODE_TABLE = {
    "quantization_channels": 64,
    "code_table": {
        "thresholds": (STEPS[1:] - 1 / 128.0).tolist(),
        "values": STEPS.tolist(),
        "silence": 24,
    },
}

# A mixture as other programs have it.
LINEAR = {
    "mixture_means": "absolute",
    "log_scale_floor": -16.0,
    "round_samples": False,
    "compand_input": False,
}

# Every kind of conditioning by itself, and all at once. Six layers per stack have short- and
# long-dilation blocks in the sampling loop.
MODELS: Mapping[str, dict[str, Any]] = {
    "unconditional": {"layers_per_stack": 6},
    "global": {"num_speakers": 4, "global_channels": 3},
    "local": {**LOCAL, "kernel_size": 3},
    "causal": {**LOCAL, "causal_upsampling": True},
    "repeat": {**LOCAL, "upsampling": "repeat"},
    "stretch": {**LOCAL, "upsampling": "stretch", "upsampling_context": 2, "upsampling_bands": 3},
    "rectified": {**LOCAL, "upsampling_activation": "relu"},
    "several frames a chunk": {**LOCAL, "upsample_factors": (7,), "upsampling": "repeat"},
    "both": {"num_speakers": 4, **LOCAL},
    "context": {"context_stacks": [{"pooling": 24, "layers_per_stack": 3, "channels": 5}]},
    "long input": {"input_kernel_size": 7},
    "short input": {"input_kernel_size": 1, "kernel_size": 3},
    "dilations": {"dilations": (1, 3, 16, 32, 21), "residual_scale": 0.7},
    "code table": CODE_TABLE,
    "linear": LINEAR,
    "all": {
        "num_speakers": 4,
        "context_stacks": [
            {"pooling": 5, "layers_per_stack": 2, "channels": 4, "kernel_size": 3},
            {"pooling": 40, "num_stacks": 2, "layers_per_stack": 2},
        ],
        **LOCAL,
    },
}

# Models of which every export is compared with the original.
EXPORTED: Mapping[str, dict[str, Any]] = {
    "plain": MODELS["unconditional"],
    "stretch": {**MODELS["stretch"], "pre_emphasis": 0.2, "gain": 1.5},
    "linear": {
        **LINEAR,
        "output_distribution": "logistic_mixture",
        "pre_emphasis": 0.2,
        "gain": 1.5,
    },
    "code table": {**CODE_TABLE, "input_kernel_size": 5},
    "speaker": {"num_speakers": 3, "global_channels": 2, "output_distribution": "gaussian_mixture"},
    "repeated frames": {**LOCAL, "upsampling": "repeat", "kernel_size": 3},
    "everything": {
        "layers_per_stack": 5,
        "num_speakers": 3,
        **LOCAL,
        **CONTEXT,
        "output_distribution": "logistic_mixture",
    },
}


def new_model(name: str, **overrides) -> wt.WaveNet:
    """Returns the model of that name, with random weights."""
    if "code_table" in MODELS[name]:
        overrides["output_distribution"] = "categorical"
    elif "mixture_means" in MODELS[name]:
        overrides["output_distribution"] = "logistic_mixture"
    return small_model(**{**MODELS[name], **overrides})


def random_inputs(model: wt.WaveNet, batch: int, samples: int) -> dict[str, Any]:
    """Returns random audio and conditions, as the model takes them."""
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, [batch, samples]).astype(np.float32)
    return {
        "audio": model.distribution.encode(audio).numpy(),
        **random_conditions(model, batch, samples),
    }


# Classifiers of which every export is compared with the original: one of each kind of targets.
CLASSIFIERS: Mapping[str, dict[str, Any]] = {
    "frames": {"trunk": {**SMALL, "output_distribution": "logistic_mixture"}},
    "clip": {"class_names": ["yes", "no", "maybe"]},
    "tags": {"trunk": {**SMALL, **CONTEXT}, "kernel_size": 1},  # no look-ahead
    "sequence": {"kernel_size": 3},
}


def small_classifier(targets: str = "frames", **arguments) -> wt.WaveNetClassifier:
    """Returns a classifier of three classes, with random weights.

    Args:
        targets: kind of the classes.
        **arguments: of the classifier, others than the defaults here.
    """
    defaults = {"trunk": SMALL, "num_classes": 3, "channels": 7, "targets": targets}
    model = wt.WaveNetClassifier(**{**defaults, **arguments})
    randomise(model)
    return model
