"""The file format of a prepared corpus, and `open_prepared`, which reads one.

index.json        sample rate, features, speakers, tags, statistics; SHA-256 of the tables, of the
                  shards and of itself; written last: without it, the preparation is not finished
report.json       skipped files, trimmed silence and warnings
source.jsonl      the manifest of the corpus; its times are seconds of the source clips
clips.npy         one row per clip, `CLIP`
pieces.npy        one row per piece, `PIECE`
names.npy         the clips' names, joined
shards/shard-00000.tfrecord, ...

A clip is stored in pieces of a few seconds. Each piece is a TFRecord of a `tf.train.Example`:

- `audio`: FLAC of 16 bits;
- `features`: float32 `[frames, channels]`;
- `name`, `piece`: name of the clip, and index of the piece in it;
- `clip`, in the first piece: the clip's line of source.jsonl without its alignment;
- `alignment`, in the first piece: the alignment as JSON, in seconds of the stored audio, from which
  silence may have been cut.

Every piece can be read without the others, at its offset in the shard; `pieces.npy` has its CRC-32
too. Tables are memory-mapped, so that memory does not grow with the corpus.

`split` in clips.npy is the split that the corpus gives, or -1. If the corpus names no clips for
validation, a split is made when the corpus is opened, by `path_hash`, as for raw recordings.
"""

import hashlib
import io
import json
import os
import warnings
import zlib
from pathlib import Path

import numpy as np
import soundfile

from wavenet_tf import files
from wavenet_tf.data.lazy import Mapped
from wavenet_tf.data.manifest import Clip
from wavenet_tf.data.recordings import Recordings
from wavenet_tf.errors import InputError

VERSION = 3
INDEX, REPORT, SOURCE = "index.json", "report.json", "source.jsonl"
CLIPS, PIECES, NAMES = "clips.npy", "pieces.npy", "names.npy"
# Written first: the settings of the preparation.
SETTINGS = "preparation.json"
# Framing of a TFRecord: length and its checksum before the record, a checksum of it after.
BYTES_BEFORE_RECORD, BYTES_AFTER_RECORD = 12, 4

CLIP = np.dtype(
    [
        ("name_start", "<i8"),
        ("name_end", "<i8"),
        ("first_piece", "<i8"),
        ("samples", "<i8"),
        ("speaker", "<i4"),
        ("split", "<i4"),  # index in `SPLITS`, or -1
        ("path_hash", "<f8"),  # see `unit_hash`
        ("content", "<u8"),  # a hash of the samples
        ("peak", "<f4"),  # dBFS, of the source clip
        ("rms", "<f4"),
        ("dc_offset", "<f4"),
        ("clipped", "<i4"),
    ]
)
PIECE = np.dtype([("shard", "<i4"), ("size", "<i4"), ("offset", "<i8"), ("crc", "<u4")])


def is_prepared(directory: str | os.PathLike) -> bool:
    """Returns whether a folder holds a prepared corpus.

    Args:
        directory: the folder.

    Raises:
        InputError: if it holds a preparation that is not finished.
    """
    directory = Path(directory)
    if (directory / INDEX).is_file():
        return True
    if (directory / SETTINGS).is_file():
        raise InputError(
            f"the preparation of {directory} was not finished: run tools/prepare_data.py with the "
            "same flags again to continue it"
        )
    return False


def read_index(directory: str | os.PathLike) -> dict:
    """Reads the index of a prepared corpus.

    Args:
        directory: the folder of the prepared corpus.

    Raises:
        InputError: if the index is corrupted, or of another version.
    """
    path = Path(directory) / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        version, checksum = index["version"], index.pop("sha256")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"cannot read {path} as an index of prepared clips: {error}") from error
    if version != VERSION:
        raise InputError(
            f"{path} is of version {version}; expected is {VERSION}: prepare the corpus again"
        )
    if checksum != _index_checksum(index):
        raise InputError(f"{path} is corrupted")
    return index


def write_index(directory: Path, index: dict) -> None:
    """Writes the index of a prepared corpus, with checksums of the tables and of the index.

    Args:
        directory: the folder of the prepared corpus.
        index: the index, without version and checksums.
    """
    tables = {name: file_checksum(directory / name) for name in (CLIPS, PIECES, NAMES)}
    index = {"version": VERSION, **index, "tables": tables}
    index["sha256"] = _index_checksum(index)
    files.write_text(directory / INDEX, json.dumps(index, indent=2) + "\n")


def _index_checksum(index: dict) -> str:
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()


