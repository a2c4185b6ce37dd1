"""Lets the export programs import `command_line` of tools/: quiet start-up and one-line errors."""

import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
# For environments with only what a client needs, where the package is not installed.
if importlib.util.find_spec("wavenet_tf") is None:
    sys.path.append(str(Path(__file__).resolve().parent.parent))

import command_line as command_line
