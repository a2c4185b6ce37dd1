"""Measures how fast models sample, beside the machine's matrix products.

    python tools/benchmark.py --preset small --preset medium --batch_sizes 1,16,64

The yardstick is one float32 product of as many weights as a sampling step multiplies with the
batch, in numpy's BLAS on as many threads, measured in the same run and alternately. `--picture`
also draws what a step costs as the network grows deeper, and as its dilations grow.

    python tools/benchmark.py --data recordings --preset small

measures instead how fast batches of a corpus come, beside how fast training takes them.
"""

from __future__ import annotations

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import json
import sys
import tempfile
import time

import numpy as np
from absl import flags
from measuring import apart, machine, peak_megabytes, seconds_of, weights_of_a_step

import wavenet_tf as wt
from wavenet_tf import audio, data, files, models, reports
from wavenet_tf.errors import InputError

_PRESET = flags.DEFINE_multi_enum(
    "preset", ["medium"], list(models.PRESETS), "Size of the model; may be given several times."
)
_BATCH_SIZES = flags.DEFINE_list("batch_sizes", "1,16,64", "Streams sampled at once.")
_THREADS = flags.DEFINE_integer("threads", None, "Threads to use; all cores if not given.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 7, "Runs of which the median is taken.", 1)
_CONDITIONING = flags.DEFINE_multi_enum(
    "conditioning",
    [],
    list(models.PRESETS),
    "Also what conditioning and a context stack add to a step of this size.",
)
_DATA = command_line.define_path(
    "data", None, "Folder of recordings: measure how fast they feed training, and nothing else."
)
_PICTURE = command_line.define_path(
    "picture", None, "PNG, SVG or PDF file to draw the cost of growth into."
)
_JSON = command_line.define_path("json", None, "File to write the figures to.")
_README = command_line.define_path(
    "readme", None, "Markdown file whose performance table to renew."
)

# Larger models make shorter blocks, or a benchmark would take hours.
WEIGHTS_OF_A_BLOCK = 2**31
CROPS, CROP_SECONDS = 4, 1  # of a batch of `measure_data`
TABLE_BEGIN, TABLE_END = "<!-- benchmark -->", "<!-- end of benchmark -->"

# Arguments of the model for each row of the table of conditioning; features are 80 mel bands.
LOCAL: dict = {"local_channels": 80, "upsample_factors": (10, 20)}
CONDITIONED: dict[str, dict] = {
    "unconditional": {},
    "speaker": {"num_speakers": 100},
    "mel, learned upsampling": LOCAL,
    "mel, repeated": {**LOCAL, "upsampling": "repeat"},
    "speaker and mel": {"num_speakers": 100, **LOCAL},
    "context stack": {"context_stacks": models.PRESETS["music"]["context_stacks"]},
    "16-bit logistic mixture": {"output_distribution": "logistic_mixture"},
}


def measure(preset: str, batch_size: int, threads: int | None, repeats: int) -> dict:
    """Times sampling and the yardstick alternately.

    Args:
        preset: of the model.
        batch_size: streams.
        threads: that sampling may use; None for every core.
        repeats: of which the medians are taken.
    """
    import threadpoolctl

    model = wt.WaveNet.from_preset(preset)
    weights = weights_of_a_step(model)
    side = round(weights**0.5)
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(side, side)).astype(np.float32)
    vectors = generator.normal(size=(batch_size, side)).astype(np.float32)
    block_size = min(wt.sampling.BLOCK_SIZE, max(64, WEIGHTS_OF_A_BLOCK // weights))
    start = time.perf_counter()
    stream = model.stream(batch_size, seed=0, block_size=block_size, threads=threads)
    num_threads = len(wt.sampling.plan(batch_size, threads).groups)
    next(stream)
    first_block = time.perf_counter() - start
    next(stream)
    steps, products = [], []
    for _ in range(repeats):
        steps.append(seconds_of(next, stream) / block_size)
        with threadpoolctl.threadpool_limits(num_threads, user_api="blas"):
            products.append(np.median([seconds_of(np.matmul, vectors, matrix) for _ in range(50)]))
    stream.close()
    step, product = float(np.median(steps)), float(np.median(products))
    return {
        "preset": preset,
        "batch_size": batch_size,
        "threads": num_threads,
        "samples_per_second": batch_size / step,
        "real_time_factor": 1 / step / model.sample_rate,
        "step_microseconds": step * 1e6,
        "blas_microseconds": product * 1e6,
        "ratio": step / product,
        "compile_seconds": first_block - step * block_size,
        "peak_megabytes": peak_megabytes(),
    }


def measure_conditioning(
    preset: str, batch_size: int, threads: int | None, repeats: int
) -> dict[str, float]:
    """Times a step of a model under each kind of conditioning, alternately.

    Args:
        preset: of the model.
        batch_size: streams.
        threads: that sampling may use; None for every core.
        repeats: of which the medians are taken.

    Returns:
        Microseconds a step, by the names in `CONDITIONED`.
    """
    streams = {}
    samples = (repeats + 2) * wt.sampling.BLOCK_SIZE
    for name, arguments in CONDITIONED.items():
        model = wt.WaveNet.from_preset(preset, **arguments)
        conditions: dict = {}
        if model.config.num_speakers:
            conditions["speaker_id"] = 0
        if model.hop_length:
            frames = -(-samples // model.hop_length)
            noise = np.random.default_rng(0).normal(size=(batch_size, frames, 80))
            conditions["local_conditioning"] = noise.astype(np.float32)
        streams[name] = model.stream(batch_size, seed=0, threads=threads, **conditions)
        next(streams[name])
    times = [[seconds_of(next, stream) for stream in streams.values()] for _ in range(repeats)]
    medians = np.median(times, axis=0) / wt.sampling.BLOCK_SIZE * 1e6
    return dict(zip(streams, medians.tolist(), strict=True))


def measure_growth(repeats: int) -> dict:
    """Times a step of one stream of `medium`, made deeper, and with other dilations.

    Args:
        repeats: of which the medians are taken.

    Returns:
        For "layers" and "dilation_limit", pairs of their value and microseconds a step.
    """
    # 24 layers each: only the dilations, and with them the receptive field, grow.
    shapes = {("layers", 10 * stacks): (stacks, 10) for stacks in range(1, 7)}
    shapes |= {("dilation_limit", 2 ** (n - 1)): (24 // n, n) for n in (4, 6, 8, 12)}
    streams = {}
    for key, (num_stacks, layers_per_stack) in shapes.items():
        model = wt.WaveNet.from_preset(
            "medium", num_stacks=num_stacks, layers_per_stack=layers_per_stack
        )
        streams[key] = model.stream(seed=0)
        next(streams[key])
    times = [[seconds_of(next, stream) for stream in streams.values()] for _ in range(repeats)]
    growth: dict[str, list] = {"layers": [], "dilation_limit": []}
    for (quantity, value), seconds in zip(streams, np.median(times, axis=0), strict=True):
        growth[quantity].append((value, float(seconds) / wt.sampling.BLOCK_SIZE * 1e6))
    return growth


def measure_data(directory: str, preset: str, repeats: int) -> dict[str, float]:
    """Times batches from each kind of source, and training steps, alternately.

    Args:
        directory: of recordings.
        preset: of the model that is trained, on batches of 4 crops of a second.
        repeats: of which the medians are taken.

    Returns:
        Scored samples a second; those that training takes first.
    """
    import tensorflow as tf

    model = wt.WaveNet.from_preset(preset)
    model.compile("adam")
    on_demand = data.read_recordings(directory, model.sample_rate, in_memory_bytes=0)
    with tempfile.TemporaryDirectory() as folder:
        data.prepare(data.Preparation(directory, sample_rate=model.sample_rate), folder)
        recordings = {
            "raw, decoded when asked for": on_demand,
            "raw, read into memory": data.read_recordings(directory, model.sample_rate),
            "prepared": data.open_prepared(folder),
        }
        sources = {
            name: data.training_batches(part, model.crop_spec, CROPS, CROP_SECONDS)
            for name, part in recordings.items()
        }
        paths = [str(on_demand.directory / name.partition("#")[0]) for name in on_demand.names]
        for decoder in audio.decoders():
            sources[f"whole files, decode_audio by {decoder}"] = _whole_files(
                paths, model.sample_rate, decoder
            )
        batch = next(iter(sources["prepared"]))
        iterators = {name: iter(source) for name, source in sources.items()}
        samples = CROPS * CROP_SECONDS * model.sample_rate
        speeds: dict[str, list[float]] = {"training": [], **{name: [] for name in sources}}
        model.train_on_batch(*batch)
        for _ in range(repeats):
            seconds = sum(seconds_of(model.train_on_batch, *batch) for _ in range(4))
            speeds["training"].append(4 * samples / seconds)
            for name, iterator in iterators.items():
                taken, start = 0, time.perf_counter()
                while time.perf_counter() < start + 1.0:
                    taken += int(tf.reduce_sum(next(iterator)[-1]))
                speeds[name].append(taken / (time.perf_counter() - start))
                # What is fetched ahead is done before the next one is measured.
                time.sleep(0.3)
    return {name: float(np.median(values)) for name, values in speeds.items()}


def _whole_files(paths: list[str], sample_rate: int, decoder: str):
    """Whole recordings, decoded by operations of the graph, and how long they are."""
    import tensorflow as tf

    def decode(path):
        waveform = audio.decode_audio(tf.io.read_file(path), sample_rate, decoder)
        return waveform, tf.size(waveform)

    dataset = tf.data.Dataset.from_tensor_slices(paths).repeat()
    return dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def data_table(speeds: dict[str, float]) -> str:
    """The figures of `measure_data` as a Markdown table."""
    lines = ["| source | samples/s | times what training takes |", "| --- | --- | --- |"]
    for name, speed in speeds.items():
        lines.append(f"| {name} | {speed:,.0f} | {speed / speeds['training']:.1f} |")
    return "\n".join(lines)


def table(rows: list[dict]) -> str:
    """The figures as a Markdown table, under a line that describes the machine."""
    lines = [
        f"float32, {machine()}:",
        "",
        "| preset | streams | threads | samples/s | x real time | step | BLAS product | ratio "
        "| compile | peak memory |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        lines.append(
            f"| `{row['preset']}` | {row['batch_size']} | {row['threads']} "
            f"| {row['samples_per_second']:,.0f} "
            f"| {row['real_time_factor']:.2f} | {row['step_microseconds']:,.0f} us "
            f"| {row['blas_microseconds']:,.0f} us | {row['ratio']:.2f} "
            f"| {row['compile_seconds']:.1f} s | {row['peak_megabytes']:,.0f} MB |"
        )
    return "\n".join(lines)


def conditioning_table(rows: dict[tuple[str, int], dict[str, float]]) -> str:
    """Microseconds a step, and how many times the unconditional step, as a Markdown table.

    Args:
        rows: of `measure_conditioning`, by preset and streams.
    """
    columns = [f"`{preset}`, {_count(streams, 'stream')}" for preset, streams in rows]
    lines = ["| a step | " + " | ".join(columns) + " |", "| --- " * (len(rows) + 1) + "|"]
    for name in CONDITIONED:
        cells = [
            f"{steps[name]:,.0f} us ({steps[name] / steps['unconditional']:.2f})"
            for steps in rows.values()
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def main(argv):
    """Measures, prints, and writes what the flags ask for."""
    command_line.refuse_words(argv)
    batch_sizes = command_line.whole_numbers("batch_sizes", _BATCH_SIZES.value)
    command_line.check_exists("folder of recordings", _DATA.value)
    reports.check_picture_path(_PICTURE.value)
    for flag in (_PICTURE, _JSON, _README):
        command_line.check_output(flag.name, flag.value)
    command_line.check_exists("Markdown file", _README.value)
    if _DATA.value:
        for preset in _PRESET.value:
            speeds = apart(measure_data, _DATA.value, preset, _REPEATS.value)
            print(f"{preset}, {machine()}:\n\n{data_table(speeds)}")
        return
    rows = []
    for preset in _PRESET.value:
        for batch_size in batch_sizes:
            print(f"measuring {preset}, {batch_size} streams ...", file=sys.stderr)
            rows.append(apart(measure, preset, batch_size, _THREADS.value, _REPEATS.value))
    report = {"machine": machine(), "rows": rows}
    text = table(rows)
    if _CONDITIONING.value:
        conditioned = {}
        for preset in _CONDITIONING.value:
            for batch_size in batch_sizes:
                print(f"measuring {preset}, {batch_size} streams, conditioned", file=sys.stderr)
                conditioned[preset, batch_size] = apart(
                    measure_conditioning, preset, batch_size, _THREADS.value, _REPEATS.value
                )
        report["conditioning"] = [
            {"preset": preset, "batch_size": batch_size, "step_microseconds": steps}
            for (preset, batch_size), steps in conditioned.items()
        ]
        text += "\n\n" + conditioning_table(conditioned)
    print(text)
    if _PICTURE.value:
        print("measuring growth ...", file=sys.stderr)
        report["growth"] = apart(measure_growth, _REPEATS.value)
        curves = {
            "layers, dilations up to 512": report["growth"]["layers"],
            "dilation limit, 24 layers": report["growth"]["dilation_limit"],
        }
        reports.draw_curves(curves, "microseconds a sample", _PICTURE.value)
    if _JSON.value:
        files.write_text(_JSON.value, json.dumps(report, indent=2) + "\n")
    if _README.value:
        with open(_README.value, encoding="utf-8") as file:
            before, _, rest = file.read().partition(TABLE_BEGIN)
        _, found, after = rest.partition(TABLE_END)
        if not found:
            raise InputError(f"{_README.value} has no place for the table: {TABLE_BEGIN}")
        files.write_text(_README.value, f"{before}{TABLE_BEGIN}\n\n{text}\n\n{TABLE_END}{after}")


if __name__ == "__main__":
    command_line.run(main)
