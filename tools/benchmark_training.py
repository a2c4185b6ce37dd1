"""Measures how fast models train, beside the machine's matrix products.

    python tools/benchmark_training.py --preset small --precision float32 --batch_sizes 4,8

The yardstick is a product of two large square matrices of the same precision, measured in the same
run and alternately: the share is what a step would take if it were such products only, of what it
takes.
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import json
import sys
import time

import numpy as np
from absl import flags
from measuring import apart, machine, seconds_of, weights_of_a_step

import wavenet_tf as wt
from wavenet_tf import files, models, options

_PRESET = flags.DEFINE_multi_enum(
    "preset", ["small"], list(models.PRESETS), "Size of the model; may be given several times."
)
_PRECISION = flags.DEFINE_multi_enum(
    "precision", ["float32"], options.PRECISIONS, "Of the network; may be given several times."
)
_BATCH_SIZES = flags.DEFINE_list("batch_sizes", "4", "Crops a batch.")
_CROP_SAMPLES = flags.DEFINE_integer("crop_samples", 8000, "Length of a crop.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 7, "Runs of four steps of which the median is taken.", 1)
_JSON = command_line.define_path("json", None, "File to write the figures to.")

STEPS = 4  # of a run
PRODUCT_SIDE = 4096
# A weight's product with a sample is two operations; its gradient and the sample's are as many.
OPERATIONS_OF_A_WEIGHT = 6


def measure(preset: str, precision: str, batch_size: int, crop: int, repeats: int) -> dict:
    """Times steps of `fit` and the yardstick alternately.

    Args:
        preset: of the model.
        precision: of the network.
        batch_size: crops.
        crop: its length, in samples, all of them scored.
        repeats: of which the medians are taken.
    """
    import keras
    import tensorflow as tf

    model = wt.WaveNet.from_preset(preset, dtype=precision)
    model.compile("adam")
    codes = np.random.default_rng(0).integers(0, 256, (2, batch_size, crop)).astype(np.int32)
    batches = tf.data.Dataset.from_tensors(tuple(codes)).repeat()
    matrix = tf.random.normal((PRODUCT_SIDE, PRODUCT_SIDE), dtype=precision.split("_")[-1])
    steps, products = [], []

    class Measure(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            now = time.perf_counter()  # the loss was read: the step is over
            if batch and not batch % STEPS:
                steps.append((now - self.start) / STEPS)
                products.append(seconds_of(lambda: tf.matmul(matrix, matrix).numpy()))
            if not batch % STEPS:
                self.start = time.perf_counter()

    start = time.perf_counter()
    model.fit(batches, steps_per_epoch=1, verbose=0)
    first_step = time.perf_counter() - start
    tf.matmul(matrix, matrix).numpy()
    model.fit(batches, steps_per_epoch=repeats * STEPS + 1, callbacks=[Measure()], verbose=0)
    step, product = float(np.median(steps)), float(np.median(products))
    samples = batch_size * crop
    speed = 2 * PRODUCT_SIDE**3 / product
    operations = OPERATIONS_OF_A_WEIGHT * weights_of_a_step(model) * samples
    return {
        "preset": preset,
        "precision": precision,
        "batch_size": batch_size,
        "crop_samples": crop,
        "samples_per_second": samples / step,
        "first_step_seconds": first_step,
        "product_gigaflops": speed / 1e9,
        "share_of_products": operations / speed / step,
    }


def table(rows: list[dict]) -> str:
    """The figures as a Markdown table, under a line that describes the machine."""
    lines = [
        f"{machine()}:",
        "",
        "| preset | precision | batch | samples/s | first step | products | share |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        lines.append(
            f"| `{row['preset']}` | {row['precision']} | {row['batch_size']} x "
            f"{row['crop_samples']:,} | {row['samples_per_second']:,.0f} "
            f"| {row['first_step_seconds']:.1f} s | {row['product_gigaflops']:,.0f} GFLOP/s "
            f"| {row['share_of_products']:.2f} |"
        )
    return "\n".join(lines)


def main(argv):
    """Measures, prints, and writes what the flags ask for."""
    command_line.refuse_words(argv)
    command_line.check_output("json", _JSON.value)
    batch_sizes = command_line.whole_numbers("batch_sizes", _BATCH_SIZES.value)
    rows = []
    for preset in _PRESET.value:
        for precision in _PRECISION.value:
            for batch_size in batch_sizes:
                print(f"measuring {preset}, {precision}, {batch_size} crops", file=sys.stderr)
                arguments = (preset, precision, batch_size, _CROP_SAMPLES.value, _REPEATS.value)
                rows.append(apart(measure, *arguments))
    print(table(rows))
    if _JSON.value:
        report = {"machine": machine(), "rows": rows}
        files.write_text(_JSON.value, json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    command_line.run(main)
