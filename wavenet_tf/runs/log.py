"""The log of a run: a line for each validation."""

import csv
import dataclasses
import io
import os
from pathlib import Path

import numpy as np

from wavenet_tf import files

LOG = "log.csv"


@dataclasses.dataclass(frozen=True)
class BestValidation:
    """The validation with the fewest bits per sample."""

    update: int
    bits_per_sample: float
    validations_since: int = 0

    def ends_training(self, patience: int | None) -> bool:
        """Whether as many validations without a better one are enough."""
        return patience is not None and self.validations_since >= patience

    @property
    def reason(self) -> str:
        """Why training then ends."""
        return (
            f"no better validation since update {self.update} "
            f"({self.bits_per_sample:.4f} bits per sample): training ends"
        )


def read_log(model_dir: str | os.PathLike) -> dict[str, np.ndarray]:
    """The numbers of a log by column and, within it, by update; of no column where there is none.

    A last line that is half written does not count. An update may have several, where a run went
    back: the last one counts.

    Args:
        model_dir: of a training run.
    """
    names, table = _whole_lines(Path(model_dir) / LOG)
    rows = {
        int(update): row for row in table if 0 < (update := _number(row.get("update"))) < np.inf
    }
    if not rows:
        return {}
    return {
        name: np.array([_number(rows[update].get(name)) for update in sorted(rows)])
        for name in names
    }


def best_validation(model_dir: str | os.PathLike, done: int | None = None) -> BestValidation | None:
    """The best validation of a run; None before the first.

    Args:
        model_dir: of the run.
        done: leaves out those of later updates, which are trained again.
    """
    log = read_log(model_dir)
    if "val_bits_per_sample" not in log:
        return None
    counted = log["update"] <= (np.inf if done is None else done)
    bits, updates = log["val_bits_per_sample"][counted], log["update"][counted]
    if not np.isfinite(bits).any():
        return None
    place = int(np.nanargmin(bits))
    return BestValidation(int(updates[place]), float(bits[place]), len(bits) - 1 - place)


def cut_log(model_dir: str | os.PathLike, done: int) -> None:
    """Takes the lines of updates after `done` out of a log: these are trained again.

    Args:
        model_dir: of the run.
        done: its updates.
    """
    path = Path(model_dir) / LOG
    if not path.exists():
        return
    names, table = _whole_lines(path)
    rows = [row for row in table if _number(row.get("update")) <= done]
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    files.write_text(path, text.getvalue())


def _whole_lines(path: Path) -> tuple[list[str], list[dict]]:
    """The columns of a table and its rows, but for a last one that is half written."""
    if not path.exists():
        return [], []
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        whole = [line for line in file if line.endswith("\n")]
    table = csv.DictReader(whole, restval="")
    return list(table.fieldnames or []), [row for row in table if None not in row]


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")
