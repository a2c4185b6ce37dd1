"""Writing a shard: the pieces of its clips, and what is known of them."""

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
from wavenet_tf.data.manifest import SPLITS, Clip
from wavenet_tf.data.preparing.preparation import NORMALISATIONS, SettledPreparation, source_root
from wavenet_tf.data.reading import FileClip, reason, too_short
from wavenet_tf.data.recordings import UNKNOWN
from wavenet_tf.data.splits import unit_hash
from wavenet_tf.errors import InputError

# A piece has at least so many samples: a crop reads one or two of them.
PIECE_SAMPLES = 2**15
CLIPS_PER_SHARD = 1000
FEWEST_SHARDS = 8
SHARDS = "shards"


@dataclasses.dataclass(frozen=True)
class Shard:
    """Which lines of the manifest a shard holds, by their places in the file."""

    number: int
    begin: int
    end: int
    clips: int

    @property
    def name(self) -> str:
        return f"{SHARDS}/shard-{self.number:05d}.tfrecord"

    @property
    def tables(self) -> str:
        return f"{SHARDS}/shard-{self.number:05d}.npz"


def plan_shards(output: Path, preparation: SettledPreparation) -> list[Shard]:
    """Shards of equally many clips, one after the other as the manifest has them."""
    with open(output / prepared.SOURCE, "rb") as file:
        total = sum(1 for _ in file)
        number = preparation.shards or max(FEWEST_SHARDS, -(-total // CLIPS_PER_SHARD))
        number = min(number, total)
        file.seek(0)
        shards, begin = [], 0
        for shard in range(number):
            clips = total * (shard + 1) // number - total * shard // number
            end = begin + sum(len(line) for line in itertools.islice(file, clips))
            shards.append(Shard(shard, begin, end, clips))
            begin = end
    return shards


def is_done(output: Path, shard: Shard) -> bool:
    """Whether a shard is written: its tables come after it."""
    return (output / shard.tables).exists() and (output / shard.name).exists()


class StoppedError(Exception):
    """Work was given up, because something else failed."""


def write_shard(
    output: Path, preparation: SettledPreparation, shard: Shard, count: Callable[[], None]
) -> None:
    """Writes a shard, and then its tables.

    Args:
        output: the folder of the preparation.
        preparation: its settings.
        shard: which.
        count: called after each clip; may raise `StoppedError`.
    """
    tables = _Tables()
    try:
        with files.atomic_path(output / shard.name) as temporary:
            with tf.io.TFRecordWriter(str(temporary)) as writer:
                for clip in _clips_of(output, shard):
                    _write_clip(output, preparation, clip, writer, tables)
                    count()
            tables.facts["bytes"] = temporary.stat().st_size
            tables.facts["sha256"] = prepared.file_checksum(temporary)
    except tf.errors.OpError as error:
        raise OSError(f"cannot write {output / shard.name}: {error.message}") from error
    tables.write(output / shard.tables)


def _clips_of(output: Path, shard: Shard) -> Iterator[Clip]:
    with open(output / prepared.SOURCE, "rb") as file:
        file.seek(shard.begin)
        while file.tell() < shard.end:
            yield Clip.of_row(json.loads(file.readline()))


class _Tables:
    """What is known of a shard's clips, to become tables of the whole corpus."""

    def __init__(self):
        self.names: list[str] = []
        self.clips: list[tuple] = []
        self.pieces: list[tuple] = []
        self.offset = 0
        self.speakers: dict[str, int] = {}
        self.facts: dict[str, Any] = {"skipped": {}, "problems": {}, "samples_trimmed": 0}

    def add_clip(self, clip: Clip, samples: np.ndarray, levels: audio.Levels) -> None:
        """Adds a clip, whose pieces come next."""
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

    def add_piece(self, record: bytes) -> None:
        """Adds a piece of the last clip, as it is written."""
        begin = self.offset + prepared.BYTES_BEFORE_RECORD
        self.pieces.append((0, len(record), begin, zlib.crc32(record)))
        self.offset = begin + len(record) + prepared.BYTES_AFTER_RECORD

    def write(self, path: Path) -> None:
        names = [os.fsencode(name) for name in self.names]
        clips = np.array(self.clips, prepared.CLIP)
        ends = np.cumsum([len(name) for name in names], dtype=np.int64)
        clips["name_end"], clips["name_begin"][1:] = ends, ends[:-1]
        self.facts["speakers"] = list(self.speakers)
        with files.atomic_path(path) as temporary:
            np.savez(
                temporary,
                clips=clips,
                pieces=np.array(self.pieces, prepared.PIECE),
                names=np.frombuffer(b"".join(names), np.uint8),
                facts=np.array(json.dumps(self.facts)),
            )


def _write_clip(
    output: Path, preparation: SettledPreparation, clip: Clip, writer, tables: _Tables
) -> None:
    """Writes a clip's pieces, or why it cannot be used."""
    rate = preparation.sample_rate
    path = source_root(preparation, output) / clip.path
    try:
        source = FileClip(path, clip, rate)
        waveform = source.waveform()
    except InputError as error:
        tables.facts["skipped"][clip.name] = reason(error, path)
        return
    levels = audio.measure_levels(waveform)
    alignment = clip.alignment
    if preparation.trim_db is not None:
        stretches = audio.kept_stretches(
            waveform, rate, preparation.trim_db, inner=preparation.trim_pauses
        )
        alignment = audio.move_alignment(alignment, stretches, rate)
        tables.facts["samples_trimmed"] += len(waveform)
        waveform = audio.keep(waveform, stretches)
        tables.facts["samples_trimmed"] -= len(waveform)
    if why := too_short(waveform, rate):
        tables.facts["skipped"][clip.name] = why
        return
    if preparation.normalise:
        level_db = preparation.level_db or NORMALISATIONS[preparation.normalise]
        waveform = audio.normalise(waveform, preparation.normalise, level_db)
    samples = audio.to_16_bits(waveform)
    hop, frames = preparation.hop_length, None
    if preparation.features:
        heard = samples / np.float32(audio.STEPS_OF_16_BITS)
        frames = audio.extract_features(heard, rate, hop, preparation.features)
    tables.add_clip(clip, samples, levels)
    if source.problems:
        tables.facts["problems"][clip.name] = source.problems
    length = piece_samples(hop)
    for piece, begin in enumerate(range(0, len(samples), length)):
        end = begin + length
        features = {
            "name": _bytes(os.fsencode(clip.name)),
            "piece": tf.train.Feature(int64_list=tf.train.Int64List(value=[piece])),
            "audio": _bytes(_flac(samples[begin:end], rate)),
        }
        if not piece:
            features["clip"] = _bytes(dataclasses.replace(clip, alignment={}).to_json().encode())
            features["alignment"] = _bytes(json.dumps(alignment).encode())
        if frames is not None:
            part = frames[begin // hop : -(-end // hop)]
            features["features"] = _bytes(part.astype("<f4").tobytes())
        example = tf.train.Example(features=tf.train.Features(feature=features))
        record = example.SerializeToString(deterministic=True)
        writer.write(record)
        tables.add_piece(record)


def piece_samples(hop_length: int) -> int:
    """Length of a piece: a whole number of frames."""
    return -(-PIECE_SAMPLES // hop_length) * hop_length


def _flac(samples: np.ndarray, sample_rate: int) -> bytes:
    contents = io.BytesIO()
    soundfile.write(contents, samples, sample_rate, format="FLAC", subtype="PCM_16")
    return contents.getvalue()


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
