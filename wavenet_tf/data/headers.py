"""Headers of the files of a corpus, read without their samples."""

import collections
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wavenet_tf import audio
from wavenet_tf.data.corpora import corpus_root, read_corpus
from wavenet_tf.errors import InputError

# Of a larger corpus, the headers of evenly spaced files are read.
MAX_HEADERS = 2000


def evenly_spaced(total: int, maximum: int) -> list[int]:
    """Returns evenly spaced indices below `total`, at most `maximum` of them.

    Example:
    >>> evenly_spaced(10, 4)
    [0, 2, 5, 7]
    """
    number = min(total, maximum)
    return [index * total // number for index in range(number)]


def read_headers(directory: str | os.PathLike, layout: str = "auto") -> list[Any]:
    """Returns the headers of files of a corpus, without those that cannot be read.

    Args:
        directory: of a raw corpus.
        layout: see `corpora.read_corpus`.
    """
    root = Path(corpus_root(directory))
    paths = list(dict.fromkeys(clip.path for clip in read_corpus(directory, layout)))
    headers = []
    for index in evenly_spaced(len(paths), MAX_HEADERS):
        path = root / paths[index]
        with (
            contextlib.suppress(InputError),
            audio.open_audio(path, path, search=False) as header,
        ):
            headers.append(header)
    return headers


def most_frequent_rate(headers: Sequence[Any]) -> int | None:
    """Returns the sample rate of most files, in Hz; None without a header.

    Args:
        headers: as `read_headers` returns them.
    """
    rates = collections.Counter(header.samplerate for header in headers)
    return max(rates, key=rates.__getitem__, default=None)
