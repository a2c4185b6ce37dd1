"""Compares what a trained model gives in Keras with every export of it, in one table.

    python export/verify.py --model_dir runs/first --data_dir recordings

The same uniform numbers and conditions, or for a classifier the same recordings, go to Keras, to
SavedModels, to TFLite of every quantization and to libwavenet, each in a process of its own.
"""

from __future__ import annotations

from shared import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import contextlib
import functools
import json
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import inputs
import verify_generator
import verify_recognizer
from absl import flags, logging

import wavenet_tf as wt
from wavenet_tf import clients, data, files, native, runs
from wavenet_tf.errors import InputError
from wavenet_tf.options import NATIVE_PRECISIONS, QUANTIZATIONS

# Kind of runtime, program and its arguments, of each export of a generator and of a recognizer.
TFLITE = {
    f"TFLite, {kind}": ("tflite", "tflite.py", [f"--quantization={kind}"]) for kind in QUANTIZATIONS
}
GENERATOR_EXPORTS = {
    "SavedModel": ("saved_model", "saved_model.py", []),
    "SavedModel, XLA": ("saved_model", "saved_model.py", ["--xla"]),
    **TFLITE,
    **{
        f"native, {precision}": ("native", "native.py", [f"--precision={precision}"])
        for precision in NATIVE_PRECISIONS
    },
}
RECOGNIZER_EXPORTS = {
    "SavedModel": ("saved_model", "saved_model.py", []),
    "SavedModel, blocks": ("saved_model_blocks", "saved_model.py", []),
    **TFLITE,
}

