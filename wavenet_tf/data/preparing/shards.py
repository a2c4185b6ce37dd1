"""Writing a shard: the pieces of its clips, and tables of its clips and pieces."""

import dataclasses
import hashlib
import io
import itertools
import json
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import tensorflow as tf

from wavenet_tf import audio, files
from wavenet_tf.data import prepared
from wavenet_tf.data.labels import UNKNOWN
from wavenet_tf.data.manifest import SPLITS, Clip
from wavenet_tf.data.preparing.preparation import (
    NORMALIZATIONS,
    ResolvedPreparation,
    source_root,
)
from wavenet_tf.data.raw import FileClip, reason_if_too_short, reason_without_path
from wavenet_tf.data.splits import unit_hash
from wavenet_tf.errors import InputError

# Minimum length of a piece, in samples: a crop is in one or two pieces.
PIECE_SAMPLES = 2**15
CLIPS_PER_SHARD = 1000
MIN_SHARDS = 8
SHARDS = "shards"


@dataclasses.dataclass(frozen=True)
class Shard:
    """A shard and the lines of the manifest that are its clips.

    Attributes:
        number: number of the shard.
        start: offset of the first line in the manifest, in bytes.
        end: offset after the last line, in bytes.
        clips: number of lines.
    """

    number: int
    start: int
    end: int
    clips: int

    @property
    def name(self) -> str:
        """Path of the shard below the folder of the preparation."""
        return f"{SHARDS}/shard-{self.number:05d}.tfrecord"

    @property
    def tables(self) -> str:
        """Path of the shard's tables below the folder of the preparation."""
        return f"{SHARDS}/shard-{self.number:05d}.npz"