def file_checksum(path: Path) -> str:
    """Returns the SHA-256 of a file as hexadecimal digits.

    Args:
        path: path of the file.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def open_prepared(directory: str | os.PathLike, sample_rate: int | None = None) -> Recordings:
    """Opens a prepared corpus; samples are read when they are accessed.

    Shards that are missing or have another size are left out, with a warning.

    Args:
        directory: the folder of the prepared corpus.
        sample_rate: required sample rate, in Hz; None for any.

    Raises:
        InputError: if the corpus has another sample rate, or is corrupted.
    """
    directory = Path(directory)
    index = read_index(directory)
    if sample_rate not in (None, index["sample_rate"]):
        raise InputError(
            f"{directory} was prepared at {index['sample_rate']} Hz; required are {sample_rate} "
            "Hz: prepare it with that --sample_rate"
        )
    shards = _Shards(directory, index)
    numbers = np.arange(len(shards.clips))
    skipped = {}
    for number, reason in shards.unusable().items():
        first_piece = shards.clips["first_piece"][numbers]
        lost = shards.pieces["shard"][first_piece] == number
        skipped[index["shards"][number]["file"]] = f"{reason}, {lost.sum()} recordings left out"
        numbers = numbers[~lost]
    for name, reason in skipped.items():
        warnings.warn(f"{directory / name}: {reason}", stacklevel=2)
    if not len(numbers):
        raise InputError(f"{directory} has no shard that can be used")
    features = index["features"]
    return Recordings(
        directory,
        names=Mapped(shards.name, numbers),
        clips=Mapped(shards.samples, numbers),
        lengths=shards.clips["samples"][numbers],
        sample_rate=index["sample_rate"],
        skipped=skipped,
        speaker_names=index["speakers"],
        speaker_ids=shards.clips["speaker"][numbers],
        tag_names=index["tags"],
        features=Mapped(shards.frames, numbers) if features else (),
        feature_names=features,
        hop_length=index["hop_length"] if features else None,
        splits=shards.clips["split"][numbers].astype(np.int8),
        path_hashes=shards.clips["path_hash"][numbers],
        metadata=Mapped(shards.metadata, numbers),
    )


def clip_name(names: np.ndarray, row) -> str:
    """Returns the name of a clip.

    Args:
        names: content of names.npy: the bytes of all names.
        row: the clip's row of clips.npy.
    """
    return os.fsdecode(bytes(names[row["name_start"] : row["name_end"]]))


class _Shards:
    """The tables and shards of a prepared corpus.

    Args:
        directory: the folder of the prepared corpus.
        index: its index.

    Raises:
        InputError: if a table is corrupted.
    """

    def __init__(self, directory: Path, index: dict):
        self.directory = directory
        self.index = index
        for name, checksum in index["tables"].items():
            try:
                corrupted = file_checksum(directory / name) != checksum
            except OSError as error:
                raise InputError(f"{directory} is corrupted: {error}") from error
            if corrupted:
                raise InputError(f"{directory / name} is corrupted")
        self.clips = np.load(directory / CLIPS, mmap_mode="r")
        self.pieces = np.load(directory / PIECES, mmap_mode="r")
        self.names = np.load(directory / NAMES, mmap_mode="r")

    def name(self, number: int) -> str:
        """Returns the name of a clip by its number."""
        return clip_name(self.names, self.clips[number])

    def unusable(self) -> dict[int, str]:
        """Returns the reason by the number of each shard that is missing or has another size."""
        reasons = {}
        for number, shard in enumerate(self.index["shards"]):
            path = self.directory / shard["file"]
            if not path.is_file():
                reasons[number] = "missing"
            elif path.stat().st_size != shard["bytes"]:
                reasons[number] = (
                    f"has {path.stat().st_size} bytes where {shard['bytes']} were written"
                )
        return reasons

    def samples(self, number: int) -> "_Stored":
        """Returns the samples of a clip by its number, int16 `[samples]`."""

        def decode(record) -> np.ndarray:
            contents = io.BytesIO(record["audio"].bytes_list.value[0])
            return soundfile.read(contents, dtype="int16")[0]

        row = self.clips[number]
        piece_length = self.index["piece_samples"]
        return _Stored(self, int(row["first_piece"]), int(row["samples"]), piece_length, decode)

    def frames(self, number: int) -> "_Stored":
        """Returns the features of a clip by its number, float32 `[frames, channels]`."""

        def decode(record) -> np.ndarray:
            values = np.frombuffer(record["features"].bytes_list.value[0], "<f4")
            return values.reshape(-1, self.index["feature_channels"])

        row = self.clips[number]
        hop = self.index["hop_length"]
        length = -(-int(row["samples"]) // hop)
        piece_length = self.index["piece_samples"] // hop
        return _Stored(self, int(row["first_piece"]), length, piece_length, decode)

    def metadata(self, number: int) -> Clip:
        """Returns the metadata of a clip by its number, with alignments of the stored audio.

        Raises:
            InputError: if the first piece of the clip is corrupted.
        """
        record = self.record(int(self.clips[number]["first_piece"]))
        row, alignment = (
            json.loads(record[name].bytes_list.value[0]) for name in ("clip", "alignment")
        )
        return Clip.from_row({**row, "alignment": alignment})

    def record(self, number: int):
        """Returns the features of the `tf.train.Example` of a piece by the piece's number.

        Raises:
            InputError: if the piece is corrupted.
        """
        import tensorflow as tf

        piece = self.pieces[number]
        path = self.directory / self.index["shards"][piece["shard"]]["file"]
        try:
            with open(path, "rb", buffering=0) as file:
                file.seek(piece["offset"])
                contents = file.read(piece["size"])
        except OSError as error:
            raise InputError(f"cannot read {path}: {error}") from error
        if zlib.crc32(contents) != piece["crc"]:
            raise InputError(f"{path} is corrupted at byte {piece['offset']}")
        return tf.train.Example.FromString(contents).features.feature


class _Stored:
    """An array of a clip that is stored in pieces; slicing it reads the pieces of the slice.

    Args:
        shards: the corpus.
        first_piece: number of the clip's first piece.
        length: length of the array.
        piece_length: length of the part in each piece but the last.
        decode: returns the part in a piece from what `_Shards.record` returns.
    """

    def __init__(self, shards: _Shards, first_piece: int, length: int, piece_length: int, decode):
        self.shards = shards
        self.first_piece = first_piece
        self.length = length
        self.piece_length = piece_length
        self.decode = decode

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, part: slice) -> np.ndarray:
        first, last, _ = part.indices(self.length)
        first_piece, last_piece = first // self.piece_length, max(last - 1, 0) // self.piece_length
        pieces = [
            self.decode(self.shards.record(self.first_piece + piece))
            for piece in range(first_piece, last_piece + 1)
        ]
        values = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        start = first_piece * self.piece_length
        return values[first - start : last - start]
