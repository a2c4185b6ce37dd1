"""Speech with the times of its phones and words."""

import re
from collections.abc import Iterator
from pathlib import Path

from wavenet_tf.data.alignments import read_alignment
from wavenet_tf.data.corpora.walking import (
    join_path,
    not_in_layout,
    read_text,
    require_non_empty,
    subfolders,
    walk,
)
from wavenet_tf.data.manifest import Clip
from wavenet_tf.errors import InputError

ALIGNMENTS = {"phones": ".phn", "words": ".wrd"}
# Does not match the two dialect sentences (SA), which every speaker says.
RECORDING = re.compile(r"(s[xi]\d+)\.wav(\.wav)?", re.IGNORECASE)
TIMES = re.compile(r"^\d+\s+\d+\s+")
REGIONS = tuple(f"dr{region}" for region in range(1, 9))
TEST_SETS = ("core", "complete")

CORE_TEST_SPEAKERS = frozenset(
    """
    MDAB0 MWBT0 FELC0 MTAS1 MWEW0 FPAS0 MJMP0 MLNT0 FPKT0 MLLL0 MTLS0 FJLM0
    MBPM0 MKLT0 FNLP0 MCMJ0 MJDH0 FMGD0 MGRT0 MNJM0 FDHC0 MJLN0 MPAM0 FMLD0
    """.split()  # noqa: SIM905
)
# The development set of Halberstadt (1998), as in Kaldi's recipe.
VALIDATION_SPEAKERS = frozenset(
    """
    FAKS0 FDAC1 FJEM0 MGWT0 MJAR0 MMDB1 MMDM2 MPDF0 FCMH0 FKMS0 MBDG0 MBWM0 MCSH0
    FADG0 FDMS0 FEDW0 MGJF0 MGLB0 MRTK0 MTAA0 MTDT0 MTHC0 MWJG0 FNMR0 FREW0 FSEM0
    MBNS0 MMJR0 MDLS0 MDLF0 MDVC0 MERS0 FMAH0 FDRW0 MRCS0 MRJM4 FCAL1 MMWH0 FJSJ0
    MAJC0 MJSW0 MREB0 FGJD0 FJMG0 MROA0 MTEB0 MJFC0 MRJR0 FMML0 MRWS1
    """.split()  # noqa: SIM905
)


def find_timit(directory: Path) -> list[str]:
    """Returns the folders TRAIN and TEST of TIMIT; none if there is no TIMIT.

    Args:
        directory: folder of the corpus; the paths returned are below it.
    """
    for parent in ("", *subfolders(directory, "data", "timit")):
        subsets = [
            join_path(parent, name) for name in subfolders(directory / parent, "train", "test")
        ]
        if any(subfolders(directory / subset, *REGIONS) for subset in subsets):
            return subsets
    return []


def timit(directory: Path, *, test: str = "core") -> Iterator[Clip]:
    """TIMIT: American English by 630 speakers, with texts and aligned phones and words.

    Names may be in upper or lower case. Recordings are SPHERE files or, as ".WAV.wav", RIFF files;
    if there are both, the RIFF file is used. The two sentences that all speakers say are left out.

    Args:
        directory: folder with TRAIN/ and TEST/, which hold the regions DR1/ to DR8/; or the folder
            with TIMIT/ or data/ in it.
        test: "core" for the usual splits: the 24 speakers of the core test set for testing, 50
            other speakers of TEST for validation, and the speakers of TRAIN for training; the
            remaining speakers of TEST are left out. "complete" for all speakers of TEST for
            testing, and none for validation.

    Returns:
        The clips, speaker by speaker.

    Raises:
        InputError: for another layout or test set, or an alignment that cannot be read.
    """
    if test not in TEST_SETS:
        raise InputError(f"test must be one of {', '.join(TEST_SETS)}; received {test!r}")
    subsets = find_timit(directory)
    if not subsets:
        raise not_in_layout(directory, "timit", "folders TRAIN and TEST with DR1 to DR8 in them")
    required = "recordings such as TRAIN/DR1/FCJF0/SX37.WAV"
    return require_non_empty(_timit_clips(directory, subsets, test), directory, "timit", required)


def _timit_clips(directory: Path, subsets: list[str], test: str) -> Iterator[Clip]:
    for subset in subsets:
        for folder, names in walk(directory, subset):
            speaker = folder.rpartition("/")[2].upper()
            split = "train" if subset.lower().endswith("train") else _test_split(speaker, test)
            if split:
                yield from _speaker_clips(directory, folder, names, speaker, split)


def _test_split(speaker: str, test: str) -> str | None:
    """Returns the split of a speaker of TEST; None for speakers who are left out."""
    if test == "complete" or speaker in CORE_TEST_SPEAKERS:
        return "test"
    return "validation" if speaker in VALIDATION_SPEAKERS else None


def _speaker_clips(
    directory: Path, folder: str, names: list[str], speaker: str, split: str
) -> Iterator[Clip]:
    matches = filter(None, map(RECORDING.fullmatch, names))
    # Names are sorted: the RIFF file .WAV.wav replaces the SPHERE file .WAV.
    recordings = {match[1].lower(): match.string for match in matches}
    paths = {name.lower(): directory / folder / name for name in names}
    for sentence, recording in recordings.items():
        text = read_text(paths[f"{sentence}.txt"]) if f"{sentence}.txt" in paths else None
        yield Clip(
            join_path(folder, recording),
            speaker=speaker,
            text=text and TIMES.sub("", text),
            alignment={
                kind: read_alignment(paths[sentence + suffix])[kind]
                for kind, suffix in ALIGNMENTS.items()
                if sentence + suffix in paths
            },
            split=split,
        )
