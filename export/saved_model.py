"""Exports a trained model for TensorFlow Serving and any other TensorFlow runtime.

    python export/saved_model.py --model_dir runs/first --output_dir served/wavenet

The model is a generator or a classifier. Each export gets a folder with the next version number,
which a server picks up by itself.
"""

from __future__ import annotations

from shared import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import os
import tempfile
from pathlib import Path

from absl import flags, logging

import wavenet_tf as wt
from wavenet_tf import files, runs
from wavenet_tf.errors import InputError

_MODEL_DIR = command_line.define_model_dir()
_STEP = command_line.define_step()
_OUTPUT_DIR = command_line.define_path(
    "output_dir", None, "Gets a folder with the next version number.", required=True
)
_XLA = flags.DEFINE_bool(
    "xla",
    False,
    "Compile a generator's sampling loop, many times as fast; not for a stock server.",
)
_BLOCK_SIZE = flags.DEFINE_integer(
    "block_size", None, "Samples of a block that a generator streams (about 1024).", 1
)
_MAX_SECONDS = command_line.define_positive("max_seconds", 60.0, "The most audio of one request.")
_TOP_K = command_line.define_top_k()
_TOP_P = command_line.define_top_p()
_WARM_UP = flags.DEFINE_bool("warm_up", True, "Add requests that a server answers when it starts.")

WARM_UP_FILE = "assets.extra/tf_serving_warmup_requests"


def main(argv):
    """Exports the model described by the flags."""
    command_line.refuse_words(argv)
    logging.set_verbosity(logging.WARNING)
    files.check_writable_folder(_OUTPUT_DIR.value)
    runs.find_model(_MODEL_DIR.value, _STEP.value)

    model = runs.load_model(
        _MODEL_DIR.value, _STEP.value, verbose=True, kind=wt.models.TrainableModel
    )
    signatures, description = signatures_of(model)
    output = Path(_OUTPUT_DIR.value)
    output.mkdir(parents=True, exist_ok=True)
    # A server must never see half a version: it is made under another name, then moved.
    with tempfile.TemporaryDirectory(prefix=".", dir=output) as folder:
        made = Path(folder, "made")
        wt.deployment.save(signatures, made)
        requests = wt.deployment.run_small_requests(made)
        if _WARM_UP.value:
            write_warm_up(made, requests)
        made.chmod(0o755)
        versions = [int(path.name) for path in output.iterdir() if path.name.isdecimal()]
        version = output / str(max(versions, default=0) + 1)
        os.rename(made, version)
    size = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
    print(
        f"{version}: {size / 1e6:.1f} MB, {description}, at most {_MAX_SECONDS.value:g} s a request"
    )


def signatures_of(model) -> tuple[wt.deployment.Signatures, str]:
    """Returns the signatures of a model with the options of the flags, and their description."""
    if isinstance(model, wt.WaveNet):
        options = {
            "block_size": _BLOCK_SIZE.value,
            "max_seconds": _MAX_SECONDS.value,
            "jit_compile": _XLA.value,
            "top_k": _TOP_K.value,
            "top_p": _TOP_P.value,
        }
        if model.config.phone_set:
            voice = runs.load_voice(_MODEL_DIR.value, _STEP.value)
            generator: wt.deployment.SavedModelSignatures
            prosody = wt.deployment.ProsodySignature(voice.durations, voice.log_f0)
            generator = wt.deployment.SavedModelSpeechSignatures(voice.wavenet, prosody, **options)
        else:
            generator = wt.deployment.SavedModelSignatures(model, **options)
        compiled = "compiled with XLA" if _XLA.value else "no XLA"
        return generator, f"blocks of {generator.block_size} samples, {compiled}"
    for flag in (_BLOCK_SIZE, _XLA, _TOP_K, _TOP_P):
        if flag.present:
            raise InputError(f"--{flag.name} is for generators; --model_dir holds a classifier")
    recognizer = wt.deployment.SavedModelRecognizerSignatures(model, _MAX_SECONDS.value)
    return recognizer, f"{model.num_classes} classes of {model.targets}"


def write_warm_up(directory: Path, requests: list[tuple[str, dict]]) -> None:
    """Writes requests in TensorFlow Serving's own format.

    Args:
        directory: of a SavedModel.
        requests: names of signatures, and their inputs.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    path = directory / WARM_UP_FILE
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, inputs in requests:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "wavenet"
            request.model_spec.signature_name = name
            for key, tensor in inputs.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(tensor))
            log = prediction_log_pb2.PredictLog(request=request)
            record = prediction_log_pb2.PredictionLog(predict_log=log)
            writer.write(record.SerializeToString())


if __name__ == "__main__":
    command_line.run(main)
