"""Joining the tables of all shards to those of the corpus, and writing index and report."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wavenet_tf import audio, files
from wavenet_tf.data import prepared
from wavenet_tf.data.labels import UNKNOWN
from wavenet_tf.data.manifest import SPLITS
from wavenet_tf.data.preparing.preparation import ResolvedPreparation
from wavenet_tf.data.preparing.report import make_report
from wavenet_tf.data.preparing.shards import Shard, piece_samples
from wavenet_tf.data.recordings import first_reasons
from wavenet_tf.errors import InputError


def join_shards(
    output: Path, preparation: ResolvedPreparation, shards: list[Shard]
) -> dict[str, Any]:
    """Joins the tables of all shards; writes index and report.

    Args:
        output: folder of the preparation.
        preparation: its settings.
        shards: all shards, which are written.

    Returns:
        The report.

    Raises:
        InputError: if no clip could be used.
    """
    facts = [_read_facts(output / shard.tables) for shard in shards]
    skipped = {name: reason for shard in facts for name, reason in shard["skipped"].items()}
    if not any(shard["clips"] for shard in facts):
        raise InputError(
            f"no usable recording in {preparation.source}: {len(skipped)} clips, none of them "
            f"usable; {first_reasons(skipped)}"
        )
    speakers, tags = (
        sorted({label for shard in facts for label in shard[kind]}) for kind in ("speakers", "tags")
    )
    _join_tables(output, shards, facts, speakers)
    report = make_report(output, preparation.sample_rate, speakers, facts)
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
        "tags": tags,
        "shards": [
            {"file": shard.name, **{key: written[key] for key in ("clips", "bytes", "sha256")}}
            for shard, written in zip(shards, facts, strict=True)
        ],
    }
    prepared.write_index(output, index)
    for shard in shards:
        (output / shard.tables).unlink()
    return report


def _read_facts(tables: Path) -> dict[str, Any]:
    """Returns the facts of a shard and the sizes of its tables."""
    with np.load(tables) as arrays:
        sizes = {name: len(arrays[name]) for name in ("clips", "pieces", "names")}
        return {**json.loads(str(arrays["facts"])), **sizes}


def _join_tables(
    output: Path,
    shards: list[Shard],
    facts: list[dict[str, Any]],
    speakers: list[str],
) -> None:
    """Writes the tables of the corpus, one shard at a time."""
    ids = {speaker: index for index, speaker in enumerate(speakers)}
    with contextlib.ExitStack() as stack:

        def table(name: str, dtype: np.dtype, kind: str) -> np.ndarray:
            rows = sum(shard[kind] for shard in facts)
            return stack.enter_context(_new_table(output / name, dtype, rows))

        clips = table(prepared.CLIPS, prepared.CLIP, "clips")
        pieces = table(prepared.PIECES, prepared.PIECE, "pieces")
        names = table(prepared.NAMES, np.dtype(np.uint8), "names")
        clip = piece = name = 0
        for shard, written in zip(shards, facts, strict=True):
            with np.load(output / shard.tables) as arrays:
                rows, parts, letters = (arrays[kind] for kind in ("clips", "pieces", "names"))
            # The last element is for clips without a speaker, whose id is -1.
            new_ids = np.array([*(ids[speaker] for speaker in written["speakers"]), UNKNOWN])
            rows["speaker"] = new_ids[rows["speaker"]]
            rows["first_piece"] += piece
            rows["name_start"] += name
            rows["name_end"] += name
            parts["shard"] = shard.number
            clips[clip : clip + len(rows)] = rows
            pieces[piece : piece + len(parts)] = parts
            names[name : name + len(letters)] = letters
            clip, piece, name = clip + len(rows), piece + len(parts), name + len(letters)
        # If the corpus names clips for validation, clips without a split are for training.
        splits = clips["split"]
        if (splits == SPLITS.index("validation")).any():
            splits[splits == UNKNOWN] = SPLITS.index("train")


@contextlib.contextmanager
def _new_table(path: Path, dtype: np.dtype, rows: int) -> Iterator[np.ndarray]:
    """Yields a memory-mapped table to be filled, and moves it to `path` when that is done."""
    with files.atomic_path(path) as temporary:
        table = np.lib.format.open_memmap(temporary, "w+", dtype, (rows,))
        yield table
        table.flush()
