"""One model in one runtime, in a process of its own: memory and start count alone.

`export/verify.py` starts it: python export/runtimes.py KIND PATH REQUEST ANSWER. KIND is "keras",
"saved_model" or "tflite"; the latter two do without what made the model.
"""

import sys

if __name__ == "__main__" and sys.argv[1:2] == ["tflite"]:

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

from wavenet_tf import clients
from wavenet_tf.conditioning import ConditioningSpec
from wavenet_tf.errors import InputError

METADATA_FILE = Path("assets", "wavenet.json")


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


def open_saved_model(path: str) -> Runtime:
    """A folder that export/saved_model.py wrote."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    metadata = json.loads(Path(path, METADATA_FILE).read_text(encoding="utf-8"))

    def call_signature(signature, **inputs):
        inputs = {name: tf.constant(value) for name, value in inputs.items()}
        answer = loaded.signatures[signature](**inputs)
        return {name: tensor.numpy() for name, tensor in answer.items()}

    def stream(batch_size, seed, **conditions):
        spec = ConditioningSpec.from_metadata(metadata)
        conditions = spec.checked(conditions, batch_size)
        first = {
            name: value[:, :1] if name == "local_conditioning" else value
            for name, value in conditions.items()
        }
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


KINDS = ("keras", "saved_model", "tflite")


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
    result = run(kind, path, pickle.loads(Path(request).read_bytes()))
    Path(answer).write_bytes(pickle.dumps(result))


if __name__ == "__main__":
    command_line.run(main)
