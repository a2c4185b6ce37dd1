"""The format of a prepared corpus, and reading it.

index.json        sample rate, features, speakers, statistics; SHA-256 of the tables, the shards and
                  itself; written last: without it, the preparation is not finished
report.json       what was skipped, trimmed and worth a look
source.jsonl      the corpus' manifest; its alignments are in seconds of the source clips
clips.npy         a row a clip, `CLIP`
pieces.npy        a row a piece, `PIECE`
names.npy         the clips' names, one after the other
shards/shard-00000.tfrecord, ...

A clip is stored in pieces of some seconds, each a TFRecord of a `tf.train.Example`: `audio`, FLAC
of 16 bits; `features`, float32 `[frames, channels]`; `name`, `piece`; and with the first piece
`clip`, the line of source.jsonl without its alignment, and `alignment`, the same JSON as there but
in seconds of the stored audio, from which silence may have been cut. Every piece can be read by
itself, at its offset; `pieces.npy` has its CRC-32 too. The tables are mapped, not read: memory does
not grow with the corpus.

`split` in clips.npy is what the corpus says, -1 where it says nothing. Where it names no clips to
validate on, the split into training and validation is made where the corpus is read, by `place`, as
it is for raw recordings.
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
from wavenet_tf.data.manifest import Clip
from wavenet_tf.data.recordings import Mapped, Recordings
from wavenet_tf.errors import InputError

VERSION = 2
INDEX, REPORT, SOURCE = "index.json", "report.json", "source.jsonl"
CLIPS, PIECES, NAMES = "clips.npy", "pieces.npy", "names.npy"
# Exists from the start of a preparation on.
SETTINGS = "preparation.json"
# How a TFRecord is framed: its length and that's checksum before, its own checksum after it.
BYTES_BEFORE_RECORD, BYTES_AFTER_RECORD = 12, 4

CLIP = np.dtype(
    [
        ("name_begin", "<i8"),
        ("name_end", "<i8"),
        ("first_piece", "<i8"),
        ("samples", "<i8"),
        ("speaker", "<i4"),
        ("split", "<i4"),  # place in `SPLITS`, or -1
        ("place", "<f8"),  # see `unit_hash`
        ("content", "<u8"),  # a hash of the samples
        ("peak", "<f4"),  # dBFS, as recorded
        ("rms", "<f4"),
        ("dc_offset", "<f4"),
        ("clipped", "<i4"),
    ]
)
PIECE = np.dtype([("shard", "<i4"), ("size", "<i4"), ("offset", "<i8"), ("crc", "<u4")])


def is_prepared(directory: str | os.PathLike) -> bool:
    """Whether a folder holds a prepared corpus.

    Raises:
        InputError: if it holds one that is not finished.
    """
    directory = Path(directory)
    if (directory / INDEX).is_file():
        return True
    if (directory / SETTINGS).is_file():
        raise InputError(
            f"the preparation of {directory} was not finished: call tools/prepare_data.py with the "
            "same flags again, and it goes on"
        )
    return False


def read_index(directory: str | os.PathLike) -> dict:
    """The index of a prepared corpus.

    Raises:
        InputError: if it is damaged, or of another version.
    """
    path = Path(directory) / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        version, checksum = index["version"], index.pop("sha256")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"cannot read {path} as an index of prepared clips: {error}") from error
    if version != VERSION:
        raise InputError(f"{path} is of version {version}; expected is {VERSION}: prepare it again")
    if checksum != _index_checksum(index):
        raise InputError(f"{path} is damaged")
    return index


def write_index(directory: Path, index: dict) -> None:
    """Writes the index of a prepared corpus, with the checksums of its tables and of itself."""
    tables = {name: file_checksum(directory / name) for name in (CLIPS, PIECES, NAMES)}
    index = {"version": VERSION, **index, "tables": tables}
    index["sha256"] = _index_checksum(index)
    files.write_text(directory / INDEX, json.dumps(index, indent=2) + "\n")


def _index_checksum(index: dict) -> str:
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()


def file_checksum(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def open_prepared(directory: str | os.PathLike, sample_rate: int | None = None) -> Recordings:
    """Opens a prepared corpus; samples are read when they are asked for.

    Shards that are missing or have another size are left out, with a warning.

    Args:
        directory: of it.
        sample_rate: that is wanted; None takes any.

    Raises:
        InputError: if it was prepared at another sample rate, or is damaged.
    """
    directory = Path(directory)
    index = read_index(directory)
    if sample_rate not in (None, index["sample_rate"]):
        raise InputError(
            f"{directory} was prepared at {index['sample_rate']} Hz; wanted are {sample_rate} Hz: "
            "prepare it with that --sample_rate"
        )
    shards = _Shards(directory, index)
    numbers = np.arange(len(shards.clips))
    skipped = {}
    for number, why in shards.unusable().items():
        first_piece = shards.clips["first_piece"][numbers]
        lost = shards.pieces["shard"][first_piece] == number
        skipped[index["shards"][number]["file"]] = f"{why}, {lost.sum()} recordings left out"
        numbers = numbers[~lost]
    for name, why in skipped.items():
        warnings.warn(f"{directory / name}: {why}", stacklevel=2)
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
        features=Mapped(shards.frames, numbers) if features else (),
        feature_names=features,
        hop_length=index["hop_length"] if features else None,
        splits=shards.clips["split"][numbers].astype(np.int8),
        path_hashes=shards.clips["place"][numbers],
        metadata=Mapped(shards.metadata, numbers),
    )


def clip_name(names: np.ndarray, row) -> str:
    """A clip's name.

    Args:
        names: the bytes of all of them.
        row: the clip's, of the table.
    """
    return os.fsdecode(bytes(names[row["name_begin"] : row["name_end"]]))


class _Shards:
    """The files of a prepared corpus."""

    def __init__(self, directory: Path, index: dict):
        self.directory = directory
        self.index = index
        for name, checksum in index["tables"].items():
            try:
                damaged = file_checksum(directory / name) != checksum
            except OSError as error:
                raise InputError(f"{directory} is damaged: {error}") from error
            if damaged:
                raise InputError(f"{directory / name} is damaged")
        self.clips = np.load(directory / CLIPS, mmap_mode="r")
        self.pieces = np.load(directory / PIECES, mmap_mode="r")
        self.names = np.load(directory / NAMES, mmap_mode="r")

    def name(self, number: int) -> str:
        return clip_name(self.names, self.clips[number])

    def unusable(self) -> dict[int, str]:
        """Shards by number that cannot be as they were written, and why."""
        found = {}
        for number, shard in enumerate(self.index["shards"]):
            path = self.directory / shard["file"]
            if not path.is_file():
                found[number] = "missing"
            elif path.stat().st_size != shard["bytes"]:
                found[number] = (
                    f"has {path.stat().st_size} bytes where {shard['bytes']} were written"
                )
        return found

    def samples(self, number: int) -> "_Stored":
        """A clip's samples, int16, by its number."""

        def decode(record) -> np.ndarray:
            contents = io.BytesIO(record["audio"].bytes_list.value[0])
            return soundfile.read(contents, dtype="int16")[0]

        row = self.clips[number]
        piece_length = self.index["piece_samples"]
        return _Stored(self, int(row["first_piece"]), int(row["samples"]), piece_length, decode)

    def frames(self, number: int) -> "_Stored":
        """A clip's features, float32 `[frames, channels]`, by its number."""

        def decode(record) -> np.ndarray:
            values = np.frombuffer(record["features"].bytes_list.value[0], "<f4")
            return values.reshape(-1, self.index["feature_channels"])

        row = self.clips[number]
        hop = self.index["hop_length"]
        length = -(-int(row["samples"]) // hop)
        piece_length = self.index["piece_samples"] // hop
        return _Stored(self, int(row["first_piece"]), length, piece_length, decode)

    def metadata(self, number: int) -> Clip:
        """What is known of a clip, by its number; alignments are in seconds of the stored audio.

        Raises:
            InputError: if it cannot be read as it was written.
        """
        record = self.record(int(self.clips[number]["first_piece"]))
        row, alignment = (
            json.loads(record[name].bytes_list.value[0]) for name in ("clip", "alignment")
        )
        return Clip.of_row({**row, "alignment": alignment})

    def record(self, number: int):
        """Returns the features of a piece, a `tf.train.Example`, by its number.

        Raises:
            InputError: if it cannot be read as it was written.
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
            raise InputError(f"{path} is damaged at byte {piece['offset']}")
        return tf.train.Example.FromString(contents).features.feature


class _Stored:
    """What is stored of a clip in pieces of equal length; slicing it reads those of the slice."""

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
        begin = first_piece * self.piece_length
        return values[first - begin : last - begin]
