"""Alignments: files with the times of phones, words and other labels.

Formats: TextGrid of Praat and of forced aligners (long or short, UTF-8, UTF-16 or Latin-1), HTS
labels, Audacity labels, CTM of Kaldi, and the .PHN and .WRD files of TIMIT.
"""

import codecs
import dataclasses
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from wavenet_tf.data.recordings import Recordings, first_reasons
from wavenet_tf.data.segments import recording_path, segment_start
from wavenet_tf.errors import InputError
from wavenet_tf.text.phonetics import SILENCE, SILENCES

Segment = tuple[float, float, str]  # start and end in seconds, and label

# Aligners round ends to whole frames of 10 ms: an end may be this much after that of the audio.
END_TOLERANCE = 0.02
# Times of HTS labels are in units of 100 ns; those of TIMIT are samples at 16 kHz.
HTS_SECOND, TIMIT_RATE = 10_000_000, 16_000

_TEXTGRID_TOKEN = re.compile(
    r'"((?:[^"]|"")*)"|\[[^]\n]*\]|(<exists>)|(-?\d[\d.]*(?:[eE][-+]?\d+)?)'
)
_FULL_CONTEXT = re.compile(r"[^-]*-([^+]+)\+")  # an HTS label such as xx^sil-h+e=l@...


