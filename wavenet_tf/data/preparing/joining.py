"""Joining the tables of all shards: the index of the corpus, and the report."""

import contextlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wavenet_tf import audio, files
from wavenet_tf.data import prepared
from wavenet_tf.data.manifest import SPLITS
from wavenet_tf.data.preparing.preparation import SettledPreparation
from wavenet_tf.data.preparing.shards import Shard, piece_samples
from wavenet_tf.data.recordings import NAMED_IN_SUMMARY, UNKNOWN, first_reasons
from wavenet_tf.errors import InputError

# Worth a look, in the report: levels this far from the median, offsets from zero beyond this.
OUTLYING_DB = 15.0
LARGE_DC_OFFSET = 0.01
NAMED_IN_REPORT = 1000
WORTH_A_LOOK = {
    "clipped": "clips with clipped samples",
    "dc_offset": f"clips offset from zero by more than {LARGE_DC_OFFSET:.0%} of full scale",
    "outlying_level": f"clips more than {OUTLYING_DB:g} dB from the median level",
    "duplicates": "clips that repeat another, sample by sample",
    "silent": "clips of silence",
    "opposite_phase": "clips whose channels are of opposite phase and cancel out",
    "beyond_full_scale": "clips with values beyond [-1, 1]",
}


def finish(output: Path, preparation: SettledPreparation, shards: list[Shard]) -> dict[str, Any]:
    """Joins the tables of all shards, and writes index and report.

    Returns:
        The report.

    Raises:
        InputError: if no clip could be used.
    """
    facts = [_facts(output / shard.tables) for shard in shards]
    skipped = {name: why for shard in facts for name, why in shard["skipped"].items()}
    if not any(known["clips"] for known in facts):
        raise InputError(
            f"no usable recording in {preparation.source}: {len(skipped)} clips, none of them "
            f"usable; {first_reasons(skipped)}"
        )
    speakers = sorted({speaker for shard in facts for speaker in shard["speakers"]})
    _join_tables(output, shards, facts, speakers)
    trimmed = sum(shard["samples_trimmed"] for shard in facts)
    report = _report(output, preparation.sample_rate, speakers, skipped, trimmed)
    report["worth_a_look"] |= _problems(facts)
    files.write_text(output / prepared.REPORT, json.dumps(report, indent=2) + "\n")
    channels = audio.feature_channels(preparation.features) if preparation.features else 0
    index = {
        "sample_rate": preparation.sample_rate,
        "features": list(preparation.features),
        "feature_channels": channels,
        "hop_length": preparation.hop_length,
        "piece_samples": piece_samples(preparation.hop_length),
        "statistics": report["statistics"],
        "speakers": speakers,
        "shards": [
            {"file": shard.name, **{key: known[key] for key in ("clips", "bytes", "sha256")}}
            for shard, known in zip(shards, facts, strict=True)
        ],
    }
    prepared.write_index(output, index)
    for shard in shards:
        (output / shard.tables).unlink()
    return report


def _facts(tables: Path) -> dict[str, Any]:
    with np.load(tables) as arrays:
        sizes = {name: len(arrays[name]) for name in ("clips", "pieces", "names")}
        return {**json.loads(str(arrays["facts"])), **sizes}


def _join_tables(
    output: Path,
    shards: list[Shard],
    facts: list[dict[str, Any]],
    speakers: list[str],
) -> None:
    """Writes the tables of the corpus, a shard at a time."""
    ids = {speaker: place for place, speaker in enumerate(speakers)}
    with contextlib.ExitStack() as stack:

        def table(name: str, dtype: np.dtype, kind: str) -> np.ndarray:
            rows = sum(known[kind] for known in facts)
            return stack.enter_context(_table(output / name, dtype, rows))

        clips = table(prepared.CLIPS, prepared.CLIP, "clips")
        pieces = table(prepared.PIECES, prepared.PIECE, "pieces")
        names = table(prepared.NAMES, np.dtype(np.uint8), "names")
        clip = piece = name = 0
        for shard, known in zip(shards, facts, strict=True):
            with np.load(output / shard.tables) as arrays:
                rows, parts, letters = (arrays[kind] for kind in ("clips", "pieces", "names"))
            # One more, for clips without a speaker, whose id is -1.
            new_ids = np.array([*(ids[speaker] for speaker in known["speakers"]), UNKNOWN])
            rows["speaker"] = new_ids[rows["speaker"]]
            rows["first_piece"] += piece
            rows["name_begin"] += name
            rows["name_end"] += name
            parts["shard"] = shard.number
            clips[clip : clip + len(rows)] = rows
            pieces[piece : piece + len(parts)] = parts
            names[name : name + len(letters)] = letters
            clip, piece, name = clip + len(rows), piece + len(parts), name + len(letters)
        # A corpus that names clips to validate on trains on the others.
        splits = clips["split"]
        if (splits == SPLITS.index("validation")).any():
            splits[splits == UNKNOWN] = SPLITS.index("train")


