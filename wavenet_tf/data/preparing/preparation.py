"""Settings of a preparation, and those that a folder's preparation was started with."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from wavenet_tf import audio, files
from wavenet_tf.data import corpora, prepared
from wavenet_tf.data.features import default_hop_length
from wavenet_tf.data.manifest import Clip, write_manifest
from wavenet_tf.errors import InputError, positive_integer

# Kinds of level normalization, each with its default level in dBFS.
NORMALIZATIONS = {"peak": -3.0, "rms": -23.0}


@dataclasses.dataclass(frozen=True)
class Preparation:
    """Settings of a preparation.

    Attributes:
        source: folder of the corpus, or the name of a dataset for layout "tfds".
        layout: layout of the corpus, see `corpora.read_corpus`; or "tfds".
        sample_rate: rate to resample to, in Hz; None for the rate of the first recording.
        trim_db: silence at the ends of a clip is this much below the clip's loudest part, in dB,
            and is cut off; None keeps silence.
        trim_pauses: shorten long pauses inside clips too.
        normalize: "peak" or "rms" for the level of a clip that is normalized to `level_db`; None
            keeps levels.
        level_db: in dBFS; None for -3 (peak) or -23 (RMS).
        features: names of features to extract, of `audio.FEATURES`.
        hop_length: samples per frame of features; None for 12.5 ms.
        shards: number of shards; None for one per 1,000 clips, and at least 8.

    Raises:
        InputError: for a setting that is out of its range, or lacks another one.
    """

    source: str
    layout: str = "auto"
    sample_rate: int | None = None
    trim_db: float | None = None
    trim_pauses: bool = False
    normalize: str | None = None
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
            raise InputError("trim_pauses needs trim_db, the level of silence")
        if self.normalize not in (None, *NORMALIZATIONS):
            raise InputError(
                f"normalize must be one of {', '.join(NORMALIZATIONS)}; received {self.normalize!r}"
            )
        if self.level_db is not None and self.normalize is None:
            raise InputError("level_db needs normalize, the kind of level")
        if self.level_db is not None and not self.level_db < 0.0:
            raise InputError(f"level_db must be below 0 dBFS; received {self.level_db}")


@dataclasses.dataclass(frozen=True)
class ResolvedPreparation(Preparation):
    """Settings of a preparation, of which only the number of shards may be None."""

    sample_rate: int = 16000
    hop_length: int = 200


# Folder for the audio of datasets of tensorflow-datasets, which have no files.
EXTRACTED = "extracted"


def resolve(preparation: Preparation, output: Path) -> ResolvedPreparation:
    """Resolves the settings that are None or "auto", and writes settings and manifest.

    If the folder holds this preparation already, its resolved settings are returned.

    Args:
        preparation: the settings.
        output: the folder to write to.

    Raises:
        InputError: if the folder holds another preparation, or other files.
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
        resolved = stored["resolved"]
    else:
        if any(entry.name != ".lock" for entry in output.iterdir()):
            raise InputError(f"{output} is not empty, and holds no preparation to continue")
        layout = preparation.layout
        if layout == "auto":
            layout = corpora.detect_layout(Path(preparation.source))
        sample_rate = preparation.sample_rate or _first_sample_rate(preparation, layout)
        hop_length = preparation.hop_length or default_hop_length(sample_rate)
        choices = {"layout": layout, "sample_rate": sample_rate, "hop_length": hop_length}
        resolved = {**given, **choices}
        text = json.dumps({"given": given, "resolved": resolved}, indent=2) + "\n"
        files.write_text(path, text)
    result = ResolvedPreparation(**{**resolved, "features": tuple(resolved["features"])})
    if not (output / prepared.SOURCE).exists():
        write_manifest(output / prepared.SOURCE, _source_clips(result, output))
    return result


def source_root(preparation: Preparation, output: Path) -> Path:
    """Returns the folder that the paths of the clips are relative to.

    Args:
        preparation: the settings.
        output: the folder to write to.
    """
    if preparation.layout == "tfds":
        return output / EXTRACTED
    return corpora.corpus_root(Path(preparation.source))


def _source_clips(preparation: Preparation, output: Path) -> Iterator[Clip]:
    """Yields the clips of the corpus."""
    if preparation.layout == "tfds":
        return corpora.tfds_clips(preparation.source, output / EXTRACTED)
    return corpora.read_corpus(Path(preparation.source), preparation.layout)


def _first_sample_rate(preparation: Preparation, layout: str) -> int:
    """Returns the sample rate of the first recording that can be read."""
    if layout == "tfds":
        raise InputError("sample_rate must be given for a dataset of tensorflow-datasets")
    source = Path(preparation.source)
    for clip in corpora.read_corpus(source, layout):
        path = corpora.corpus_root(source) / clip.path
        with contextlib.suppress(InputError), audio.open_audio(path, path) as sound:
            return sound.samplerate
    raise InputError(f"no usable recording in {source}")
