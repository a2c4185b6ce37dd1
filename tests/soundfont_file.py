"""Writes the smallest soundfont: one looped sine for some programs of General MIDI."""

import struct

import numpy as np

RATE, PERIOD, ROOT_KEY = 44100, 100, 69  # a sample of 441 Hz that is taken for A4


def write_soundfont(path, programs):
    """Writes an .sf2 file whose programs all play a sine.

    Args:
        path: of the file.
        programs: their numbers.
    """
    sine = np.sin(2 * np.pi * np.arange(50 * PERIOD) / PERIOD)
    samples = np.round(20000 * sine).astype("<i2").tobytes() + bytes(2 * 46)
    number = len(programs)
    presets = [
        struct.pack("<20sHHHIII", b"sine", program, 0, index, 0, 0, 0)
        for index, program in enumerate(sorted(programs))
    ]
    presets.append(struct.pack("<20sHHHIII", b"EOP", 0, 0, number, 0, 0, 0))
    bags = [struct.pack("<HH", index, 0) for index in range(number + 1)]
    header = struct.pack(
        "<20sIIIIIBbHH", b"sine", 0, 50 * PERIOD, PERIOD, 49 * PERIOD, RATE, ROOT_KEY, 0, 0, 1
    )
    chunks = {
        b"phdr": b"".join(presets),
        b"pbag": b"".join(bags),
        b"pmod": bytes(10),
        b"pgen": struct.pack("<HH", 41, 0) * number + bytes(4),  # instrument 0
        b"inst": struct.pack("<20sH", b"sine", 0) + struct.pack("<20sH", b"EOI", 1),
        b"ibag": struct.pack("<HHHH", 0, 0, 2, 0),
        b"imod": bytes(10),
        b"igen": struct.pack("<HHHH", 54, 1, 53, 0) + bytes(4),  # looped; sample 0
        b"shdr": header + struct.pack("<20s26x", b"EOS"),
    }
    info = _chunk(b"ifil", struct.pack("<HH", 2, 1)) + _chunk(b"INAM", b"sine\0\0")
    lists = [
        _list(b"INFO", info),
        _list(b"sdta", _chunk(b"smpl", samples)),
        _list(b"pdta", b"".join(_chunk(name, part) for name, part in chunks.items())),
    ]
    path.write_bytes(_chunk(b"RIFF", b"sfbk" + b"".join(lists)))


def _chunk(name, contents):
    return name + struct.pack("<I", len(contents)) + contents


def _list(name, contents):
    return _chunk(b"LIST", name + contents)
