"""Writes the reference pages that follow from the code: programs with their flags, and settings.

python tools/make_reference.py --output_dir docs/reference
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import dataclasses
import inspect
import re
import runpy
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from wavenet_tf import command, data, files, models, runs
from wavenet_tf.models.config import ContextConfig

_OUTPUT_DIR = command_line.define_path("output_dir", "docs/reference", "Folder of the pages.")

NOTE = "<!-- Written by tools/make_reference.py: change the code, and run `make reference`. -->"
PROGRAMS = """
# Programs

Each program is a file of `tools/` or `export/`. An installed package starts the same files by the
command `wavenet`: `wavenet train` is `python tools/train.py`. `--help` prints the flags of a
program.

A flag is written `--name=value` or `--name value`. A flag whose description begins with "yes or
no" is switched on by `--name` and off by `--noname`. A flag that may be given several times adds a
value each time. Many flags of `tools/train.py` have no default here: if they are not given, the
setting of the run that is resumed applies, or the default in [settings](settings.md).
"""
SETTINGS = """
# Settings

Every setting is an argument of one dataclass, which checks it and raises `InputError` if it is out
of its range. The tables follow from these classes.
"""
# Title, class and introduction of each table.
CLASSES = [
    (
        "Training runs",
        runs.Settings,
        "`wavenet_tf.runs.Settings` holds the settings of a run. A model directory stores them in "
        "`settings.json`. `tools/train.py` has a flag for most of them; arguments of the model go "
        "to `overrides` by the flags `--set`, `--sample_rate`, `--output_distribution` and "
        "`--context_stack`.",
    ),
    (
        "Models",
        models.WaveNetConfig,
        "`wavenet_tf.WaveNetConfig` holds the arguments of `wavenet_tf.WaveNet`. The dtype of a "
        "model is an argument of `WaveNet` itself: `float32`, `mixed_bfloat16` or `mixed_float16`. "
        "Sections are those of the WaveNet paper (arXiv 1609.03499).",
    ),
    (
        "Context stacks",
        ContextConfig,
        "`wavenet_tf.models.ContextConfig` holds the arguments of one context stack. "
        "`--context_stack` takes them as `pooling=128,layers_per_stack=9,channels=32`.",
    ),
    (
        "Preparing a corpus",
        data.Preparation,
        "`wavenet_tf.data.Preparation` holds the settings of a preparation. "
        "`tools/prepare_data.py` has a flag for each of them.",
    ),
]


@dataclasses.dataclass(frozen=True)
class Program:
    """A program and its flags.

    Attributes:
        path: its file below the repository, such as `tools/train.py`.
        name: its name in the command `wavenet`, such as `train`.
        docstring: of its file.
        flags: in the order of their definition.
    """

    path: str
    name: str
    docstring: str
    flags: list[flags.Flag]


def read_programs() -> list[Program]:
    """Returns all programs, those of tools/ first; none of them is started."""
    programs = []
    for name, path in command.programs().items():
        sys.path.insert(0, str(path.parent))
        known = set(flags.FLAGS)
        module = runpy.run_path(str(path), run_name=path.stem)
        defined = [flags.FLAGS[flag] for flag in flags.FLAGS if flag not in known]
        programs.append(
            Program(f"{path.parent.name}/{path.name}", name, module["__doc__"], defined)
        )
        for flag in defined:  # the next program may define a flag of the same name
            delattr(flags.FLAGS, flag.name)
    return programs


def programs_page(programs: list[Program]) -> str:
    """Returns the page about programs, as Markdown."""
    parts = [NOTE, PROGRAMS.strip(), _table(("program", "what it does"), _summaries(programs))]
    for program in programs:
        parts += [f"## {program.path}", *_paragraphs(program.docstring)]
        rows = [
            (f"`--{flag.name}`", _default_of_flag(flag), _description(flag))
            for flag in program.flags
        ]
        parts.append(_table(("flag", "default", "description"), rows))
    return "\n\n".join(parts) + "\n"


def settings_page(programs: list[Program]) -> str:
    """Returns the page about settings, as Markdown."""
    train = next(program for program in programs if program.name == "train")
    trained = {flag.name for flag in train.flags}
    parts = [NOTE, SETTINGS.strip()]
    for title, kind, introduction in CLASSES:
        descriptions = _attributes(kind)
        columns, rows = ["name", "type", "default", "description"], []
        if kind is runs.Settings:
            columns.insert(3, "flag of `train.py`")
        for field in dataclasses.fields(kind):
            row = [f"`{field.name}`", _type(field.type), _default_of_field(field)]
            if kind is runs.Settings:
                row.append(f"`--{field.name}`" if field.name in trained else "")
            rows.append([*row, descriptions[field.name]])
        parts += [f"## {title}", textwrap.fill(introduction, 100), _table(columns, rows)]
    return "\n\n".join(parts) + "\n"


def _summaries(programs: list[Program]) -> list[tuple[str, str]]:
    return [
        (f"[`{program.path}`](#{_anchor(program.path)})", program.docstring.partition("\n")[0])
        for program in programs
    ]


def _anchor(title: str) -> str:
    """Returns the anchor that a Markdown page gives a title."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _paragraphs(docstring: str) -> Iterator[str]:
    """Yields the paragraphs of a docstring, commands as a block."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        lines = [" ".join(line.split()) for line in paragraph.split("\n") if line != "Usage:"]
        if all(line.startswith("python ") for line in lines):
            yield "\n".join(["```console", *(f"$ {line}" for line in lines), "```"])
        else:
            yield " ".join(lines)


def _default_of_flag(flag: flags.Flag) -> str:
    required = any("other than None" in validator.message for validator in flag.validators)
    if required:
        return "required"
    value = flag.default
    if value is None or value == []:
        return ""
    return f"`{','.join(map(str, value)) if isinstance(value, list) else value}`"


def _description(flag: flags.Flag) -> str:
    """Returns the help text of a flag, and what it takes."""
    # absl adds the values of an enum and the number of values.
    text = re.sub(r"^<[^>]*>: |; repeat this option.*$", "", " ".join(flag.help.split()))
    if flag.boolean:
        text = f"yes or no: {text}"
    values = getattr(flag.parser, "enum_values", None)
    if values:
        text += f" One of {', '.join(f'`{value}`' for value in values)}."
    if isinstance(flag, flags.MultiFlag) and "several times" not in text:
        text += " May be given several times."
    return text


def _attributes(kind: type) -> dict[str, str]:
    """Returns the descriptions in the section "Attributes:" of a class' docstring, by name."""
    docstring = inspect.cleandoc(kind.__doc__ or "")
    section = docstring.partition("\nAttributes:\n")[2].partition("\n\n")[0]
    entries = re.split(r"\n(?=    \w)", "\n" + section)[1:]
    pairs = (entry.strip().partition(": ") for entry in entries)
    return {name: " ".join(description.split()) for name, _, description in pairs}


def _type(annotation) -> str:
    text = inspect.formatannotation(annotation)
    return f"`{re.sub(r'(collections.abc|typing)[.]', '', text)}`"


def _default_of_field(field: dataclasses.Field) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return f"`{field.default_factory()!r}`"
    return "required" if field.default is dataclasses.MISSING else f"`{field.default!r}`"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(argv):
    """Writes the pages."""
    command_line.refuse_words(argv)
    output = Path(_OUTPUT_DIR.value)
    files.check_writable_folder(output)
    delattr(flags.FLAGS, _OUTPUT_DIR.name)  # other programs define it too
    programs = read_programs()
    output.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("programs.md", programs_page(programs)),
        ("settings.md", settings_page(programs)),
    ):
        files.write_text(output / name, text)
        print(f"wrote {output / name}")


if __name__ == "__main__":
    command_line.run(main)
