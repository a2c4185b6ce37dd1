"""The report of a preparation: statistics, skipped files, and warnings about clips."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from wavenet_tf import audio
from wavenet_tf.data import prepared
from wavenet_tf.data.manifest import SPLITS
from wavenet_tf.data.recordings import NAMED_IN_SUMMARY

# Thresholds of warnings: distance of a level from the median, and offset of the mean from zero.
OUTLYING_DB = 15.0
LARGE_DC_OFFSET = 0.01
NAMED_IN_REPORT = 1000
WARNINGS = {
    "clipped": "clips with clipped samples",
    "dc_offset": f"clips offset from zero by more than {LARGE_DC_OFFSET:.0%} of full scale",
    "outlying_level": f"clips more than {OUTLYING_DB:g} dB from the median level",
    "duplicates": "clips that repeat another, sample by sample",
    "silent": "clips of silence",
    "opposite_phase": "clips whose channels are of opposite phase and cancel out",
    "beyond_full_scale": "clips with values beyond [-1, 1]",
}


def make_report(
    output: Path, sample_rate: int, speakers: list[str], facts: list[dict[str, Any]]
) -> dict[str, Any]:
    """Makes the report of a preparation.

    Args:
        output: folder of the preparation, with the tables of the corpus.
        sample_rate: in Hz.
        speakers: names of the speakers, in the order of their ids.
        facts: facts of each shard.

    Returns:
        `statistics`, `seconds_trimmed`, `samples_clipped`, `warnings` by a key of `WARNINGS`, and
        `skipped`; values that JSON can hold.
    """
    clips = np.load(output / prepared.CLIPS, mmap_mode="r")
    names = np.load(output / prepared.NAMES, mmap_mode="r")
    trimmed = sum(shard["samples_trimmed"] for shard in facts)
    skipped = {name: reason for shard in facts for name, reason in shard["skipped"].items()}
    return {
        "statistics": _statistics(clips, sample_rate, speakers),
        "seconds_trimmed": trimmed / sample_rate,
        "samples_clipped": int(clips["clipped"].sum()),
        "warnings": {**_outliers(clips, names), **_problems(facts)},
        "skipped": {
            "clips": len(skipped),
            "names": dict(itertools.islice(skipped.items(), NAMED_IN_REPORT)),
        },
    }


def summarize(report: dict[str, Any]) -> str:
    """Returns a report in a few lines of text.

    Args:
        report: what `make_report` returned.
    """
    statistics = report["statistics"]
    trimmed, skipped = report["seconds_trimmed"], report["skipped"]
    seconds = statistics["seconds"]
    splits = ", ".join(
        f"{name} {part['clips']:,} ({part['seconds']:,.0f} s)"
        for name, part in statistics["splits"].items()
        if part["clips"]
    )
    lines = [
        f"{statistics['clips']:,} clips, {seconds:,.1f} s, of "
        f"{statistics['shortest_seconds']:.2f} to {statistics['longest_seconds']:.2f} s, median "
        f"level {statistics['median_rms_db']:.1f} dB",
        f"split       {splits or 'none in the corpus: training makes one'}",
        f"speakers    {len(statistics['speaker_seconds']) or 'none'}",
    ]
    if trimmed:
        share = 100 * trimmed / (seconds + trimmed)
        lines.append(f"silence     {trimmed:,.1f} s cut off ({share:.1f}%)")
    for kind, description in WARNINGS.items():
        found = report["warnings"][kind]
        if found["clips"]:
            names = ", ".join(found["names"][:NAMED_IN_SUMMARY])
            more = ", ..." if found["clips"] > NAMED_IN_SUMMARY else ""
            lines.append(f"warning     {found['clips']:,} {description}: {names}{more}")
    for name, reason in list(skipped["names"].items())[:NAMED_IN_SUMMARY]:
        lines.append(f"skipped     {name}: {reason}")
    if skipped["clips"] > NAMED_IN_SUMMARY:
        lines.append(f"skipped     {skipped['clips'] - NAMED_IN_SUMMARY:,} more, see report.json")
    return "\n".join(lines)


def _statistics(clips: np.ndarray, sample_rate: int, speakers: list[str]) -> dict[str, Any]:
    """Returns numbers and durations of clips: all, by split and by speaker."""
    samples = clips["samples"]
    # One more, the first, for clips without a speaker, whose id is -1.
    by_speaker = np.bincount(clips["speaker"] + 1, weights=samples, minlength=len(speakers) + 1)
    by_split = {name: clips["split"] == index for index, name in enumerate(SPLITS)}
    return {
        "clips": len(clips),
        "seconds": int(samples.sum()) / sample_rate,
        "shortest_seconds": int(samples.min()) / sample_rate,
        "longest_seconds": int(samples.max()) / sample_rate,
        "median_rms_db": float(np.median(clips["rms"])),
        "highest_peak_db": float(clips["peak"].max()),
        "splits": {
            name: {
                "clips": int(chosen.sum()),
                "seconds": int(samples[chosen].sum()) / sample_rate,
            }
            for name, chosen in by_split.items()
        },
        "speaker_seconds": {
            name: float(length / sample_rate)
            for name, length in zip(speakers, by_speaker[1:], strict=True)
        },
    }


def _outliers(clips: np.ndarray, names: np.ndarray) -> dict[str, Any]:
    """Returns the warnings about clips that follow from their levels and from comparing clips."""
    by_content = np.argsort(clips["content"], kind="stable")
    repeats = np.diff(clips["content"][by_content]) == 0
    distances = np.abs(clips["rms"] - np.median(clips["rms"]))
    found = {
        "clipped": np.flatnonzero(clips["clipped"]),
        "dc_offset": np.flatnonzero(np.abs(clips["dc_offset"]) > LARGE_DC_OFFSET),
        "outlying_level": np.flatnonzero(distances > OUTLYING_DB),
        "duplicates": np.sort(by_content[1:][repeats]),
    }
    return {
        kind: {
            "clips": len(numbers),
            "names": [
                prepared.clip_name(names, clips[number]) for number in numbers[:NAMED_IN_REPORT]
            ],
        }
        for kind, numbers in found.items()
    }


def _problems(facts: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the warnings about clips that have one of `audio.PROBLEMS`."""
    found = {}
    for kind in audio.PROBLEMS:
        names = [
            name for shard in facts for name, kinds in shard["problems"].items() if kind in kinds
        ]
        found[kind] = {"clips": len(names), "names": names[:NAMED_IN_REPORT]}
    return found
