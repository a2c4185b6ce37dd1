"""The whole way of a preparation, in the folder it writes to."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wavenet_tf import files
from wavenet_tf.data import prepared
from wavenet_tf.data.preparing.joining import finish
from wavenet_tf.data.preparing.preparation import EXTRACTED, Preparation, settle
from wavenet_tf.data.preparing.shards import is_done, plan_shards
from wavenet_tf.data.preparing.workers import write_shards
from wavenet_tf.errors import InputError


def prepare(
    preparation: Preparation,
    output: str | os.PathLike,
    workers: int | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Prepares a corpus, or goes on with a preparation that was stopped.

    Args:
        preparation: what is wanted.
        output: the folder to write to, made if missing.
        workers: processes; None takes one for each core, 1 works in this process.
        progress: show a progress bar.

    Returns:
        The report, also written as `report.json`: what was skipped, trimmed and worth a look.

    Raises:
        InputError: if nothing of the corpus can be used, `output` holds another preparation, or
            another process is writing to it.
        OSError: where the disk is full; the same call goes on.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    with _locked(output):
        preparation = settle(preparation, output)
        if (output / prepared.INDEX).exists():
            return json.loads((output / prepared.REPORT).read_text(encoding="utf-8"))
        shards = plan_shards(output, preparation)
        todo = [shard for shard in shards if not is_done(output, shard)]
        write_shards(output, preparation, todo, workers or os.cpu_count() or 1, progress)
        report = finish(output, preparation, shards)
        shutil.rmtree(output / EXTRACTED, ignore_errors=True)
        return report


@contextlib.contextmanager
def _locked(output: Path) -> Iterator[None]:
    """Keeps other preparations out of a folder; the lock ends with the process, however it ends."""
    with open(output / ".lock", "a", encoding="utf-8") as lock:
        try:
            files.lock(lock)
        except BlockingIOError as error:
            raise InputError(f"another preparation is writing to {output}") from error
        yield
