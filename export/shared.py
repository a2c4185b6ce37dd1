"""Lets the export programs use what the tools share: quiet start-up and one-line errors."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import command_line as command_line
