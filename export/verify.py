"""Compares what a trained model gives in Keras with every export of it, in one table.

    python export/verify.py --model_dir runs/first --data_dir recordings

The same uniform numbers and conditions go to Keras, to a SavedModel with and without XLA, and to
TFLite of every quantization, each in a process of its own.
"""

from __future__ import annotations

from shared import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import contextlib
import json
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import inputs
import numpy as np
from absl import flags, logging

import wavenet_tf as wt
from wavenet_tf import data, files, runs
from wavenet_tf.errors import InputError
from wavenet_tf.options import QUANTIZATIONS

# Program and arguments of each.
EXPORTS = {
    "SavedModel": ("saved_model.py", []),
    "SavedModel, XLA": ("saved_model.py", ["--xla"]),
    **{f"TFLite, {kind}": ("tflite.py", [f"--quantization={kind}"]) for kind in QUANTIZATIONS},
}

_MODEL_DIR = command_line.define_model_dir()
_STEP = command_line.define_step()
_DATA_DIR = command_line.define_path(
    "data_dir",
    None,
    "Folder of recordings: those that training keeps aside are scored.",
    required=True,
)
_SECONDS = flags.DEFINE_float("seconds", 2.0, "Of audio to make, by each stream.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 1, "Streams made at once.", 1)
_SCORED_SECONDS = command_line.define_positive("scored_seconds", 10.0, "Of recordings to score.")
_BLOCK_SIZE = flags.DEFINE_integer(
    "block_size", None, "Samples of a block (about 1024 in SavedModels, 256 in TFLite).", 1
)
_RUNTIMES = flags.DEFINE_multi_enum(
    "runtime", list(EXPORTS), list(EXPORTS), "To compare with Keras; may be given several times."
)
_SEED = command_line.define_seed(0, "Of the uniform numbers.")
_VALIDATION_FRACTION = flags.DEFINE_float(
    "validation_fraction", None, "Of the duration, as training held it out (the run's)."
)
_JSON = command_line.define_path("json", None, "File to write the figures to.")

PROGRAMS = Path(__file__).resolve().parent
# Uniform numbers so near to a boundary may fall on either side of it.
ROUNDING = 1e-4


def main(argv):
    """Exports, runs and compares the model described by the flags."""
    command_line.refuse_words(argv)
    logging.set_verbosity(logging.WARNING)
    command_line.check_seconds(_SECONDS.value)
    command_line.check_exists("folder of recordings", _DATA_DIR.value)
    command_line.check_output("json", _JSON.value)
    runs.find_model(_MODEL_DIR.value, _STEP.value)

    with contextlib.redirect_stdout(sys.stderr):  # standard output is the table alone
        model = runs.load_model(_MODEL_DIR.value, _STEP.value, verbose=True)
    recordings = runs.recordings_from_run(
        _MODEL_DIR.value, model, _DATA_DIR.value, "validation", _VALIDATION_FRACTION.value
    )
    samples = inputs.length(_SECONDS.value, model.sample_rate)
    request = {
        "batch_size": _BATCH_SIZE.value,
        "seed": _SEED.value,
        "step": _STEP.value,
        "scored": list(recordings_to_score(recordings, model)),
        **conditions_to_generate(recordings, model, samples),
    }
    if not request["scored"]:
        raise InputError(
            f"--data_dir must hold {_BATCH_SIZE.value} recordings or more, of a frame each, to "
            f"score; received {len(recordings.names)} in the validation split"
        )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        exports: dict[str, tuple[str, Path, int | None]] = {
            "Keras": ("keras", Path(_MODEL_DIR.value), None)
        }
        for number, name in enumerate(_RUNTIMES.value):
            show(f"exporting {name} ...")
            exports[name] = export(name, Path(folder, str(number)))
        Path(folder, "request").write_bytes(pickle.dumps(request))
        reference: dict[str, Any] = {}
        for name, (kind, path, size) in exports.items():
            show(f"running {name} ...")
            answer = run_apart(kind, path, Path(folder))
            reference = reference or answer
            rows.append(
                {"name": name, "bytes": size, **compared(model, request, answer, reference)}
            )
    print(table(rows))
    if _JSON.value:
        files.write_text(_JSON.value, json.dumps(rows, indent=2) + "\n")


def export(name: str, path: Path) -> tuple[str, Path, int]:
    """Runs an export program; returns the kind of runtime, where the export is and its bytes."""
    program, arguments = EXPORTS[name]
    arguments = [f"--model_dir={_MODEL_DIR.value}", *arguments]
    arguments.append(f"--step={_STEP.value}")
    if _BLOCK_SIZE.value is not None:
        arguments.append(f"--block_size={_BLOCK_SIZE.value}")
    if program == "saved_model.py":
        start(program, f"--output_dir={path}", *arguments)
        kind, path = "saved_model", path / "1"
    else:
        arguments += [f"--batch_size={_BATCH_SIZE.value}", f"--output={path}"]
        start(program, f"--representative_data={_DATA_DIR.value}", *arguments)
        kind = "tflite"
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


def recordings_to_score(recordings: data.Recordings, model: wt.WaveNet):
    """Recordings as audio `[batch, time]` and their conditions; whole frames of each."""
    batch, hop = _BATCH_SIZE.value, model.hop_length or 1
    remaining = _SCORED_SECONDS.value * model.sample_rate
    for first in range(0, len(recordings.names) - batch + 1, batch):
        clips = range(first, first + batch)
        waveforms = [recordings.waveform(clip) for clip in clips]
        length = min(map(len, waveforms)) // hop * hop
        if not length:
            continue
        audio = np.stack([waveform[:length] for waveform in waveforms]).astype(np.float32)
        conditions = data.clip_conditions(model.crop_spec.conditions, recordings.select(clips))
        if model.hop_length:
            frames = conditions["local_conditioning"]
            conditions["local_conditioning"] = frames[:, : length // hop]
        yield audio, conditions
        remaining -= batch * length
        if remaining <= 0:
            return


def conditions_to_generate(
    recordings: data.Recordings, model: wt.WaveNet, samples: int
) -> dict[str, Any]:
    """Conditions of the audio to make, and its samples: whole frames of them."""
    batch, conditions = _BATCH_SIZE.value, {}
    if model.config.num_speakers:
        conditions["speaker_id"] = np.arange(batch, dtype=np.int32) % model.config.num_speakers
    for source in model.crop_spec.clip_sources:
        if source.name != "speaker_id":
            clips = np.arange(batch) % len(recordings.names)
            values = [source.clip_value(recordings, int(clip)) for clip in clips]
            conditions[source.name] = np.stack(values)
    hop = model.hop_length
    if hop:
        count = -(-samples // hop)
        frames = recordings.sample_frames()
        places = np.arange(count) + len(frames) // batch * np.arange(batch)[:, None]
        conditions["local_conditioning"] = frames[places % len(frames)]
        samples = count * hop
    return {"conditions": conditions, "samples": samples}


def compared(model: wt.WaveNet, request, answer, reference) -> dict[str, Any]:
    """The figures of one runtime, of which some are relative to Keras."""
    nats = np.concatenate([part.ravel() for part in answer["nats"]])
    expected = np.concatenate([part.ravel() for part in reference["nats"]])
    encode = model.distribution.encode
    equal = np.all(encode(answer["audio"]) == encode(reference["audio"]), axis=0)
    drawn = draws(model, request, answer["audio"])
    return {
        # Of a stream, before the first that differs: from there on its past samples differ.
        "samples_equal": len(equal) if equal.all() else int(np.argmin(equal)),
        **drawn,
        "largest_difference_nats": float(np.abs(nats - expected).max()),
        "bits_per_sample": float(-nats.mean() / np.log(2.0)),
        "bits_lost": float((expected - nats).mean() / np.log(2.0)),
        "samples_per_second": answer["samples_per_second"],
        "first_seconds": answer["first_seconds"],
        "peak_megabytes": answer["peak_megabytes"],
    }


def draws(model: wt.WaveNet, request, audio: np.ndarray) -> dict[str, int]:
    """Counts draws in which Keras differs, after the same samples and for the same uniforms.

    Returns:
        `draws`, all of them; `differing`, those that differ; and `by_rounding`, of these, those
        whose uniform number lies within rounding of a boundary.
    """
    import tensorflow as tf

    batch, samples = audio.shape
    shape = (samples, batch, *model.distribution.uniforms_shape)
    uniforms = np.random.default_rng(request["seed"]).random(shape, np.float32).swapaxes(0, 1)
    parameters = wt.models.distribution_parameters(model, audio, request["conditions"])
    values = model.distribution.encode(audio).numpy()

    def draw(numbers):
        numbers = np.clip(numbers, 0.0, 1.0 - 2.0**-24).astype(np.float32)
        drawn = model.distribution.sample(
            tf.reshape(parameters, [-1, parameters.shape[-1]]),
            numbers.reshape(-1, *numbers.shape[2:]),
        )
        return np.reshape(drawn, values.shape)

    differing = draw(uniforms) != values
    # A mixture's values lie a step of 16 bits apart, which any rounding may cross.
    step = 0 if values.dtype == np.int32 else 2.0**-15
    lowest, highest = draw(uniforms - ROUNDING), draw(uniforms + ROUNDING)
    lowest, highest = np.minimum(lowest, highest), np.maximum(lowest, highest)
    near = (values >= lowest - step) & (values <= highest + step)
    return {
        "draws": int(differing.size),
        "differing": int(differing.sum()),
        "by_rounding": int((differing & near).sum()),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| runtime | samples as Keras | draws that differ (by rounding) | largest difference "
        "| bits per sample | lost | size | samples/s | first block | peak memory |",
        "| --- " * 10 + "|",
    ]
    for row in rows:
        size = "" if row["bytes"] is None else f"{row['bytes'] / 1e6:.2f} MB"
        lines.append(
            f"| {row['name']} | {row['samples_equal']:,} "
            f"| {row['differing']:,} ({row['by_rounding']:,}) of {row['draws']:,} "
            f"| {row['largest_difference_nats']:.2g} nats | {row['bits_per_sample']:.4f} "
            f"| {row['bits_lost']:.4f} | {size} | {row['samples_per_second'] or 0:,.0f} "
            f"| {row['first_seconds']:.1f} s | {row['peak_megabytes']:,.0f} MB |"
        )
    return "\n".join(lines)


def show(message: str) -> None:
    """Prints what is being done, on a terminal."""
    if sys.stderr.isatty():
        print(message, file=sys.stderr)


if __name__ == "__main__":
    command_line.run(main)
