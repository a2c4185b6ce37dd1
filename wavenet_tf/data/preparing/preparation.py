"""How a corpus is prepared: what is asked for, and what a folder's preparation settled on."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from wavenet_tf import audio, files
from wavenet_tf.data import corpora, prepared
from wavenet_tf.data.manifest import Clip, write_manifest
from wavenet_tf.errors import InputError, positive_integer

# What levels can be brought to, and to what by default, in dBFS.
NORMALISATIONS = {"peak": -3.0, "rms": -23.0}


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How a corpus is prepared.

    Attributes:
        source: its folder, or the name of a dataset where `layout` is "tfds".
        layout: see `corpora.read_corpus`; or "tfds".
        sample_rate: to resample to, in Hz; None takes that of the first recording.
        trim_db: silence at the ends so far below the clip's loudest part is cut off; None keeps it.
        trim_pauses: shorten long pauses inside too.
        normalise: "peak" or "rms" brings that of every clip to `level_db`; None keeps levels.
        level_db: in dBFS; None takes -3 for peaks, -23 for RMS.
        features: names of `audio.FEATURES`.
        hop_length: of the features, in samples; None takes 12.5 ms.
        shards: files to write; None chooses.
    """

    source: str
    layout: str = "auto"
    sample_rate: int | None = None
    trim_db: float | None = None
    trim_pauses: bool = False
    normalise: str | None = None
    level_db: float | None = None
    features: tuple[str, ...] = ()
    hop_length: int | None = None
    shards: int | None = None

    def __post_init__(self):
        for name in ("sample_rate", "hop_length", "shards"):
            if getattr(self, name) is not None:
                positive_integer(name, getattr(self, name))
        if self.features:
            audio.feature_channels(self.features)
        if self.trim_db is not None and not self.trim_db > 0.0:
            raise InputError(f"trim_db must be above 0; received {self.trim_db}")
        if self.trim_pauses and self.trim_db is None:
            raise InputError("trim_pauses needs trim_db, which says what silence is")
        if self.normalise not in (None, *NORMALISATIONS):
            raise InputError(
                f"normalise must be one of {', '.join(NORMALISATIONS)}; received {self.normalise!r}"
            )
        if self.level_db is not None and self.normalise is None:
            raise InputError("level_db needs normalise, which says what is brought to it")
        if self.level_db is not None and not self.level_db < 0.0:
            raise InputError(f"level_db must be below 0 dBFS; received {self.level_db}")


@dataclasses.dataclass(frozen=True)
class SettledPreparation(Preparation):
    """A preparation of which nothing is left open but the number of shards."""

    sample_rate: int = 16000
    hop_length: int = 200


# Audio of datasets that come without files.
EXTRACTED = "extracted"


def settle(preparation: Preparation, output: Path) -> SettledPreparation:
    """What is left open decided, and the corpus' manifest written; as before, if this goes on.

    Raises:
        InputError: if the folder holds another preparation.
    """
    path = output / prepared.SETTINGS
    given = json.loads(json.dumps(dataclasses.asdict(preparation)))
    if path.exists():
        stored = json.loads(path.read_text(encoding="utf-8"))
        for name, value in stored["given"].items():
            if given.get(name) != value:
                raise InputError(
                    f"{output} holds another preparation: its {name} is {value!r}, given was "
                    f"{given.get(name)!r}. Choose another folder"
                )
        settled = stored["settled"]
    else:
        if any(entry.name != ".lock" for entry in output.iterdir()):
            raise InputError(f"{output} is not empty, and holds no preparation to go on with")
        layout = preparation.layout
        if layout == "auto":
            layout = corpora.detect_layout(Path(preparation.source))
        sample_rate = preparation.sample_rate or _first_sample_rate(preparation, layout)
        hop_length = preparation.hop_length or max(1, round(audio.HOP_SECONDS * sample_rate))
        choices = {"layout": layout, "sample_rate": sample_rate, "hop_length": hop_length}
        settled = {**given, **choices}
        text = json.dumps({"given": given, "settled": settled}, indent=2) + "\n"
        files.write_text(path, text)
    decided = SettledPreparation(**{**settled, "features": tuple(settled["features"])})
    if not (output / prepared.SOURCE).exists():
        write_manifest(output / prepared.SOURCE, _source_clips(decided, output))
    return decided


def _source_clips(preparation: Preparation, output: Path) -> Iterator[Clip]:
    if preparation.layout == "tfds":
        return corpora.tfds_clips(preparation.source, output / EXTRACTED)
    return corpora.read_corpus(Path(preparation.source), preparation.layout)


def source_root(preparation: Preparation, output: Path) -> Path:
    """The folder that the clips' paths are below."""
    if preparation.layout == "tfds":
        return output / EXTRACTED
    return corpora.corpus_root(Path(preparation.source))


def _first_sample_rate(preparation: Preparation, layout: str) -> int:
    """That of the first recording that can be read."""
    if layout == "tfds":
        raise InputError("sample_rate must be given for a dataset of tensorflow-datasets")
    source = Path(preparation.source)
    for clip in corpora.read_corpus(source, layout):
        path = corpora.corpus_root(source) / clip.path
        with contextlib.suppress(InputError), audio.open_audio(path, path) as sound:
            return sound.samplerate
    raise InputError(f"no usable recording in {source}")
