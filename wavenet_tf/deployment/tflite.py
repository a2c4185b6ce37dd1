"""TFLite files of exported models."""

import tempfile

import tensorflow as tf

from wavenet_tf.deployment import tflite_file
from wavenet_tf.deployment.generator_tflite import TFLiteSignatures
from wavenet_tf.deployment.recognizer_tflite import TFLiteRecognizerSignatures
from wavenet_tf.errors import InputError
from wavenet_tf.options import QUANTIZATIONS


def convert(
    signatures: TFLiteSignatures | TFLiteRecognizerSignatures, quantization: str = "none"
) -> bytes:
    """Returns a TFLite file of the signatures.

    Args:
        signatures: functions of the file.
        quantization: "none"; "float16" or "dynamic_int8" for the weights; "int8" for weights and
            activations, which needs the ranges of the activations.

    Raises:
        InputError: for an unknown quantization, or ranges that the quantization does not use.
    """
    if quantization not in QUANTIZATIONS:
        raise InputError(
            f"quantization must be one of {', '.join(QUANTIZATIONS)}; received {quantization!r}"
        )
    if (quantization == "int8") != (signatures.ranges is not None):
        raise InputError(
            f"quantization {quantization} must have "
            f"{'the' if quantization == 'int8' else 'no'} ranges of activations"
        )
    functions = signatures.concrete_functions()
    root = tf.Module(name="wavenet")
    root.weights = [variable.value for variable in signatures.variables]
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(root, folder, functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        if quantization.endswith("int8"):
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        file = converter.convert()
    return tflite_file.finish(
        file,
        {**signatures.metadata, "quantization": quantization},
        half_precision=quantization == "float16",
    )
