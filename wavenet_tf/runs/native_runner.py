"""The model of a run in libwavenet, from a file that is kept beside it."""

import hashlib
import os
from pathlib import Path

from wavenet_tf import files, native
from wavenet_tf.model_directory import LAST, find_model
from wavenet_tf.model_directory.model_files import describe_model

FOLDER = "native"


def native_runner(
    model_dir: str | os.PathLike,
    step: int | str = LAST,
    precision: str = "float32",
    batch_size: int = 1,
    threads: int | None = None,
    verbose: bool = False,
) -> native.Runner:
    """Returns the model of a run, ready to sample in libwavenet.

    The first call converts the model, which imports TensorFlow, and writes the file into the
    folder `native` of the model directory, if it can. Later calls read this file.

    Args:
        model_dir: of a training run.
        step: as `load_model` takes it.
        precision: "float32" or "int8".
        batch_size: number of streams.
        threads: among which the streams are divided; None for all cores.
        verbose: print which file of which step is used.

    Raises:
        InputError: if there is no such model, or libwavenet is not built.
    """
    path = find_model(model_dir, step)
    digest = hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
    converted = Path(model_dir) / FOLDER / f"{precision}-{digest}.wn"
    if converted.exists():
        content = converted.read_bytes()
    else:
        from wavenet_tf.runs.checkpointing import load_model
        from wavenet_tf.sampling import convert_native

        content = convert_native(load_model(model_dir, step), precision)
        _keep(converted, content)
    if verbose:
        print(f"loaded {describe_model(path)}")
    return native.Runner(content, threads or os.cpu_count() or 1, batch_size)


def _keep(path: Path, content: bytes) -> None:
    """Writes a converted model in place of older ones, unless the folder is read-only."""
    try:
        with files.atomic_path(path) as temporary:
            temporary.write_bytes(content)
        for older in path.parent.glob(f"{path.name.partition('-')[0]}-*.wn"):
            if older != path:
                older.unlink()
    except OSError:
        return
