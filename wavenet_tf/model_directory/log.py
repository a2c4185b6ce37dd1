"""The log of a run: one line per validation."""

import csv
import dataclasses
import io
import os
from pathlib import Path

import numpy as np

from wavenet_tf import files
from wavenet_tf.options import compared_metric, describe_metric

LOG = "log.csv"


@dataclasses.dataclass(frozen=True)
class BestValidation:
    """The validation with the lowest value of the monitored metric.

    Attributes:
        step: number of steps before the validation.
        value: of the metric in the validation.
        validations_since: number of later validations, none of them better.
        metric: name of the metric, see `options.compared_metric`.
    """

    step: int
    value: float
    validations_since: int = 0
    metric: str = "bits_per_sample"

    def ends_training(self, patience: int | None) -> bool:
        """Returns whether training ends because too many later validations were not better.

        Args:
            patience: number of such validations after which training ends; None for no end.
        """
        return patience is not None and self.validations_since >= patience

    @property
    def description(self) -> str:
        """The value with the metric's name in prose."""
        return f"{self.value:.4f} {describe_metric(self.metric)}"

    @property
    def reason(self) -> str:
        """The line that is printed when training ends for lack of a better validation."""
        return f"no better validation since step {self.step} ({self.description}): training ends"


def read_log(model_dir: str | os.PathLike) -> dict[str, np.ndarray]:
    """Returns the columns of a log, ordered by step.

    An incomplete last line is ignored. If a step has several lines, because the run resumed from
    an earlier checkpoint, the last of these lines is used.

    Args:
        model_dir: of a training run.

    Returns:
        The values of each column, by name, `[validations]`; empty if there is no log.
    """
    names, table = _complete_lines(Path(model_dir) / LOG)
    rows = {int(step): row for row in table if 0 < (step := _number(row.get("step"))) < np.inf}
    if not rows:
        return {}
    return {
        name: np.array([_number(rows[step].get(name)) for step in sorted(rows)]) for name in names
    }


def best_validation(
    model_dir: str | os.PathLike, last_step: int | None = None
) -> BestValidation | None:
    """Returns the best validation of a run; None before the first.

    Args:
        model_dir: of the run.
        last_step: ignores validations after this step, which a resumed run trains again.
    """
    log = read_log(model_dir)
    metric = compared_metric(log)
    if metric is None or f"val_{metric}" not in log:
        return None
    included = log["step"] <= (np.inf if last_step is None else last_step)
    values, steps = log[f"val_{metric}"][included], log["step"][included]
    if not np.isfinite(values).any():
        return None
    index = int(np.nanargmin(values))
    return BestValidation(int(steps[index]), float(values[index]), len(values) - 1 - index, metric)


def cut_log(model_dir: str | os.PathLike, last_step: int) -> None:
    """Removes the lines after a step from a log, because a resumed run trains these steps again.

    Args:
        model_dir: of the run.
        last_step: the last step to keep.
    """
    path = Path(model_dir) / LOG
    if not path.exists():
        return
    names, table = _complete_lines(path)
    rows = [row for row in table if _number(row.get("step")) <= last_step]
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    files.write_text(path, text.getvalue())


def _complete_lines(path: Path) -> tuple[list[str], list[dict]]:
    """Returns the columns of a table and its rows, without an incomplete last row."""
    if not path.exists():
        return [], []
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        lines = [line for line in file if line.endswith("\n")]
    table = csv.DictReader(lines, restval="")
    return list(table.fieldnames or []), [row for row in table if None not in row]


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")
