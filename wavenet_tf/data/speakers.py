"""Who is heard in a recording, by a rule."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

from wavenet_tf.errors import InputError


def speaker_by_rule(rule: str, directory: Path) -> Callable[[str], str | None]:
    """What finds the speaker of a clip.

    Args:
        rule: "folder" for the name of the folder that a clip is in; or "table.csv:column" for that
            column of a CSV file, whose column "path" has the clips' names; or a regular expression
            that is searched for in the clip's name: its first group is the speaker, or all of it
            where it has no group.
        directory: that the names are below, and the table in.

    Returns:
        From a clip's name to its speaker, or None where the rule finds none.

    Raises:
        InputError: for a rule that is none of these, or a table that cannot be used.

    Example:
    >>> speaker_by_rule("_([a-z]+)_", Path())("digits/7_george_3.wav")
    'george'
    """
    table, separator, column = rule.rpartition(":")
    if separator and table.endswith(".csv"):
        return _read_column(directory / table, column).get
    if rule == "folder":
        rule = "([^/]+)/[^/]*$"
    try:
        expression = re.compile(rule)
    except re.error as error:
        raise InputError(
            "speakers must be 'folder', 'table.csv:column' or a regular expression; received "
            f"{rule!r}: {error}"
        ) from error

    def search(name: str) -> str | None:
        match = expression.search(name)
        return match and (match.group(1) if expression.groups else match.group())

    return search


def _read_column(table: Path, column: str) -> dict[str, str]:
    """A column of a CSV file, by the column "path"."""
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {table} as a table of speakers: {error}") from error
    known = list(rows[0]) if rows else []
    for name in ("path", column):
        if name not in known:
            raise InputError(f"{table} has no column {name!r}: it has {', '.join(known) or 'none'}")
    return {row["path"]: row[column] for row in rows}
