"""One model in one runtime, in a process of its own: memory and start count alone.

`export/verify.py` starts it: python export/runtimes.py KIND PATH REQUEST ANSWER. KIND is "keras",
"saved_model", "saved_model_blocks", "tflite" or "native"; all but the first do without what made
the model.
"""

import sys

if __name__ == "__main__" and sys.argv[1:2] in (["tflite"], ["native"]):

    class _Hidden:
        """Makes TensorFlow look as if it were not installed."""

        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in ("tensorflow", "keras"):
                raise ModuleNotFoundError(name)

    import importlib.util

    found = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *more: None if name == "tensorflow" else found(name)
    sys.meta_path.insert(0, _Hidden())

from shared import command_line  # isort: skip  (quiets TensorFlow, before it is imported)

import functools
import json
import pickle
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wavenet_tf import clients, recognition
from wavenet_tf.conditioning import ConditioningSpec
from wavenet_tf.errors import InputError

METADATA_FILE = Path("assets", "wavenet.json")
WARM_UP = 3  # recordings that are recognized before time is taken


class Runtime(NamedTuple):
    """What a model can be asked for."""

    stream: Callable[..., Iterator[np.ndarray]]  # of batch_size, seed and conditions
    score: Callable[..., np.ndarray]  # of audio and conditions: nats, [batch, time]


def open_keras(path: str, step: str) -> Runtime:
    """Opens the model of a training run, of the step that `runs.load_model` takes."""
    from wavenet_tf import models, runs

    model = runs.load_model(path, step)

    def score(audio, **conditions):
        return models.log_likelihood(model, audio, conditions).numpy()

    return Runtime(model.stream, score)


def load_saved_model(path: str) -> tuple[clients.CallSignature, dict[str, Any]]:
    """Returns what calls the signatures of a SavedModel, and its metadata."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    metadata = json.loads(Path(path, METADATA_FILE).read_text(encoding="utf-8"))

    def call_signature(signature, **inputs):
        inputs = {name: tf.constant(value) for name, value in inputs.items()}
        answer = loaded.signatures[signature](**inputs)
        return {name: tensor.numpy() for name, tensor in answer.items()}

    return call_signature, metadata


def open_saved_model(path: str) -> Runtime:
    """A folder that export/saved_model.py wrote."""
    call_signature, metadata = load_saved_model(path)

    def stream(batch_size, seed, **conditions):
        spec = ConditioningSpec.from_metadata(metadata)
        conditions = spec.checked(conditions, batch_size)
        first = clients.conditions_of_silence(metadata, conditions)
        state = call_signature(
            "initial_state", **(first or {"streams": np.zeros(batch_size, np.int32)})
        )
        return clients.AudioStream(call_signature, metadata, conditions, state, seed=seed)

    def score(audio, **conditions):
        return call_signature("score", audio=audio, **conditions)["log_likelihood"]

    return Runtime(stream, score)


def open_tflite(path: str) -> Runtime:
    """A file that export/tflite.py wrote."""
    from wavenet_tf import lite

    runner = lite.Runner(path)

    def stream(batch_size, seed, **conditions):
        return runner.stream(seed=seed, **conditions)

    def score(audio, **conditions):
        return runner.prime(audio, **conditions)[1]

    return Runtime(stream, score)


def open_native(path: str, batch_size: int) -> Runtime:
    """A file that export/native.py wrote."""
    from wavenet_tf import native

    runner = native.Runner(path, batch_size=batch_size)

    def stream(batch_size, seed, **conditions):
        return runner.stream(seed=seed, **conditions)

    def score(audio, **conditions):
        return runner.prime(audio, **conditions)[1]

    return Runtime(stream, score)


def open_keras_recognizer(path: str, step: str) -> recognition.BlockRecognizer:
    """Opens the classifier of a training run, of the step that `runs.load_model` takes."""
    use_one_thread()
    from wavenet_tf import models, runs

    return recognition.Recognizer(runs.load_model(path, step, kind=models.WaveNetClassifier))


def open_saved_recognizer(path: str) -> recognition.SignatureRecognizer:
    """A folder that export/saved_model.py wrote of a classifier."""
    use_one_thread()
    call_signature, metadata = load_saved_model(path)
    return recognition.SignatureRecognizer(call_signature, metadata)


def use_one_thread() -> None:
    """Makes TensorFlow compute with one thread, as TFLite does."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def open_lite_recognizer(path: str) -> recognition.BlockRecognizer:
    """A file that export/tflite.py wrote of a classifier."""
    from wavenet_tf import lite

    return lite.Recognizer(path)


