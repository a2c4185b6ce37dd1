"""A corpus that is opened for a report: its clips, and what its files or its preparation say."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wavenet_tf import data
from wavenet_tf.data import corpora, prepared
from wavenet_tf.data.headers import most_frequent_rate, read_headers

# Of a larger corpus, evenly spaced clips are measured.
MAX_MEASURED = 2000
# In Hz; used if no file of a corpus has a readable header.
DEFAULT_SAMPLE_RATE = 16000


@dataclasses.dataclass(frozen=True)
class OpenedCorpus:
    """A corpus, raw or prepared.

    Attributes:
        directory: folder of the corpus.
        recordings: the clips of the corpus.
        layout: layout of a raw corpus; empty for a prepared one.
        headers: readable headers of the files of a raw corpus, see `data.read_headers`;
            empty for a prepared corpus.
        preparation: contents of report.json of a prepared corpus; None for a raw one.
    """

    directory: Path
    recordings: data.Recordings
    layout: str = ""
    headers: Sequence[Any] = ()
    preparation: dict[str, Any] | None = None

    def texts(self, names: Sequence[str]) -> dict[str, str]:
        """Returns the texts of the clips of these names, by name, without those of no text."""
        if self.preparation is None:
            clips = corpora.read_corpus(self.directory, self.layout)
        else:
            clips = data.read_manifest(self.directory / prepared.SOURCE)
        return {clip.name: clip.text for clip in clips if clip.text and clip.name in names}

    def original_levels(self) -> dict[str, np.ndarray] | None:
        """Returns RMS and peak of all clips before preparation in dBFS, `[clips]`, by name.

        Returns None for a raw corpus, whose levels are not known until its clips are read.
        """
        if self.preparation is None:
            return None
        clips = np.load(self.directory / prepared.CLIPS, mmap_mode="r")
        return {name: np.asarray(clips[name]) for name in ("rms", "peak")}


def open_corpus(
    directory: str | os.PathLike,
    layout: str = "auto",
    sample_rate: int | None = None,
    speakers: str | None = None,
) -> OpenedCorpus:
    """Opens a corpus, raw or prepared.

    Args:
        directory: folder of the corpus.
        layout: of a raw corpus, see `corpora.read_corpus`; "auto" detects it.
        sample_rate: in Hz; None takes that of most files.
        speakers: rule for the speaker of a clip, see `Recordings.with_speakers`; None keeps the
            speakers that the corpus names.

    Raises:
        InputError: if there is no such corpus, no file of it can be used, or clips have no speaker.
    """
    directory = Path(directory).resolve()
    if data.is_prepared(directory):
        recordings = data.open_prepared(directory, sample_rate)
        preparation = json.loads((directory / prepared.REPORT).read_text(encoding="utf-8"))
        corpus = OpenedCorpus(directory, recordings, preparation=preparation)
    else:
        if layout == "auto":
            layout = corpora.detect_layout(directory)
        headers = read_headers(directory, layout)
        rate = sample_rate or most_frequent_rate(headers) or DEFAULT_SAMPLE_RATE
        recordings = data.read_recordings(directory, rate, layout)
        corpus = OpenedCorpus(directory, recordings, layout, headers)
    if speakers is None:
        return corpus
    return dataclasses.replace(corpus, recordings=recordings.with_speakers(speakers))