@contextlib.contextmanager
def _table(path: Path, dtype: np.dtype, rows: int) -> Iterator[np.ndarray]:
    """A table to be filled on the disk."""
    with files.atomic_path(path) as temporary:
        table = np.lib.format.open_memmap(temporary, "w+", dtype, (rows,))
        yield table
        table.flush()


def _report(
    output: Path, rate: int, speakers: list[str], skipped: dict[str, str], trimmed: int
) -> dict[str, Any]:
    """What there is, and what is worth a look."""
    clips = np.load(output / prepared.CLIPS, mmap_mode="r")
    names = np.load(output / prepared.NAMES, mmap_mode="r")
    by_content = np.argsort(clips["content"], kind="stable")
    same = np.diff(clips["content"][by_content]) == 0
    unlike = np.abs(clips["rms"] - np.median(clips["rms"])) > OUTLYING_DB
    worth_a_look = {
        "clipped": np.flatnonzero(clips["clipped"]),
        "dc_offset": np.flatnonzero(np.abs(clips["dc_offset"]) > LARGE_DC_OFFSET),
        "outlying_level": np.flatnonzero(unlike),
        "duplicates": np.sort(by_content[1:][same]),
    }

    def samples(chosen) -> int:
        return int(clips["samples"][chosen].sum())

    of_split = {name: clips["split"] == place for place, name in enumerate(SPLITS)}
    of_speaker = np.bincount(
        clips["speaker"] + 1, weights=clips["samples"], minlength=len(speakers) + 1
    )
    return {
        "statistics": {
            "clips": len(clips),
            "seconds": samples(slice(None)) / rate,
            "shortest_seconds": int(clips["samples"].min()) / rate,
            "longest_seconds": int(clips["samples"].max()) / rate,
            "median_rms_db": float(np.median(clips["rms"])),
            "highest_peak_db": float(clips["peak"].max()),
            "splits": {
                name: {"clips": int(chosen.sum()), "seconds": samples(chosen) / rate}
                for name, chosen in of_split.items()
            },
            "speaker_seconds": {
                name: float(seconds / rate)
                for name, seconds in zip(speakers, of_speaker[1:], strict=True)
            },
        },
        "seconds_trimmed": trimmed / rate,
        "samples_clipped": int(clips["clipped"].sum()),
        "worth_a_look": {
            kind: {
                "clips": len(found),
                "names": [
                    prepared.clip_name(names, clips[number]) for number in found[:NAMED_IN_REPORT]
                ],
            }
            for kind, found in worth_a_look.items()
        },
        "skipped": {
            "clips": len(skipped),
            "names": dict(itertools.islice(skipped.items(), NAMED_IN_REPORT)),
        },
    }


def _problems(facts: list[dict[str, Any]]) -> dict[str, Any]:
    """The clips with each of `audio.PROBLEMS`, for the report."""
    found = {}
    for kind in audio.PROBLEMS:
        names = [
            name for shard in facts for name, kinds in shard["problems"].items() if kind in kinds
        ]
        found[kind] = {"clips": len(names), "names": names[:NAMED_IN_REPORT]}
    return found


def summarise(report: dict[str, Any]) -> str:
    """A report in a few lines."""
    statistics = report["statistics"]
    trimmed, skipped = report["seconds_trimmed"], report["skipped"]
    kept = statistics["seconds"]
    splits = ", ".join(
        f"{name} {part['clips']:,} ({part['seconds']:,.0f} s)"
        for name, part in statistics["splits"].items()
        if part["clips"]
    )
    lines = [
        f"{statistics['clips']:,} clips, {kept:,.1f} s, of {statistics['shortest_seconds']:.2f} to "
        f"{statistics['longest_seconds']:.2f} s, median level {statistics['median_rms_db']:.1f} dB",
        f"split       {splits or 'none in the corpus: training makes one'}",
        f"speakers    {len(statistics['speaker_seconds']) or 'none'}",
    ]
    if trimmed:
        share = 100 * trimmed / (kept + trimmed)
        lines.append(f"silence     {trimmed:,.1f} s cut off ({share:.1f}%)")
    for kind, what in WORTH_A_LOOK.items():
        found = report["worth_a_look"][kind]
        if found["clips"]:
            names = ", ".join(found["names"][:NAMED_IN_SUMMARY])
            more = ", ..." if found["clips"] > NAMED_IN_SUMMARY else ""
            lines.append(f"look at     {found['clips']:,} {what}: {names}{more}")
    for name, why in list(skipped["names"].items())[:NAMED_IN_SUMMARY]:
        lines.append(f"skipped     {name}: {why}")
    if skipped["clips"] > NAMED_IN_SUMMARY:
        lines.append(f"skipped     {skipped['clips'] - NAMED_IN_SUMMARY:,} more, see report.json")
    return "\n".join(lines)
