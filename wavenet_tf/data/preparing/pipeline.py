"""`prepare`: all steps of preparing a corpus, in the folder that it is written to."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wavenet_tf import files
from wavenet_tf.data import prepared
from wavenet_tf.data.preparing.joining import join_shards
from wavenet_tf.data.preparing.preparation import EXTRACTED, Preparation, resolve
from wavenet_tf.data.preparing.shards import is_done, plan_shards
from wavenet_tf.data.preparing.workers import write_shards
from wavenet_tf.errors import InputError


def prepare(
    preparation: Preparation,
    output: str | os.PathLike,
    workers: int | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Prepares a corpus, or continues a preparation that was stopped.

    Args:
        preparation: the settings.
        output: the folder to write to; created if missing.
        workers: number of processes; None for one per core, 1 for this process.
        progress: show a progress bar.

    Returns:
        The report, also written as `report.json`: skipped files, trimmed silence and warnings.

    Raises:
        InputError: if no clip of the corpus can be used, `output` holds another preparation, or
            another process is writing to it.
        OSError: if the disk is full; call again to continue.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    with _locked(output):
        resolved = resolve(preparation, output)
        if (output / prepared.INDEX).exists():
            return json.loads((output / prepared.REPORT).read_text(encoding="utf-8"))
        shards = plan_shards(output, resolved)
        missing = [shard for shard in shards if not is_done(output, shard)]
        write_shards(output, resolved, missing, workers or os.cpu_count() or 1, progress)
        report = join_shards(output, resolved, shards)
        shutil.rmtree(output / EXTRACTED, ignore_errors=True)
        return report


@contextlib.contextmanager
def _locked(output: Path) -> Iterator[None]:
    """Locks a folder against other preparations; the lock ends with the process at the latest."""
    with open(output / ".lock", "a", encoding="utf-8") as lock:
        try:
            files.lock(lock)
        except BlockingIOError as error:
            raise InputError(f"another preparation is writing to {output}") from error
        yield