_MODEL_DIR = command_line.define_model_dir()
_STEP = command_line.define_step()
_DATA_DIR = command_line.define_path(
    "data_dir",
    None,
    "Folder of recordings: those that training keeps aside are scored.",
    required=True,
)
_SECONDS = flags.DEFINE_float("seconds", 2.0, "Of audio that each stream of a generator makes.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 1, "Streams that a generator makes at once.", 1)
_SCORED_SECONDS = command_line.define_positive(
    "scored_seconds", None, "Of recordings to score (10 of a generator, all of a classifier)."
)
_BLOCK_SIZE = flags.DEFINE_integer(
    "block_size",
    None,
    "Samples of a block (of a generator about 1024 in SavedModels and native, 256 in TFLite; of a "
    "classifier 0.1 s in TFLite).",
    1,
)
_RUNTIMES = flags.DEFINE_multi_enum(
    "runtime",
    None,
    list(GENERATOR_EXPORTS | RECOGNIZER_EXPORTS),
    "To compare with Keras (all of the model); may be given several times.",
)
_SEED = command_line.define_seed(0, "Of the uniform numbers of a generator.")
_VALIDATION_FRACTION = flags.DEFINE_float(
    "validation_fraction", None, "Of the duration, as training held it out (the run's)."
)
_JSON = command_line.define_path("json", None, "File to write the figures to.")

SCORED_SECONDS = 10.0
PROGRAMS = Path(__file__).resolve().parent


def main(argv):
    """Exports, runs and compares the model described by the flags."""
    command_line.refuse_words(argv)
    logging.set_verbosity(logging.WARNING)
    command_line.check_seconds(_SECONDS.value)
    command_line.check_exists("folder of recordings", _DATA_DIR.value)
    command_line.check_output("json", _JSON.value)
    runs.find_model(_MODEL_DIR.value, _STEP.value)

    with contextlib.redirect_stdout(sys.stderr):  # standard output is the table alone
        model = runs.load_model(
            _MODEL_DIR.value, _STEP.value, verbose=True, kind=wt.models.TrainableModel
        )
    recordings = runs.recordings_from_run(
        _MODEL_DIR.value, model, _DATA_DIR.value, "validation", _VALIDATION_FRACTION.value
    )
    prepare = prepare_generator if isinstance(model, wt.WaveNet) else prepare_recognizer
    comparison = prepare(model, recordings)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        exports: dict[str, tuple[str, Path, int | None]] = {
            "Keras": ("keras", Path(_MODEL_DIR.value), None)
        }
        for number, name in enumerate(comparison.runtimes):
            show(f"exporting {name} ...")
            exports[name] = export(
                comparison.runtimes[name],
                Path(folder, str(number)),
                isinstance(model, wt.WaveNet),
            )
        Path(folder, "request").write_bytes(pickle.dumps(comparison.request))
        reference: dict[str, Any] = {}
        for name, (kind, path, size) in exports.items():
            show(f"running {name} ...")
            answer = run_apart(kind, path, Path(folder))
            reference = reference or answer
            rows.append({"name": name, "bytes": size, **comparison.compare(answer, reference)})
    print(comparison.table(rows))
    if _JSON.value:
        files.write_text(_JSON.value, json.dumps(rows, indent=2) + "\n")


class Comparison(NamedTuple):
    """What is compared, and how.

    Attributes:
        runtimes: kind of runtime, program and its arguments, of each export.
        request: as `runtimes.run` takes it.
        compare: returns the figures of an answer, given that of Keras.
        table: returns the figures as a Markdown table.
    """

    runtimes: dict[str, tuple[str, str, list[str]]]
    request: dict[str, Any]
    compare: Callable[[dict, dict], dict[str, Any]]
    table: Callable[[list[dict]], str]


def prepare_generator(model: wt.WaveNet, recordings: data.Recordings) -> Comparison:
    """Returns how the exports of a generator are compared."""
    batch, samples = _BATCH_SIZE.value, inputs.length(_SECONDS.value, model.sample_rate)
    seconds = _SCORED_SECONDS.value or SCORED_SECONDS
    request = {
        "task": clients.GENERATION,
        "batch_size": batch,
        "seed": _SEED.value,
        "step": _STEP.value,
        "scored": list(verify_generator.recordings_to_score(recordings, model, batch, seconds)),
        **verify_generator.conditions_to_generate(recordings, model, batch, samples),
    }
    if not request["scored"]:
        raise InputError(
            f"--data_dir must hold {batch} recordings or more, of a frame each, to score; received "
            f"{len(recordings.names)} in the validation split"
        )
    return Comparison(
        chosen_runtimes(GENERATOR_EXPORTS),
        request,
        functools.partial(verify_generator.compared, model, request),
        verify_generator.table,
    )


def prepare_recognizer(model: wt.WaveNetClassifier, recordings: data.Recordings) -> Comparison:
    """Returns how the exports of a recognizer are compared."""
    for flag in (_SECONDS, _BATCH_SIZE, _SEED):
        if flag.present:
            raise InputError(f"--{flag.name} is for generators; --model_dir holds a classifier")
    settings = runs.Settings.from_run(_MODEL_DIR.value, data_dir=_DATA_DIR.value)
    scores = verify_recognizer.Scores(
        model,
        verify_recognizer.first_seconds(recordings, model, _SCORED_SECONDS.value),
        runs.class_sources(settings, model)[0],
        data.scored_classes(settings.folding),
        runs.load_decoder(_MODEL_DIR.value, model),
    )
    request = {
        "task": clients.RECOGNITION,
        "step": _STEP.value,
        "waveforms": scores.waveforms,
    }
    runtimes = chosen_runtimes(RECOGNIZER_EXPORTS)
    return Comparison(runtimes, request, scores.compared, verify_recognizer.table)


def chosen_runtimes(
    exports: dict[str, tuple[str, str, list[str]]],
) -> dict[str, tuple[str, str, list[str]]]:
    """Returns the exports that --runtime names; by default, all that can run here."""
    names = _RUNTIMES.value or [
        name for name in exports if exports[name][0] != "native" or native.is_available()
    ]
    for name in names:
        if name not in exports:
            raise InputError(
                f"--runtime must be one of {', '.join(map(repr, exports))} for this model; "
                f"received {name!r}"
            )
    return {name: exports[name] for name in names}


def export(
    runtime: tuple[str, str, list[str]], path: Path, generator: bool
) -> tuple[str, Path, int]:
    """Runs an export program; returns the kind of runtime, where the export is and its bytes."""
    kind, program, arguments = runtime
    arguments = [f"--model_dir={_MODEL_DIR.value}", f"--step={_STEP.value}", *arguments]
    if _BLOCK_SIZE.value is not None and (program == "tflite.py" or generator):
        arguments.append(f"--block_size={_BLOCK_SIZE.value}")
    if program == "saved_model.py":
        start(program, f"--output_dir={path}", *arguments)
        path = path / "1"
    elif program == "native.py":
        start(program, f"--output={path}", *arguments)
    else:
        arguments += [f"--batch_size={_BATCH_SIZE.value}", f"--output={path}"]
        start(program, f"--representative_data={_DATA_DIR.value}", *arguments)
    size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
    return kind, path, size


def run_apart(kind: str, path: Path, folder: Path) -> dict[str, Any]:
    """What `runtimes.run` returns, from a process of its own."""
    start("runtimes.py", kind, str(path), str(folder / "request"), str(folder / "answer"))
    return pickle.loads((folder / "answer").read_bytes())


def start(program: str, *arguments: str) -> None:
    """Runs a program of this folder to its end."""
    command = [sys.executable, str(PROGRAMS / program), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        raise InputError(f"{program} failed: {lines[-1]}")


def show(message: str) -> None:
    """Prints what is being done, on a terminal."""
    if sys.stderr.isatty():
        print(message, file=sys.stderr)


if __name__ == "__main__":
    command_line.run(main)