def plan_shards(output: Path, preparation: ResolvedPreparation) -> list[Shard]:
    """Divides the manifest into shards of equally many clips.

    Args:
        output: folder of the preparation, with the manifest.
        preparation: its settings.
    """
    with open(output / prepared.SOURCE, "rb") as file:
        total = sum(1 for _ in file)
        number = preparation.shards or max(MIN_SHARDS, -(-total // CLIPS_PER_SHARD))
        number = min(number, total)
        file.seek(0)
        shards, start = [], 0
        for shard in range(number):
            clips = total * (shard + 1) // number - total * shard // number
            end = start + sum(len(line) for line in itertools.islice(file, clips))
            shards.append(Shard(shard, start, end, clips))
            start = end
    return shards


def is_done(output: Path, shard: Shard) -> bool:
    """Returns whether a shard is written: its tables are written after it.

    Args:
        output: folder of the preparation.
        shard: the shard.
    """
    return (output / shard.tables).exists() and (output / shard.name).exists()


def piece_samples(hop_length: int) -> int:
    """Returns the length of a piece in samples: a whole number of frames.

    Args:
        hop_length: samples per frame.
    """
    return -(-PIECE_SAMPLES // hop_length) * hop_length


class StoppedError(Exception):
    """Writing was stopped because another shard failed."""


def write_shard(
    output: Path, preparation: ResolvedPreparation, shard: Shard, count: Callable[[], None]
) -> None:
    """Writes a shard, and then its tables.

    Args:
        output: folder of the preparation.
        preparation: its settings.
        shard: the shard.
        count: called after each clip; may raise `StoppedError`.
    """
    tables = _Tables()
    try:
        with files.atomic_path(output / shard.name) as temporary:
            with tf.io.TFRecordWriter(str(temporary)) as writer:
                for clip in _read_clips(output, shard):
                    _write_clip(output, preparation, clip, writer, tables)
                    count()
            tables.facts["bytes"] = temporary.stat().st_size
            tables.facts["sha256"] = prepared.file_checksum(temporary)
    except tf.errors.OpError as error:
        raise OSError(f"cannot write {output / shard.name}: {error.message}") from error
    tables.write(output / shard.tables)


def _read_clips(output: Path, shard: Shard) -> Iterator[Clip]:
    """Reads the clips of a shard from the manifest."""
    with open(output / prepared.SOURCE, "rb") as file:
        file.seek(shard.start)
        while file.tell() < shard.end:
            yield Clip.from_row(json.loads(file.readline()))


class _Tables:
    """Rows for the tables of a shard, and facts for the index and the report."""

    def __init__(self):
        self.names: list[str] = []
        self.clips: list[tuple] = []
        self.pieces: list[tuple] = []
        self.offset = 0
        self.speakers: dict[str, int] = {}
        self.tags: set[str] = set()
        self.facts: dict[str, Any] = {"skipped": {}, "problems": {}, "samples_trimmed": 0}

    def add_clip(self, clip: Clip, samples: np.ndarray, levels: audio.Levels) -> None:
        """Adds a clip; calls of `add_piece` for its pieces follow."""
        speaker = UNKNOWN
        if clip.speaker is not None:
            speaker = self.speakers.setdefault(clip.speaker, len(self.speakers))
        content = hashlib.blake2b(samples.tobytes(), digest_size=8).digest()
        split = UNKNOWN if clip.split is None else SPLITS.index(clip.split)
        row: tuple = (0, 0, len(self.pieces), len(samples), speaker, split, unit_hash(clip.name))
        row += (int.from_bytes(content, "little"),)
        row += (levels.peak, levels.rms, levels.dc_offset, levels.clipped)
        self.clips.append(row)
        self.names.append(clip.name)
        self.tags.update(clip.tags)

    def add_piece(self, record: bytes) -> None:
        """Adds a piece of the last clip, given the record that was written."""
        start = self.offset + prepared.BYTES_BEFORE_RECORD
        self.pieces.append((0, len(record), start, zlib.crc32(record)))
        self.offset = start + len(record) + prepared.BYTES_AFTER_RECORD

    def write(self, path: Path) -> None:
        """Writes tables and facts to an .npz file."""
        names = [os.fsencode(name) for name in self.names]
        clips = np.array(self.clips, prepared.CLIP)
        ends = np.cumsum([len(name) for name in names], dtype=np.int64)
        clips["name_end"], clips["name_start"][1:] = ends, ends[:-1]
        facts = {**self.facts, "speakers": list(self.speakers), "tags": sorted(self.tags)}
        with files.atomic_path(path) as temporary:
            np.savez(
                temporary,
                clips=clips,
                pieces=np.array(self.pieces, prepared.PIECE),
                names=np.frombuffer(b"".join(names), np.uint8),
                facts=np.array(json.dumps(facts)),
            )


def _write_clip(
    output: Path, preparation: ResolvedPreparation, clip: Clip, writer, tables: _Tables
) -> None:
    """Writes the pieces of a clip; if the clip cannot be used, adds the reason to the facts."""
    rate = preparation.sample_rate
    path = source_root(preparation, output) / clip.path
    try:
        source = FileClip(path, clip, rate)
        waveform = source.waveform()
    except InputError as error:
        tables.facts["skipped"][clip.name] = reason_without_path(error, path)
        return
    levels = audio.measure_levels(waveform)
    untrimmed = len(waveform)
    waveform, alignment = _trimmed(waveform, clip, preparation)
    tables.facts["samples_trimmed"] += untrimmed - len(waveform)
    if reason := reason_if_too_short(waveform, rate):
        tables.facts["skipped"][clip.name] = reason
        return
    if preparation.normalize:
        level_db = preparation.level_db or NORMALIZATIONS[preparation.normalize]
        waveform = audio.normalize(waveform, preparation.normalize, level_db)
    samples = audio.to_16_bits(waveform)
    frames = None
    if preparation.features:
        quantized = samples / np.float32(audio.STEPS_OF_16_BITS)
        frames = audio.extract_features(
            quantized, rate, preparation.hop_length, preparation.features
        )
    tables.add_clip(clip, samples, levels)
    if source.problems:
        tables.facts["problems"][clip.name] = source.problems
    for record in _records(clip, alignment, samples, frames, preparation):
        writer.write(record)
        tables.add_piece(record)


def _records(
    clip: Clip,
    alignment: dict,
    samples: np.ndarray,
    frames: np.ndarray | None,
    preparation: ResolvedPreparation,
) -> Iterator[bytes]:
    """Yields the records of the pieces of a clip."""
    hop = preparation.hop_length
    length = piece_samples(hop)
    for piece, start in enumerate(range(0, len(samples), length)):
        end = start + length
        features = {
            "name": _bytes(os.fsencode(clip.name)),
            "piece": tf.train.Feature(int64_list=tf.train.Int64List(value=[piece])),
            "audio": _bytes(_flac(samples[start:end], preparation.sample_rate)),
        }
        if not piece:
            features["clip"] = _bytes(dataclasses.replace(clip, alignment={}).to_json().encode())
            features["alignment"] = _bytes(json.dumps(alignment).encode())
        if frames is not None:
            part = frames[start // hop : -(-end // hop)]
            features["features"] = _bytes(part.astype("<f4").tobytes())
        example = tf.train.Example(features=tf.train.Features(feature=features))
        yield example.SerializeToString(deterministic=True)


def _trimmed(
    waveform: np.ndarray, clip: Clip, preparation: ResolvedPreparation
) -> tuple[np.ndarray, dict[str, list[tuple[float, float, str]]]]:
    """Returns a clip without silence, if it is to be trimmed, and its alignment."""
    if preparation.trim_db is None:
        return waveform, clip.alignment
    rate = preparation.sample_rate
    segments = audio.audible_segments(
        waveform, rate, preparation.trim_db, inner=preparation.trim_pauses
    )
    alignment = audio.move_alignment(clip.alignment, segments, rate)
    return audio.join_segments(waveform, segments), alignment


def _flac(samples: np.ndarray, sample_rate: int) -> bytes:
    """Encodes samples as FLAC of 16 bits."""
    contents = io.BytesIO()
    soundfile.write(contents, samples, sample_rate, format="FLAC", subtype="PCM_16")
    return contents.getvalue()


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
