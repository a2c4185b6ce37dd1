"""Lets the export programs use what the tools share: quiet start-up and one-line errors."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
# Last: for environments with only what a client needs, where the package is not installed.
sys.path.append(str(Path(__file__).resolve().parent.parent))

import command_line as command_line