def read_alignment(path: str | os.PathLike, recording: str = "") -> dict[str, list[Segment]]:
    """Reads an alignment; its format follows from the suffix of the file.

    Args:
        path: a .TextGrid, .lab, .txt (Audacity), .ctm, .phn or .wrd file, in any case.
        recording: name of the recording without a suffix, to find in a CTM file; an empty name
            takes all lines.

    Returns:
        Start and end in seconds, and label, of each segment, in the order of the file, by kind: the
        tier's name of a TextGrid, "phones" and "words" for TIMIT, "phones" for HTS, "labels" for
        Audacity and CTM. Labels of HTS's full context are reduced to their phone. Silence has the
        label "sil", whichever an aligner writes; TIMIT's labels stay as they are.

    Raises:
        InputError: if the file cannot be read; names file, line or tier.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            f"an alignment must be a file ending in {', '.join(_READERS)}; received {path}"
        )
    return reader(path, _read_text(path), recording)


def check_segments(
    segments: Sequence[Segment], seconds: float, where: str
) -> tuple[list[Segment], list[str]]:
    """Returns the usable segments of an alignment, and descriptions of the others.

    Segments without a duration are removed. An overlap is divided in its middle, and an end after
    that of the audio moved to it.

    Args:
        segments: start and end in seconds, and label, of each.
        seconds: duration of the recording.
        where: name of the file and tier, for the descriptions.

    Raises:
        InputError: for a segment that starts after the end of the audio, before its start or before
            the segment before it: it belongs to another recording.

    Example:
    >>> check_segments([(0.0, 0.1, "a"), (0.1, 0.1, "b"), (0.1, 0.31, "c")], 0.3, "1.TextGrid")
    ([(0.0, 0.1, 'a'), (0.1, 0.3, 'c')], ["1.TextGrid: 'b' has no duration at 0.100 s"])
    """
    checked: list[Segment] = []
    problems = []
    for start, end, label in segments:
        if start < 0.0 or end < start or (checked and start < checked[-1][0]):
            raise InputError(f"{where}: times must ascend; {label!r} is at {start:.3f}-{end:.3f} s")
        if end > seconds + END_TOLERANCE:
            raise InputError(
                f"{where}: {label!r} at {start:.3f}-{end:.3f} s is after the end of the audio at "
                f"{seconds:.3f} s"
            )
        if checked and start < checked[-1][1]:
            middle = (start + min(end, checked[-1][1])) / 2
            if checked[-1][1] - start > END_TOLERANCE:
                both = f"{checked[-1][2]!r} and {label!r}"
                problems.append(f"{where}: {both} overlap at {start:.3f} s")
            checked[-1] = (checked[-1][0], middle, checked[-1][2])
            start = middle
        end = min(end, seconds)
        if end > start:
            checked.append((start, end, label))
        else:
            problems.append(f"{where}: {label!r} has no duration at {start:.3f} s")
    return checked, problems


def with_alignments(recordings: Recordings, pattern: str) -> Recordings:
    """Returns recordings with the alignments in files beside them.

    Args:
        recordings: the clips.
        pattern: path of the alignment of a recording, in which "*" stands for the recording's path
            without its suffix, such as "*.TextGrid" beside the recordings or "aligned/*.TextGrid";
            below the folder of the recordings. A CTM file of all recordings has no "*".

    Raises:
        InputError: if no recording has an alignment, or if one cannot be read or belongs to another
            recording.
    """
    clips, missing, problems = [], {}, []
    for clip, length in zip(recordings.metadata, recordings.lengths, strict=True):
        path = recordings.directory / pattern.replace("*", str(Path(clip.path).with_suffix("")))
        if not path.is_file():
            missing[clip.name] = f"no {path.name}"
            clips.append(dataclasses.replace(clip, alignment={}))
            continue
        seconds, alignment = int(length) / recordings.sample_rate, {}
        for kind, segments in read_alignment(path, Path(clip.path).stem).items():
            inside = _of_segment(segments, clip.name, seconds)
            alignment[kind], found = check_segments(inside, seconds, f"{path}, {kind}")
            problems += found
        clips.append(dataclasses.replace(clip, alignment=alignment))
    if len(missing) == len(clips):
        raise InputError(
            f"alignments {pattern!r} match no file of {recordings.directory}: "
            f"{first_reasons(missing)}"
        )
    if missing:
        warnings.warn(
            f"{len(missing)} recordings have no alignment ({first_reasons(missing)})", stacklevel=2
        )
    if problems:
        warnings.warn(
            f"{len(problems)} segments of alignments were changed, the first: {problems[0]}",
            stacklevel=2,
        )
    return dataclasses.replace(recordings, metadata=clips)


def textgrid_text(tiers: Mapping[str, Sequence[Segment]], seconds: float) -> str:
    """Returns the contents of a TextGrid in Praat's long form.

    Args:
        tiers: segments by the tier's name; time without a segment becomes an empty interval.
        seconds: duration of the recording.
    """
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    lines += ["xmin = 0", f"xmax = {seconds}", "tiers? <exists>", f"size = {len(tiers)}"]
    lines.append("item []:")
    for number, (name, segments) in enumerate(tiers.items(), 1):
        intervals = list(without_gaps(segments, seconds))
        lines += [f"    item [{number}]:", '        class = "IntervalTier"']
        lines += [f"        name = {_quoted(name)}", "        xmin = 0"]
        lines += [f"        xmax = {seconds}", f"        intervals: size = {len(intervals)}"]
        for index, (start, end, label) in enumerate(intervals, 1):
            lines += [f"        intervals [{index}]:", f"            xmin = {start}"]
            lines += [f"            xmax = {end}", f"            text = {_quoted(label)}"]
    return "\n".join(lines) + "\n"


def without_gaps(segments: Sequence[Segment], seconds: float) -> Iterator[Segment]:
    """Yields segments with empty ones between them, so that they cover the recording.

    Args:
        segments: start and end in seconds, and label, of each.
        seconds: duration of the recording.
    """
    time = 0.0
    for start, end, label in segments:
        if start > time:
            yield time, start, ""
        yield start, end, label
        time = end
    if time < seconds:
        yield time, seconds, ""


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _of_segment(segments: Sequence[Segment], name: str, seconds: float) -> list[Segment]:
    """Returns the segments of a recording that are in a clip of it, from the clip's start."""
    first = segment_start(name)
    if name == recording_path(name):
        return list(segments)
    last = first + seconds
    return [
        (max(start, first) - first, min(end, last) - first, label)
        for start, end, label in segments
        if start < last and end > first
    ]


