"""Audio files whose headers are wrong or incomplete, and files that were joined end to end.

libsndfile reads a file by its header. `find_parts` finds what libsndfile would miss: samples after
a header that gives 0 bytes, and the second and later of several recordings in one file.
"""

import io
import itertools
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, cast

# Bytes that are read at once while searching, and bytes at the end of an Ogg file that hold the
# beginning of its last page.
BLOCK_BYTES = 2**20
LONGEST_OGG_PAGE = 27 + 255 + 255 * 255
# Chunks before the samples of a WAV or CAF file that are looked at.
MOST_CHUNKS = 1000
UNKNOWN_SIZE = 2**32 - 1
# Where a header has the size of its file, by the header's first bytes: position, kind of number,
# and bytes that are not counted.
FILE_SIZES = {
    b"RIFF": (4, "<I", 8),
    b"RIFX": (4, ">I", 8),
    b"RF64": (20, "<Q", 8),
    b"FORM": (4, ">I", 8),
    b"riff": (16, "<Q", 0),
}
BEGINS_STREAM = 2  # of the flags of an Ogg page


class Window(io.RawIOBase):
    """A part of a binary file as a file of its own, with its first bytes replaced.

    Args:
        file: a binary file that can be sought.
        begin: first byte of the part.
        end: the byte after the part.
        head: replaces the first bytes of the part.
    """

    def __init__(self, file: BinaryIO, begin: int, end: int, head: bytes = b""):
        self.file = file
        self.begin = begin
        self.size = end - begin
        self.head = head
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        self.position = min(max(origin + offset, 0), self.size)
        return self.position

    def readinto(self, buffer) -> int:
        count = min(len(buffer), self.size - self.position)
        part = self.head[self.position : self.position + count]
        if len(part) < count:
            begin = self.begin + self.position + len(part)
            part += _read(self.file, begin, count - len(part))
        buffer[: len(part)] = part
        self.position += len(part)
        return len(part)


def find_parts(file: BinaryIO, search: bool) -> Sequence[BinaryIO]:
    """Finds what libsndfile has to read of a file, where that is not the file as it is.

    Args:
        file: a binary file that can be sought.
        search: whether to search all of the file for further recordings, which takes as long as
            reading it; otherwise only signs of them are used that are found at once: the size in
            an MP3's header, and the number of an Ogg file's last stream.

    Returns:
        The recordings in the file with correct headers, in order; only the file itself where
        libsndfile reads all of it.
    """
    # A window does what libsndfile requires of a binary file.
    return cast(list[BinaryIO], _find_windows(file, search)) or [file]


def _find_windows(file: BinaryIO, search: bool) -> list[Window]:
    """Finds what libsndfile has to read of a file; empty where that is the file as it is."""
    size = file.seek(0, os.SEEK_END)
    begin = _end_of_tags(file, 0, size)
    start = _read(file, begin, 12)
    if start[:4] in FILE_SIZES:
        parts = _parts_by_size(file, start[:4], size)
        is_wav = start[:4] in (b"RIFF", b"RIFX", b"RF64") and start[8:] == b"WAVE"
        return parts or (_repair_wav(file, size) if is_wav else [])
    if start[:4] in (b".snd", b"dns."):
        return _repair_au(file, size)
    if start[:4] == b"caff":
        return _repair_caf(file, size)
    if start[:4] == b"OggS":
        return _ogg_parts(file, begin, size, search)
    if start[:4] == b"fLaC":
        return _flac_parts(file, size) if search else []
    if _is_mpeg_frame(start[:4]):
        return _mp3_parts(file, begin, size)
    return []


