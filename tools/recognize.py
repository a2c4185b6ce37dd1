"""Recognizes classes or segments in recordings, with a model that train.py --task has trained.

    python tools/recognize.py --model_dir runs/digits --input one.wav --input two.wav

prints a line per class or segment; `--output` writes text, JSON or a TextGrid.
"""

from __future__ import annotations

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import flags

from wavenet_tf import audio, files, models, recognition, runs
from wavenet_tf.errors import InputError

_MODEL_DIR = command_line.define_model_dir()
_STEP = command_line.define_step()
_INPUT = flags.DEFINE_multi_string(
    "input",
    None,
    "Recording; resampled if need be; may be given several times. - is standard input: 16-bit mono "
    "samples at the model's sample rate, without a header.",
    required=True,
)
_OUTPUT = command_line.define_path(
    "output", None, "File to write: .txt, .json or .TextGrid, by its suffix; of a single recording."
)

_GREEDY = flags.DEFINE_bool(
    "greedy", False, "Take the likeliest class of each frame, without the decoder of the run."
)
_STREAM = flags.DEFINE_bool(
    "stream",
    False,
    "Print segments as soon as they have ended, without the decoder; of a model of whole "
    "recordings, its class for each second.",
)

SUFFIXES = (".txt", ".json", ".textgrid")
STANDARD_INPUT = "-"
STREAM_SECONDS = 0.1  # of a block


def main(argv):
    """Recognizes what the flags name."""
    command_line.refuse_words(argv)
    for path in _INPUT.value:
        if path != STANDARD_INPUT:
            command_line.check_exists("recording", Path(path).expanduser())
    if STANDARD_INPUT in _INPUT.value and not _STREAM.value:
        raise InputError("input - needs --stream")
    if _OUTPUT.value is not None:
        _check_output()
    runs.find_model(_MODEL_DIR.value, _STEP.value)

    model = runs.load_model(
        _MODEL_DIR.value, _STEP.value, verbose=True, kind=models.WaveNetClassifier
    )
    recognizer = recognition.Recognizer(model)
    decoder = None if _GREEDY.value else runs.load_decoder(_MODEL_DIR.value, model)
    for path in _INPUT.value:
        start = f"{path}\t" if len(_INPUT.value) > 1 else ""
        if _STREAM.value:
            for segment in recognition.recognize_stream(recognizer, _blocks(path, model)):
                print(start + recognition.format_segment(segment), flush=True)
            continue
        waveform, _ = audio.read_audio(Path(path).expanduser(), model.sample_rate)
        result = recognition.recognize(recognizer, waveform, decoder)
        if _OUTPUT.value is not None:
            files.write_text(_OUTPUT.value, result.to_format(Path(_OUTPUT.value).suffix))
            print(f"wrote {_OUTPUT.value}")
            continue
        for line in result.to_text().splitlines():
            print(start + line)


def _check_output() -> None:
    if _STREAM.value:
        raise InputError("output is not written while streaming: give --output or --stream")
    if len(_INPUT.value) > 1:
        raise InputError(f"output is for a single recording; received {len(_INPUT.value)}")
    if Path(_OUTPUT.value).suffix.lower() not in SUFFIXES:
        raise InputError(f"output must end in .txt, .json or .TextGrid; received {_OUTPUT.value}")
    command_line.check_output("output", _OUTPUT.value, Path(_INPUT.value[0]).expanduser())


def _blocks(path: str, model: models.WaveNetClassifier) -> Iterator[np.ndarray]:
    """Yields the blocks of a recording, or of standard input as it comes."""
    size = round(STREAM_SECONDS * model.sample_rate)
    if path == STANDARD_INPUT:
        while block := sys.stdin.buffer.read(2 * size):
            whole = block[: len(block) // 2 * 2]
            yield np.frombuffer(whole, "<i2").astype(np.float32) / audio.STEPS_OF_16_BITS
        return
    waveform, _ = audio.read_audio(Path(path).expanduser(), model.sample_rate)
    for first in range(0, len(waveform), size):
        yield waveform[first : first + size]


if __name__ == "__main__":
    command_line.run(main)