KINDS = ("keras", "saved_model", "saved_model_blocks", "tflite", "native")


def run(kind: str, path: str, request: dict[str, Any]) -> dict[str, Any]:
    """Samples and scores what a request asks for.

    Args:
        kind: of the runtime.
        path: of the model.
        request: `batch_size`, `seed`, `samples` and `conditions` of the audio to make; `scored`,
            recordings as pairs of audio and conditions; and `step`, of the model of a training run.
    """
    started = time.perf_counter()
    openers: dict[str, Callable[[str], Runtime]] = {
        "keras": functools.partial(open_keras, step=request["step"]),
        "saved_model": open_saved_model,
        "tflite": open_tflite,
        "native": functools.partial(open_native, batch_size=request["batch_size"]),
    }
    runtime = openers[kind](path)
    stream = runtime.stream(
        batch_size=request["batch_size"], seed=request["seed"], **request["conditions"]
    )
    blocks = [next(stream)]
    first_seconds, seconds = time.perf_counter() - started, []
    while sum(block.shape[1] for block in blocks) < request["samples"]:
        started = time.perf_counter()
        blocks.append(next(stream))
        seconds.append((time.perf_counter() - started) / blocks[-1].shape[1])
    return {
        "audio": np.concatenate(blocks, axis=1)[:, : request["samples"]],
        "first_seconds": first_seconds,
        "samples_per_second": request["batch_size"] / np.median(seconds) if seconds else None,
        "peak_megabytes": peak_megabytes(),
        "nats": [runtime.score(audio, **conditions) for audio, conditions in request["scored"]],
    }


def run_recognition(kind: str, path: str, request: dict[str, Any]) -> dict[str, Any]:
    """Recognizes the recordings of a request, with one thread.

    Args:
        kind: of the runtime.
        path: of the model.
        request: `waveforms`; and `step`, of the model of a training run.
    """
    openers: dict[str, Callable[[str], Any]] = {
        "keras": functools.partial(open_keras_recognizer, step=request["step"]),
        "saved_model": open_saved_recognizer,
        "saved_model_blocks": open_saved_recognizer,
        "tflite": open_lite_recognizer,
    }
    recognizer = openers[kind](path)

    def probabilities(waveform) -> np.ndarray:
        if kind == "saved_model":  # whole recordings in one call
            return recognizer.probabilities(waveform)
        if recognizer.spec.per_frame:
            return np.exp(recognizer.log_probabilities(waveform))
        logits = recognizer.logits(waveform[None])[0].mean(axis=0)
        return recognition.class_probabilities(recognizer.spec, logits)

    waveforms = request["waveforms"]
    for waveform in waveforms[:WARM_UP]:  # graphs of several lengths are traced
        probabilities(waveform)
    started = time.perf_counter()
    answers = [probabilities(waveform) for waveform in waveforms]
    seconds = time.perf_counter() - started
    return {
        "probabilities": answers,
        "real_time_factor": sum(map(len, waveforms)) / recognizer.spec.sample_rate / seconds,
        "peak_megabytes": peak_megabytes(),
    }


def peak_megabytes() -> float:
    """The most memory that this process has had.

    Linux counts in `getrusage` what the process was before it became this program.
    """
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text(encoding="utf-8"))
        if found:
            return int(found.group(1)) / 1024
    try:
        import resource
    except ImportError:  # Windows has none
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(argv):
    """Answers the request in a file by another file."""
    if len(argv) != 5 or argv[1] not in KINDS:
        raise InputError(f"arguments must be {'|'.join(KINDS)} PATH REQUEST ANSWER")
    _, kind, path, request, answer = argv
    content = pickle.loads(Path(request).read_bytes())
    task = {clients.GENERATION: run, clients.RECOGNITION: run_recognition}[content["task"]]
    result = task(kind, path, content)
    Path(answer).write_bytes(pickle.dumps(result))


if __name__ == "__main__":
    command_line.run(main)
