"""The documentation: code runs, commands, links and names exist, and the reference is current."""

import ast
import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT, run_program, tone

import wavenet_tf as wt
from wavenet_tf.models.config import PRESETS

pytestmark = pytest.mark.once

PAGES = sorted(
    str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
# Comments before a block: text that the test replaces, and a reason why it does not run the block.
REPLACED = re.compile(r"<!-- test: (.+?) -> (.+?) -->\n$")
NOT_RUN = re.compile(r"<!-- not run: .+? -->\n$")
# Flags of other programs than those of this project.
FOREIGN_FLAGS = {"--tensorflow_intra_op_parallelism"}
TINY = {
    "num_stacks": 1,
    "layers_per_stack": 3,
    "residual_channels": 8,
    "gate_channels": 8,
    "skip_channels": 16,
    "head_channels": 16,
}


class Block(NamedTuple):
    """A block of code.

    Attributes:
        language: after the fence.
        text: of the block.
        line: number of its first line in the page.
        before: text of the page before it.
    """

    language: str
    text: str
    line: int
    before: str


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[Block]:
    text = read(page)
    found = (
        Block(match[1], match[2], text.count("\n", 0, match.start(2)), text[: match.start()])
        for match in FENCE.finditer(text)
    )
    return [block for block in found if block.language == language]


def inline_code(page: str) -> list[str]:
    return INLINE_CODE.findall(FENCE.sub("", read(page)))


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working directory: small recordings, two speakers, three tags; presets are tiny."""
    for preset in ("tiny", "small", "music"):
        monkeypatch.setitem(PRESETS, preset, {**PRESETS[preset], **TINY})
    monkeypatch.chdir(tmp_path)
    for index in range(8):
        waveform = tone(0.5, 16000, 300.0 + 50.0 * index)
        name = f"{index // 2}.flac"
        wt.write_audio(tmp_path / "recordings" / ["ana", "ben"][index % 2] / name, waveform, 16000)
        wt.write_audio(tmp_path / "music" / f"{index}.flac", waveform, 16000)
    wt.write_audio(tmp_path / "hello.flac", tone(0.5, 16000), 16000)
    tags = (("piano", "slow"), ("piano", "solo"))
    clips = [wt.data.Clip(f"{index}.flac", tags=tags[index % 2]) for index in range(8)]
    wt.data.write_manifest(tmp_path / "music" / "manifest.jsonl", clips)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_python_blocks_run(page, folder):
    namespace = {"__name__": "documentation"}
    for block in blocks(page, "python"):
        if NOT_RUN.search(block.before):
            continue
        text = block.text
        if replaced := REPLACED.search(block.before):
            old, new = replaced.groups()
            assert old in text, f"{page}, line {block.line}: nothing to replace by {new!r}"
            text = text.replace(old, new)
        # Line numbers of errors are those of the page.
        exec(compile("\n" * block.line + text, str(ROOT / page), "exec"), namespace)


@functools.cache
def flags_by_program() -> dict[str, set[str]]:
    """Returns the flags of each program, as the reference lists them."""
    _, *sections = re.split(r"^## ", read("docs/reference/programs.md"), flags=re.MULTILINE)
    rows = {section.partition("\n")[0]: section for section in sections}
    flags = {name: set(re.findall(r"^\| `(--\w+)`", rows[name], re.MULTILINE)) for name in rows}
    for name, section in rows.items():
        switches = re.findall(r"^\| `--(\w+)` .* yes or no: ", section, re.MULTILINE)
        flags[name] |= {f"--no{switch}" for switch in switches}
    return flags


def commands(page: str) -> Iterator[list[str]]:
    """Yields the words of each command in the shell blocks of a page."""
    for block in blocks(page, "console"):
        for line in block.text.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                words = shlex.split(re.sub(r"(&&|[;|])", r" \1 ", line[2:]))
                while words:
                    ends = [i for i, word in enumerate(words) if word in ("&&", ";", "|")]
                    end = ends[0] if ends else len(words)
                    yield words[:end]
                    words = words[end + 1 :]


@pytest.mark.parametrize("page", PAGES)
def test_commands_name_programs_flags_and_targets_that_exist(page):
    targets = set(re.findall(r"^([\w-]+):", read("Makefile"), re.MULTILINE))
    for words in commands(page):
        if "make" in words:
            (target,) = [word for word in words[words.index("make") + 1 :] if "=" not in word][:1]
            assert target in targets, words
        programs = [word for word in words if re.fullmatch(r"(tools|export)/\w+[.]py", word)]
        for program in programs[:1]:
            assert program in flags_by_program(), words
            given = {word.partition("=")[0] for word in words[words.index(program) :]}
            wrong = {flag for flag in given if flag.startswith("--")} - flags_by_program()[program]
            assert not wrong, f"{program} has no {', '.join(wrong)}"


@pytest.mark.parametrize("page", PAGES)
def test_flags_paths_and_names_in_sentences_exist(page):
    known = {flag for flags in flags_by_program().values() for flag in flags}
    for code in inline_code(page):
        for flag in re.findall(r"(?:^|\s)(--\w+)", code):
            assert flag in known | FOREIGN_FLAGS | {"--help", "--name", "--noname"}, code
        for path in re.findall(r"^(?:wavenet_tf|tools|export|tests|docs)/[\w./]*", code):
            assert (ROOT / path).exists(), code
        for name in re.findall(r"\b(?:wt|wavenet_tf)((?:[.][A-Za-z_]\w*)+)", code):
            functools.reduce(getattr, name[1:].split("."), wt)


def anchors(page: Path) -> set[str]:
    """Returns the anchors of a page's titles, as GitHub makes them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link in LINK.findall(FENCE.sub("", read(page))):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked_from_the_front_page():
    linked = {link.partition("#")[0] for link in LINK.findall(read("README.md"))}
    assert set(PAGES) - {"README.md"} <= linked


def test_the_reference_is_what_the_program_writes(tmp_path):
    result = run_program("make_reference.py", f"--output_dir={tmp_path}", fresh=True)
    assert result.returncode == 0, result.stderr
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert set(written) == {"programs.md", "settings.md"}
    for name, text in written.items():
        assert text == read(f"docs/reference/{name}"), f"{name} is old: run make reference"


def test_packages_import_what_the_arrows_allow():
    """As the table in CONTRIBUTING.md lists them."""
    section = read("CONTRIBUTING.md").partition("## Arrows")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    allowed = {unit: set(INLINE_CODE.findall(others)) for unit, others in rows}
    everyone = {"audio_blocks", "errors", "files", "lazy_imports", "options", "__version__"}
    for path in (ROOT / "wavenet_tf").rglob("*.py"):
        unit = path.relative_to(ROOT / "wavenet_tf").parts[0].removesuffix(".py")
        if unit in ("__init__", "command", *everyone):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("wavenet_tf"):
                inner = node.module.split(".")[1:2]
                imported = set(inner or (alias.name for alias in node.names))
                assert imported <= allowed[unit] | everyone | {unit}, path
