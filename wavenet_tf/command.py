"""The command `wavenet`, which starts the programs of `tools/` and `export/`.

    wavenet train --data_dir recordings --model_dir runs/first

A wheel holds these programs as `wavenet_tf/tools` and `wavenet_tf/export`.
"""

import ast
import os
import runpy
import sys
from pathlib import Path

FOLDERS = ("tools", "export")
# The last lines of a program, and of no other module in these folders.
START = "command_line.run(main)"
# Programs that only other programs start.
INTERNAL = ("runtimes",)


def programs() -> dict[str, Path]:
    """Returns the path of each program by its name in the command, such as "prepare-data"."""
    package = Path(__file__).resolve().parent
    found = {}
    for folder in FOLDERS:
        installed, checked_out = package / folder, package.parent / folder
        for path in sorted((installed if installed.is_dir() else checked_out).glob("*.py")):
            if path.stem not in INTERNAL and START in path.read_text(encoding="utf-8"):
                found[path.stem.replace("_", "-")] = path
    return found


def summary(path: Path) -> str:
    """Returns the first line of a program's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def main() -> None:
    """Starts the program that the command line names."""
    found = programs()
    if not sys.argv[1:] or sys.argv[1] in ("-h", "--help", "help"):
        print("usage: wavenet PROGRAM [--flag=value ...]; wavenet PROGRAM --help lists the flags\n")
        for name, path in found.items():
            print(f"  {name:<20}{summary(path)}")
        return
    name = sys.argv[1].replace("_", "-")
    if name not in found:
        print(
            f"wavenet: unknown program {sys.argv[1]!r}: expected one of {', '.join(found)}",
            file=sys.stderr,
        )
        sys.exit(1)
    path = found[name]
    sys.argv = [str(path), *sys.argv[2:]]
    # As when Python starts a file: modules beside the program are importable.
    sys.path.insert(0, os.fspath(path.parent))
    runpy.run_path(str(path), run_name="__main__")
