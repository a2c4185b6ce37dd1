"""Writes a report about a training run: a web page that is one file.

    python tools/report.py runs/first --output report.html

The run may still go on.
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

from collections.abc import Sequence

from absl import flags

from wavenet_tf import reports, runs

_MODEL_DIR = command_line.define_model_dir(required=False)
_STEP = command_line.define_step()
_OUTPUT = command_line.define_path("output", "report.html", "Page to write.")
_DATA_DIR = command_line.define_path("data_dir", None, "Folder of recordings (the run's).")
_EVALUATION = command_line.define_path(
    "evaluation", None, "What evaluate.py --json wrote (evaluation.json in the model directory)."
)
_STREAMS = flags.DEFINE_integer("streams", 4, "Number of waveforms to generate, at most.", 1)
_SECONDS = command_line.define_positive("seconds", 3.0, "Length of each waveform.")
_SEED = command_line.define_seed(0)


def main(argv: Sequence[str]) -> None:
    """Writes the page about the run named on the command line."""
    model_dir = command_line.only_folder("model directory", argv[1:], _MODEL_DIR.value)
    command_line.check_output("output", _OUTPUT.value, _EVALUATION.value)
    runs.find_model(model_dir, _STEP.value)
    print(f"reading {model_dir}")
    reports.write_run_report(
        model_dir,
        _OUTPUT.value,
        step=_STEP.value,
        data_dir=_DATA_DIR.value,
        evaluation_path=_EVALUATION.value,
        streams=_STREAMS.value,
        seconds=_SECONDS.value,
        seed=_SEED.value,
        verbose=True,
    )
    print(f"the page is in {_OUTPUT.value}")


if __name__ == "__main__":
    command_line.run(main)
