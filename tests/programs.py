"""Programs in processes of their own, forked from a process that has TensorFlow imported already.

Importing TensorFlow takes most of the time of a short program: 8 seconds on a slow processor. The
standard library's fork server pays it once for all the programs of a test process.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tensorflow", "keras"])


class Program:
    """A running Python program, with the methods of `subprocess.Popen` that tests need.

    Args:
        words: the program's path, then its arguments.
        environment: the variables of its environment.
        folder: the working directory.
        merge: whether standard error goes to standard output.
    """

    def __init__(self, words, environment=None, folder=ROOT, merge=False):
        files = []
        for _ in range(2):
            descriptor, path = tempfile.mkstemp(prefix="program-")
            os.close(descriptor)
            files.append(path)
        self.outputs = [Path(path) for path in files]
        written = [files[0], files[0] if merge else files[1]]
        environment = dict(os.environ if environment is None else environment)
        words = list(map(str, words))
        self.process = SERVER.Process(target=_run, args=(words, environment, str(folder), written))
        self.process.start()
        self.pid = self.process.pid

    def poll(self) -> int | None:
        return self.process.exitcode

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def kill(self) -> None:
        self.process.kill()

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def communicate(self, timeout: float = 300.0) -> tuple[str, str]:
        """Waits for the end of the program: its standard output and standard error."""
        try:
            self.process.join(timeout)
            if self.process.exitcode is None:
                raise TimeoutError(f"the program still runs after {timeout:g} s: {self.texts()}")
            return self.texts()
        finally:
            self.process.kill()
            self.process.join()
            for path in self.outputs:
                path.unlink(missing_ok=True)

    def texts(self) -> tuple[str, str]:
        """What the program has written so far."""
        return tuple(path.read_text(errors="surrogateescape") for path in self.outputs)


def _run(words: list[str], environment: dict[str, str], folder: str, written: list[str]) -> None:
    """Becomes the program."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    for descriptor, path in zip((1, 2), written, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), descriptor)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1, closefd=False)
    sys.argv = words
    path, _ = os.path.split(words[0])
    sys.path.insert(0, path)
    try:
        runpy.run_path(words[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