def _read(file: BinaryIO, begin: int, count: int) -> bytes:
    """The bytes of a file from `begin` on: `count` of them, or those up to its end."""
    file.seek(begin)
    parts = []
    while count and (part := file.read(min(count, BLOCK_BYTES))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _find_all(file: BinaryIO, pattern: bytes, begin: int) -> Iterator[int]:
    """Where a pattern is found in a file, from `begin` on."""
    while len(block := _read(file, begin, BLOCK_BYTES + len(pattern) - 1)) >= len(pattern):
        found = block.find(pattern)
        while found >= 0:
            yield begin + found
            found = block.find(pattern, found + 1)
        begin += BLOCK_BYTES


def _split(file: BinaryIO, begins: list[int], size: int) -> list[Window]:
    """Parts that begin at these bytes; none for a single one, as libsndfile reads it itself."""
    if len(begins) < 2:
        return []
    return [Window(file, *bounds) for bounds in itertools.pairwise([*begins, size])]


def _parts_by_size(file: BinaryIO, magic: bytes, size: int) -> list[Window]:
    """The recordings of a file in whose headers a size says where the next one begins."""
    position, field, added = FILE_SIZES[magic]
    begin, begins = 0, []
    while begin + position + 8 <= size and _read(file, begin, 4) == magic:
        begins.append(begin)
        (claimed,) = struct.unpack_from(field, _read(file, begin + position, 8))
        begin += max(claimed + added, 1)
    return _split(file, begins, size)


def _patch(file: BinaryIO, size: int, position: int, field: bytes) -> list[Window]:
    """The whole file with a field of its header replaced."""
    head = _read(file, 0, position) + field
    return [Window(file, 0, size, head)]


def _chunks(
    file: BinaryIO, begin: int, size: int, header: struct.Struct
) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of a file: name, position of its contents, and claimed bytes of these."""
    padding = header.size == 8  # chunks of RIFF files have an even number of bytes
    for _ in range(MOST_CHUNKS):
        if begin + header.size > size:
            return
        name, claimed = header.unpack(_read(file, begin, header.size))
        yield name, begin + header.size, claimed
        if claimed < 0:
            return
        begin += header.size + claimed + (claimed % 2 if padding else 0)


def _are_chunks(file: BinaryIO, begin: int, size: int, header: struct.Struct) -> bool:
    """Whether a file consists of chunks from `begin` to its end, rather than of samples."""
    end = begin
    for name, contents, claimed in _chunks(file, begin, size, header):
        if not all(32 <= letter < 127 for letter in name):
            return False
        end = contents + claimed
    return end in (size - 1, size)


def _repair_wav(file: BinaryIO, size: int) -> list[Window]:
    """Gives a WAV or RF64 file the size of its samples where the header has 0 or too much."""
    order = ">" if _read(file, 0, 4) == b"RIFX" else "<"
    header = struct.Struct(f"{order}4sI")
    large_size = None  # RF64 keeps the size in a chunk before the samples
    for name, begin, claimed in _chunks(file, 12, size, header):
        if name == b"ds64":
            large_size = begin + 8
        if name == b"data":
            position, field = begin - 4, f"{order}I"
            if claimed == UNKNOWN_SIZE and large_size is not None:
                position, field = large_size, "<Q"
                (claimed,) = struct.unpack(field, _read(file, position, 8).ljust(8, b"\0"))
            there = size - begin
            missing = claimed == 0 and there and not _are_chunks(file, begin, size, header)
            # libsndfile itself copes with 32-bit sizes that are too large.
            if missing or (field == "<Q" and claimed > there):
                there = there if field == "<Q" else min(there, UNKNOWN_SIZE)
                return _patch(file, size, position, struct.pack(field, there))
            return []
    return []


def _repair_au(file: BinaryIO, size: int) -> list[Window]:
    """Gives an AU file the size of its samples where the header has 0 or too much; splits joined
    files.
    """
    begin, begins, patched = 0, [], None
    while begin + 24 <= size:
        magic = _read(file, begin, 4)
        if magic not in (b".snd", b"dns."):
            break
        order = ">" if magic == b".snd" else "<"
        offset, claimed = struct.unpack(f"{order}2I", _read(file, begin + 4, 8))
        there = size - begin - offset
        begins.append(begin)
        if claimed in (0, UNKNOWN_SIZE) or claimed >= there:
            if claimed != UNKNOWN_SIZE and claimed != there and there > 0:
                patched = _read(file, begin, 8) + struct.pack(f"{order}I", UNKNOWN_SIZE)
            break
        begin += offset + claimed
    parts = _split(file, begins, size)
    if patched is not None:
        parts = [*parts[:-1], Window(file, begins[-1], size, patched)]
    return parts


def _repair_caf(file: BinaryIO, size: int) -> list[Window]:
    """Gives a CAF file the size of its samples where the header has none, 0 or too much."""
    header = struct.Struct(">4sq")
    for name, begin, claimed in _chunks(file, 8, size, header):
        if name == b"data":
            there = size - begin
            # The first 4 bytes of the chunk count edits.
            missing = 0 <= claimed <= 4 < there and not _are_chunks(
                file, begin + claimed, size, header
            )
            if claimed < 0 or claimed > there or missing:
                return _patch(file, size, begin - 8, struct.pack(">q", there))
            return []
    return []


def _flac_parts(file: BinaryIO, size: int) -> list[Window]:
    """The recordings of a FLAC file: each begins with a marker and a block of 34 bytes."""
    begins = [
        place
        for place in _find_all(file, b"fLaC", 0)
        if _read(file, place + 4, 4) in (b"\x00\x00\x00\x22", b"\x80\x00\x00\x22")
    ]
    return _split(file, begins, size)


def _ogg_parts(file: BinaryIO, begin: int, size: int, search: bool) -> list[Window]:
    """The recordings of an Ogg file: each begins with pages that begin streams."""
    if not search:
        last_page = max(0, size - LONGEST_OGG_PAGE)
        last = [last_page + at for at in _positions(_read(file, last_page, size), b"OggS\0")]
        serials = {_read(file, place + 14, 4) for place in (begin, *last[-1:])}
        if len(serials) == 1:
            return []
    begins, end = [], -1
    for place in _find_all(file, b"OggS\0" + bytes([BEGINS_STREAM]), 0):
        # Several streams side by side, such as sound and pictures, begin together.
        if place != end:
            begins.append(place)
        segments = _read(file, place + 26, 1)
        if segments:
            lengths = _read(file, place + 27, segments[0])
            end = place + 27 + len(lengths) + sum(lengths)
    return _split(file, begins, size)


def _positions(contents: bytes, pattern: bytes) -> list[int]:
    found, places = contents.find(pattern), []
    while found >= 0:
        places.append(found)
        found = contents.find(pattern, found + 1)
    return places


def _mp3_parts(file: BinaryIO, begin: int, size: int) -> list[Window]:
    """The recordings of an MP3 file: libsndfile stops after the frames that the first one's header
    gives.
    """
    begins = [0]
    while (length := _mp3_bytes(file, begin)) is not None:
        begin = _end_of_tags(file, begin + length, size)
        if begin >= size or not _is_mpeg_frame(_read(file, begin, 4)):
            break
        begins.append(begin)
    return _split(file, begins, size)


def _mp3_bytes(file: BinaryIO, begin: int) -> int | None:
    """The bytes of a recording as the header in its first frame gives them; None without one."""
    frame = _read(file, begin, 200)
    places = [place for name in (b"Xing", b"Info") if 0 < (place := frame.find(name)) <= 36]
    if not places or len(frame) < places[0] + 16:
        return None
    flags, *values = struct.unpack_from(">3I", frame, places[0] + 4)
    # The number of frames, where there is one, comes before the bytes.
    length = values[flags & 1] if flags & 2 else 0
    return length if length > len(frame) else None


def _is_mpeg_frame(header: bytes) -> bool:
    """Whether these 4 bytes are the header of a frame of MPEG audio."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return False
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate, rate = header[2] >> 4, header[2] >> 2 & 3
    return version != 1 and layer != 0 and bitrate != 15 and rate != 3


def _end_of_tags(file: BinaryIO, begin: int, size: int) -> int:
    """The first byte after the tags (ID3, APE) and zeros that begin at a byte."""
    tags: dict[bytes, Callable[[bytes], int]] = {
        b"ID3": lambda head: 10 + sum((head[6 + i] & 127) << (7 * (3 - i)) for i in range(4)),
        b"TAG": lambda head: 128,
        b"APETAGEX": lambda head: 32 + int.from_bytes(head[12:16], "little"),
    }
    while begin < size:
        head = _read(file, begin, 32)
        length = next((tags[name](head) for name in tags if head.startswith(name)), 0)
        if not length and begin:
            length = len(head) - len(head.lstrip(b"\0"))
        if not length:
            break
        begin += length
    return begin