def _read_text(path: Path) -> str:
    """Returns the text of a file whose encoding its first bytes give."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _read_textgrid(path: Path, text: str, recording: str) -> dict[str, list[Segment]]:
    """Reads the interval tiers of a TextGrid: both forms hold the same numbers and strings."""
    if text.startswith("ooBinaryFile"):
        raise InputError(f"cannot read {path}: a binary TextGrid; save it as a text file in Praat")
    tokens = [
        match[1].replace('""', '"') if match[1] is not None else match[2] or float(match[3])
        for match in _TEXTGRID_TOKEN.finditer(text)
        if match[1] is not None or match[2] or match[3]
    ]
    if len(tokens) < 6 or not str(tokens[0]).startswith("ooTextFile") or tokens[1] != "TextGrid":
        raise InputError(f"cannot read {path}: it is no TextGrid")
    tiers: dict[str, list[Segment]] = {}
    position, name = 6, ""
    try:
        for _ in range(int(tokens[5])):
            kind, name, count = tokens[position], str(tokens[position + 1]), tokens[position + 4]
            width = 3 if kind == "IntervalTier" else 2
            first = position + 5
            position = first + width * int(count)
            values = tokens[first:position]
            if len(values) < width * int(count):
                raise ValueError("the file ends in the middle of it")
            if width == 3:
                tiers[name] = [
                    (float(values[i]), float(values[i + 1]), _silence(str(values[i + 2]).strip()))
                    for i in range(0, len(values), 3)
                ]
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(f"cannot read {path}, tier {name!r}: {error}") from error
    return tiers


def _read_lines(
    path: Path, text: str, kind: str, parse: Callable[[str], Segment | None], example: str
) -> dict[str, list[Segment]]:
    """Reads a file with a segment per line; `parse` returns None for other lines."""
    segments = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            segment = parse(line)
        except (ValueError, IndexError) as error:
            raise InputError(
                f"cannot read {path}, line {number}: expected a line such as {example!r}; received "
                f"{line.strip()[:60]!r}"
            ) from error
        if segment is not None:
            segments.append(segment)
    return {kind: segments}


def _read_hts(path: Path, text: str, recording: str) -> dict[str, list[Segment]]:
    def parse(line: str) -> Segment:
        start, end, label = line.split()[:3]
        match = _FULL_CONTEXT.match(label)
        phone = match[1] if match else label
        return int(start) / HTS_SECOND, int(end) / HTS_SECOND, _silence(phone)

    return _read_lines(path, text, "phones", parse, "0 3050000 h")


def _read_audacity(path: Path, text: str, recording: str) -> dict[str, list[Segment]]:
    def parse(line: str) -> Segment | None:
        if line.startswith("\\"):  # the frequencies of the label before
            return None
        start, end, *label = line.split("\t")
        return _seconds(start), _seconds(end), _silence(" ".join(label).strip())

    return _read_lines(path, text, "labels", parse, "0.25\t0.75\tlabel")


def _read_ctm(path: Path, text: str, recording: str) -> dict[str, list[Segment]]:
    def parse(line: str) -> Segment | None:
        if line.startswith(";;"):
            return None
        name, _, start, duration, label = line.split()[:5]
        if recording and name != recording:
            return None
        return float(start), float(start) + float(duration), _silence(label)

    return _read_lines(path, text, "labels", parse, "recording 1 0.25 0.5 label")


def _read_timit(kind: str) -> Callable[[Path, str, str], dict[str, list[Segment]]]:
    def parse(line: str) -> Segment:
        start, end, label = line.split()
        return int(start) / TIMIT_RATE, int(end) / TIMIT_RATE, label

    return lambda path, text, recording: _read_lines(path, text, kind, parse, "0 3050 h#")


def _seconds(text: str) -> float:
    """Returns a number that may have a decimal comma, as Audacity writes it in some languages."""
    return float(text.strip().replace(",", "."))


def _silence(label: str) -> str:
    """Returns `SILENCE` for the silence labels of aligners, and other labels unchanged."""
    return SILENCE if label in SILENCES else label


_READERS = {
    ".textgrid": _read_textgrid,
    ".lab": _read_hts,
    ".txt": _read_audacity,
    ".ctm": _read_ctm,
    ".phn": _read_timit("phones"),
    ".wrd": _read_timit("words"),
}
