"""What other systems lack, such as Windows, is imported only where its lack is expected."""

import ast
import os
import sys

import pytest
from conftest import ROOT

from wavenet_tf import files
from wavenet_tf.runs import memory

POSIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}


def unguarded_imports(tree: ast.AST, guarded: bool = False) -> list[str]:
    """The POSIX modules that code imports outside of functions and of `try`."""
    found = []
    for node in ast.iter_child_nodes(tree):
        inside = guarded or isinstance(node, ast.Try | ast.FunctionDef | ast.AsyncFunctionDef)
        found += unguarded_imports(node, inside)
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found += [name for name in names if name in POSIX_ONLY and not guarded]
    return found


def test_no_module_imports_what_only_posix_has():
    assert unguarded_imports(ast.parse("import os, fcntl")) == ["fcntl"]
    assert not unguarded_imports(ast.parse("try:\n    import pwd\nexcept ImportError: pass"))
    paths = [
        path for name in ("wavenet_tf", "tools", "export") for path in ROOT.glob(f"{name}/**/*.py")
    ]
    assert len(paths) > 80
    assert not {
        path: found for path in paths if (found := unguarded_imports(ast.parse(path.read_bytes())))
    }


def test_memory_and_locks_without_posix(monkeypatch, tmp_path):
    """As on Windows, whose own module for locks, `msvcrt`, is then imported."""
    assert 2**24 < memory.peak_memory() < 2**40
    with open(tmp_path / "lock", "a") as first, open(tmp_path / "lock", "a") as second:
        files.lock(first)
        with pytest.raises(BlockingIOError):
            files.lock(second)
    for name in POSIX_ONLY:
        monkeypatch.setitem(sys.modules, name, None)  # importing it is an error
    monkeypatch.delattr(os, "sysconf")
    assert memory.peak_memory() is None
    memory.total_memory()
    with open(tmp_path / "lock", "a") as file, pytest.raises(ModuleNotFoundError, match="msvcrt"):
        files.lock(file)
