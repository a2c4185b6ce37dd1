import dataclasses
import itertools
import os
import re
import struct

import numpy as np
import pytest
import soundfile

from wavenet_tf import audio, data
from wavenet_tf.data import corpora
from wavenet_tf.data.corpora import detect_layout, folders, read_corpus
from wavenet_tf.data.manifest import Clip, write_manifest
from wavenet_tf.errors import InputError


def plant(directory, files):
    """Writes text files, by path; without a text they are empty."""
    for name in files:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[name] if isinstance(files, dict) else "", encoding="utf-8")
    return directory


def paths(clips):
    return [clip.path for clip in clips]


VCTK_080 = {
    "speaker-info.txt": "ID  AGE  GENDER\n225  23  F\n",
    "wav48/p225/p225_001.wav": "",
    "wav48/p225/p225_002.wav": "",
    "wav48/p315/p315_001.wav": "",
    "txt/p225/p225_001.txt": "Please call Stella.\n",
    "txt/p225/p225_002.txt": "\n",
}
VCTK_092 = {
    "wav48_silence_trimmed/log.txt": "",
    "wav48_silence_trimmed/p225/p225_001_mic1.flac": "",
    "wav48_silence_trimmed/p225/p225_001_mic2.flac": "",
    "wav48_silence_trimmed/p280/p280_001_mic1.flac": "",
    "wav48_silence_trimmed/s5/s5_001_mic1.FLAC": "",
    "wav48_silence_trimmed/s5/s5_001_mic2.FLAC": "",
    "txt/p225/p225_001.txt": "Please call Stella.",
    "txt/s5/s5_001.txt": "Ask her\nto bring",
}


def test_vctk_080(tmp_path):
    plant(tmp_path, VCTK_080)
    expected = [
        Clip("wav48/p225/p225_001.wav", speaker="p225", text="Please call Stella."),
        Clip("wav48/p225/p225_002.wav", speaker="p225"),
        Clip("wav48/p315/p315_001.wav", speaker="p315"),
    ]
    assert detect_layout(tmp_path) == "vctk"
    assert list(read_corpus(tmp_path)) == expected
    assert list(read_corpus(tmp_path, "vctk:microphone=both")) == expected
    with pytest.raises(InputError, match="microphone mic2"):
        list(read_corpus(tmp_path, "vctk:microphone=mic2"))


def test_vctk_092_below_its_parent(tmp_path):
    plant(tmp_path / "VCTK-Corpus-0.92", VCTK_092)
    assert detect_layout(tmp_path) == "vctk"
    top = "VCTK-Corpus-0.92/wav48_silence_trimmed"
    first = [
        Clip(f"{top}/p225/p225_001_mic1.flac", speaker="p225", text="Please call Stella."),
        Clip(f"{top}/p280/p280_001_mic1.flac", speaker="p280"),
        Clip(f"{top}/s5/s5_001_mic1.FLAC", speaker="s5", text="Ask her to bring"),
    ]
    second = [
        Clip(f"{top}/p225/p225_001_mic2.flac", speaker="p225", text="Please call Stella."),
        Clip(f"{top}/s5/s5_001_mic2.FLAC", speaker="s5", text="Ask her to bring"),
    ]
    assert list(read_corpus(tmp_path, "vctk")) == first
    assert list(read_corpus(tmp_path, "vctk:microphone=mic2")) == second
    both = list(read_corpus(tmp_path, "vctk:microphone=both"))
    assert both == sorted([*first, *second], key=lambda clip: clip.path)


def test_ljspeech(tmp_path):
    table = 'LJ001-0001|Printing, "in 2|Printing, "in two\nLJ001-0002|Größe|\n\nLJ002-0001|raw\n'
    plant(tmp_path / "LJSpeech-1.1", {"metadata.csv": table, "wavs/LJ001-0001.wav": ""})
    expected = [
        ("wavs/LJ001-0001.wav", 'Printing, "in two'),
        ("wavs/LJ001-0002.wav", "Größe"),
        ("wavs/LJ002-0001.wav", "raw"),
    ]
    inside = tmp_path / "LJSpeech-1.1"
    assert detect_layout(tmp_path) == detect_layout(inside) == "ljspeech"
    clips = [Clip(path, speaker="LJ", text=text) for path, text in expected]
    assert list(read_corpus(inside, "ljspeech")) == clips
    assert paths(read_corpus(tmp_path)) == [f"LJSpeech-1.1/{path}" for path, _ in expected]


def test_a_table_of_another_corpus_is_not_ljspeech(tmp_path):
    plant(tmp_path, {"metadata.csv": "path,speaker\n1.wav,ann\n", "wavs/1.wav": ""})
    assert detect_layout(tmp_path) == "folder"
    with pytest.raises(InputError, match=r"'ljspeech': looked for .*wavs.*metadata\.csv"):
        read_corpus(tmp_path, "ljspeech")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"a|b\nc\n", "line 2 .*received 'c'"),
        (b"a|b\n|text\n", "line 2 "),
        (b"a|b|c|d\n", "line 1 "),
        (b"a|caf\xe9\n", "utf-8"),
        (b"|", "line 1 "),
    ],
)
def test_bad_tables_of_ljspeech(tmp_path, table, message):
    plant(tmp_path, ["wavs/a.wav"])
    (tmp_path / "metadata.csv").write_bytes(table)
    with pytest.raises(InputError, match=rf"cannot read .*metadata\.csv: .*{message}"):
        list(read_corpus(tmp_path, "ljspeech"))


LIBRISPEECH = {
    "LibriSpeech/README.TXT": "",
    "LibriSpeech/dev-clean/84/121123/84-121123-0000.flac": "",
    "LibriSpeech/dev-clean/84/121123/84-121123-0001.flac": "",
    "LibriSpeech/dev-clean/84/121123/84-121123.trans.txt": "84-121123-0000 GO\n"
    "84-121123-0001 DO YOU\n",
    "LibriSpeech/test-other/1688/142285/1688-142285-0000.flac": "",
    "LibriSpeech/train-clean-100/19/198/19-198-0000.flac": "",
    "LibriSpeech/train-clean-100/19/198/19-198.trans.txt": "19-198-0000 NORTHANGER ABBEY\n",
    "LibriSpeech/extra/20/198/20-198-0000.flac": "",
}


def test_librispeech(tmp_path):
    plant(tmp_path, LIBRISPEECH)
    dev = [
        Clip("84/121123/84-121123-0000.flac", speaker="84", text="GO", split="validation"),
        Clip("84/121123/84-121123-0001.flac", speaker="84", text="DO YOU", split="validation"),
    ]
    assert detect_layout(tmp_path) == "librispeech"
    assert list(read_corpus(tmp_path / "LibriSpeech" / "dev-clean")) == dev
    clips = list(read_corpus(tmp_path))
    assert clips[:2] == [
        Clip(f"LibriSpeech/dev-clean/{c.path}", speaker="84", text=c.text, split=c.split)
        for c in dev
    ]
    assert clips[2:] == [
        Clip("LibriSpeech/extra/20/198/20-198-0000.flac", speaker="20"),
        Clip(
            "LibriSpeech/test-other/1688/142285/1688-142285-0000.flac", speaker="1688", split="test"
        ),
        Clip(
            "LibriSpeech/train-clean-100/19/198/19-198-0000.flac",
            speaker="19",
            text="NORTHANGER ABBEY",
            split="train",
        ),
    ]


def test_librispeech_without_chapters_or_texts(tmp_path):
    plant(tmp_path, ["533/533-1066-0003.flac", "1688/1688-142285-0005.flac"])
    assert detect_layout(tmp_path) == "librispeech"
    assert list(read_corpus(tmp_path)) == [
        Clip("1688/1688-142285-0005.flac", speaker="1688"),
        Clip("533/533-1066-0003.flac", speaker="533"),
    ]


def test_libritts(tmp_path):
    chapter = "LibriTTS/train-clean-100/19/198"
    plant(
        tmp_path,
        {
            f"{chapter}/19_198_000000_000000.wav": "",
            f"{chapter}/19_198_000000_000000.normalized.txt": "Chapter one",
            f"{chapter}/19_198_000000_000000.original.txt": "Chapter I",
            f"{chapter}/19_198_000000_000002.wav": "",
            f"{chapter}/19_198_000000_000002.original.txt": "No. 2",
            f"{chapter}/19_198.trans.tsv": "",
            "LibriTTS/test-clean/61/70968/61_70968_000003_000001.wav": "",
        },
    )
    assert detect_layout(tmp_path) == "libritts"
    assert list(read_corpus(tmp_path)) == [
        Clip("LibriTTS/test-clean/61/70968/61_70968_000003_000001.wav", speaker="61", split="test"),
        Clip(
            f"{chapter}/19_198_000000_000000.wav", speaker="19", text="Chapter one", split="train"
        ),
        Clip(f"{chapter}/19_198_000000_000002.wav", speaker="19", text="No. 2", split="train"),
    ]


def sphere(samples):
    """A NIST SPHERE file of 16-bit samples at 16 kHz, as on TIMIT's disc."""
    header = (
        "NIST_1A\n   1024\n"
        "channel_count -i 1\n"
        f"sample_count -i {len(samples)}\n"
        "sample_rate -i 16000\n"
        "sample_n_bytes -i 2\n"
        "sample_byte_format -s2 01\n"
        "sample_sig_bits -i 16\n"
        "end_head\n"
    )
    return header.encode().ljust(1024) + struct.pack(f"<{len(samples)}h", *samples)


def plant_timit(directory):
    speaker = directory / "TRAIN" / "DR4" / "FALK0"
    plant(
        speaker,
        {
            "SA1.WAV": "",
            "SX6.TXT": "0 64000 Don't ask 5 5 times.\n",
            "SX6.PHN": "0 3200 h#\n3200 8000 d\n",
            "SX6.WRD": "3200 16000 don't\n16000 17600 ask\n",
        },
    )
    (speaker / "SX6.WAV").write_bytes(sphere([-32768, 0, 16384, 1]))
    others = ("MDAB0", "FAKS0", "MXYZ0")  # core test, validation, neither
    return plant(directory, [f"TEST/DR1/{other}/SI{n}.WAV" for other in others for n in (9, 10)])


TIMIT_TRAIN = Clip(
    "TRAIN/DR4/FALK0/SX6.WAV",
    speaker="FALK0",
    text="Don't ask 5 5 times.",
    alignment={
        "phones": [(0.0, 0.2, "h#"), (0.2, 0.5, "d")],
        "words": [(0.2, 1.0, "don't"), (1.0, 1.1, "ask")],
    },
    split="train",
)


def test_timit(tmp_path):
    plant_timit(tmp_path)
    assert detect_layout(tmp_path) == "timit"

    def clips(test):
        found = list(read_corpus(tmp_path, f"timit:test={test}"))
        assert found[-1] == TIMIT_TRAIN
        return [(clip.path[len("TEST/DR1/") :], clip.speaker, clip.split) for clip in found[:-1]]

    assert clips("core") == [
        ("FAKS0/SI10.WAV", "FAKS0", "validation"),
        ("FAKS0/SI9.WAV", "FAKS0", "validation"),
        ("MDAB0/SI10.WAV", "MDAB0", "test"),
        ("MDAB0/SI9.WAV", "MDAB0", "test"),
    ]
    assert clips("complete") == [
        (f"{speaker}/SI{n}.WAV", speaker, "test")
        for speaker in ("FAKS0", "MDAB0", "MXYZ0")
        for n in (10, 9)
    ]


def test_timit_sphere_files_are_read(tmp_path):
    plant_timit(tmp_path)
    samples, rate = audio.read_audio(tmp_path / TIMIT_TRAIN.path)
    assert rate == 16000
    assert samples.tolist() == [-1.0, 0.0, 0.5, 2**-15]


def test_timit_in_lower_case(tmp_path):
    plant(
        tmp_path / "timit",
        {
            "test/dr1/mdab0/si1039.wav": "",
            "test/dr1/mdab0/si1039.txt": "0 999 Two 3 apples",
            "test/dr1/mdab0/si1039.phn": "0 800 h#",
            "train/dr1/fcjf0/sx37.wav": "",
            "train/dr1/fcjf0/sa1.wav": "",
        },
    )
    assert detect_layout(tmp_path) == "timit"
    assert list(read_corpus(tmp_path)) == [
        Clip(
            "timit/test/dr1/mdab0/si1039.wav",
            speaker="MDAB0",
            text="Two 3 apples",
            alignment={"phones": [(0.0, 0.05, "h#")]},
            split="test",
        ),
        Clip("timit/train/dr1/fcjf0/sx37.wav", speaker="FCJF0", split="train"),
    ]


def test_timit_prefers_riff_to_sphere(tmp_path):
    folder = "data/TRAIN/DR1/FCJF0"
    plant(tmp_path, [f"{folder}/{name}" for name in ("SX37.WAV", "SX37.WAV.wav", "SX127.WAV.wav")])
    plant(tmp_path, {f"{folder}/SX37.PHN": "0 16000 h#"})
    assert detect_layout(tmp_path) == "timit"
    assert list(read_corpus(tmp_path)) == [
        Clip(f"{folder}/SX127.WAV.wav", speaker="FCJF0", split="train"),
        Clip(
            f"{folder}/SX37.WAV.wav",
            speaker="FCJF0",
            alignment={"phones": [(0.0, 1.0, "h#")]},
            split="train",
        ),
    ]


@pytest.mark.parametrize("line", ["0 h#", "0 1.5 h#", "0 1 2 3"])
def test_timit_names_the_alignment_that_cannot_be_read(tmp_path, line):
    plant(tmp_path, {"TRAIN/DR1/FCJF0/SX37.WAV": "", "TRAIN/DR1/FCJF0/SX37.PHN": line})
    with pytest.raises(InputError, match=rf"SX37\.PHN, line 1: .*received '{re.escape(line)}'"):
        list(read_corpus(tmp_path))


def plant_magnatagatune(directory):
    rows = [
        ("clip_id", "guitar", "guitars", "no vocals", "instrumental", "zither", "ambient", "path"),
        (2, 1, 1, 0, 1, 0, 0, "f/bach-0-29.mp3"),
        (6, 0, 1, 1, 1, 0, 0, "b/bach-30-59.mp3"),
        (10, 0, 0, 0, 0, 1, 1, "c/bach-60-89.mp3"),
        (11, 0, 0, 0, 0, 0, 0, "0/no-tags.mp3"),
    ]
    rows[0] = (*rows[0][:-1], "mp3_path")
    table = "".join("\t".join(f'"{value}"' for value in row) + "\n" for row in rows)
    plant(directory, {"annotations_final.csv": table, "clip_info_final.csv": ""})


def test_magnatagatune(tmp_path):
    plant_magnatagatune(tmp_path)
    plant(tmp_path, ["notes/read me", "sound/f/bach-0-29.mp3"])
    assert detect_layout(tmp_path) == "magnatagatune"
    both = ("guitar", "no singer")
    expected = [
        Clip("sound/f/bach-0-29.mp3", tags=both, split="test"),
        Clip("sound/b/bach-30-59.mp3", tags=both, split="train"),
        Clip("sound/c/bach-60-89.mp3", tags=("ambient", "zither"), split="validation"),
        Clip("sound/0/no-tags.mp3", split="train"),
    ]
    assert list(read_corpus(tmp_path)) == expected
    # Each twice: guitar, and no singer. Each once: ambient, and zither.
    kept = {1: {"guitar"}, 2: set(both), 3: {*both, "ambient"}, 4: {*both, "ambient", "zither"}}
    for top_tags, tags in kept.items():
        clips = read_corpus(tmp_path, f"magnatagatune:top_tags={top_tags}")
        assert {tag for clip in clips for tag in clip.tags} == tags
    for arguments, tags in (("negations=0,top_tags=1", {"guitar"}), ("min_clips=2", set(both))):
        clips = read_corpus(tmp_path, f"magnatagatune:{arguments}")
        assert {tag for clip in clips for tag in clip.tags} == tags
    clips = read_corpus(tmp_path, "magnatagatune:negations=0")
    assert {tag for clip in clips for tag in clip.tags} == {"guitar", "ambient", "zither"}


def test_magnatagatune_beside_its_recordings(tmp_path):
    plant_magnatagatune(tmp_path)
    with pytest.raises(InputError, match="folders 0 to f"):
        read_corpus(tmp_path)
    plant(tmp_path, ["c/bach-60-89.mp3", "a folder/c/other.mp3"])
    assert paths(read_corpus(tmp_path))[0] == "f/bach-0-29.mp3"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("clip_id,guitar,mp3_path\n", "columns must be"),
        ("", "columns must be"),
        ("clip_id\tguitar\tmp3_path\n1\t0\tf/a.mp3\n2\tf/b.mp3\n", "line 3 must have 3 columns"),
    ],
)
def test_bad_tables_of_magnatagatune(tmp_path, table, message):
    plant(tmp_path, {"annotations_final.csv": table, "f/a.mp3": ""})
    with pytest.raises(InputError, match=rf"cannot read .*annotations_final\.csv: .*{message}"):
        list(read_corpus(tmp_path))


@pytest.mark.parametrize("folder", ["", "recordings/"])
def test_fsdd(tmp_path, folder):
    names = ["7_george_4.wav", "7_george_5.wav", "0_théo_12.WAV", "README.md"]
    plant(tmp_path, [folder + name for name in names])
    assert detect_layout(tmp_path) == "fsdd"
    assert list(read_corpus(tmp_path)) == [
        Clip(f"{folder}0_théo_12.WAV", speaker="théo", text="0", split="train"),
        Clip(f"{folder}7_george_4.wav", speaker="george", text="7", split="test"),
        Clip(f"{folder}7_george_5.wav", speaker="george", text="7", split="train"),
    ]


def test_one_file_of_another_name_makes_it_a_folder(tmp_path):
    plant(tmp_path, ["7_george_4.wav", "8_george_4.wav", "cough.wav"])
    assert detect_layout(tmp_path) == "folder"
    assert len(list(read_corpus(tmp_path))) == 3


@pytest.mark.parametrize("name", ["manifest.jsonl", "manifest.csv", "men.jsonl"])
def test_manifest(tmp_path, name):
    clips = [Clip("p225/1.wav", speaker="p225"), Clip("a.flac", speaker="ann")]
    if name.endswith(".csv"):
        plant(tmp_path, {name: "path,speaker\np225/1.wav,p225\na.flac,ann\n"})
    else:
        write_manifest(tmp_path / name, clips)
    plant(tmp_path, ["p225/1.wav"])
    directory = tmp_path / name if name.startswith("men") else tmp_path
    assert detect_layout(directory) == "manifest"
    assert corpora.corpus_root(directory) == tmp_path
    assert list(read_corpus(directory)) == clips


def test_a_folder_may_be_called_as_a_manifest_is(tmp_path):
    directory = plant(tmp_path / "recordings.csv", ["1.wav"])
    assert corpora.corpus_root(directory) == directory
    assert paths(read_corpus(directory)) == ["1.wav"]


def test_folder(tmp_path):
    names = ["b/1.MP3", "b/c/2.sph", "a/.hidden.wav", "a/._3.wav", ".git/4.wav", "a/notes.txt"]
    plant(tmp_path, [*names, "z.wav", "a/3.wav"])
    found = ["z.wav", "a/3.wav", "b/1.MP3", "b/c/2.sph"]
    assert detect_layout(tmp_path) == "folder"
    assert list(read_corpus(tmp_path)) == [Clip(path) for path in found]
    assert list(read_corpus(str(tmp_path), "folder")) == [Clip(path) for path in found]


def test_speakers_of_a_folder(tmp_path):
    plant(tmp_path, ["ann/x=1,y_2.wav", "room/bob/x=3,y_4.wav"])

    def speakers(rule):
        return [clip.speaker for clip in read_corpus(tmp_path, f"folder:speakers={rule}")]

    assert speakers("folder") == ["ann", "bob"]
    assert speakers("x=(.),y") == ["1", "3"]
    assert speakers(r"(?:\d),y") == ["1,y", "3,y"]
    with pytest.raises(InputError, match=r"ann/x=1,y_2\.wav has no speaker"):
        speakers("carl")
    with pytest.raises(InputError, match=r"speakers must be 'folder', .*received '\('"):
        speakers("(")


def test_names_that_are_no_utf_8_survive(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    try:
        os.mkdir(folder)
        open(folder + b"/\xff_1.wav", "wb").close()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (clip,) = read_corpus(tmp_path, "folder:speakers=folder")
    assert (tmp_path / clip.path).is_file()
    assert os.fsencode(clip.path) == b"caf\xe9/\xff_1.wav"
    assert os.fsencode(clip.speaker) == b"caf\xe9"
    write_manifest(tmp_path / "manifest.jsonl", [clip])
    assert list(read_corpus(tmp_path)) == [clip]


def test_links_are_followed_but_not_in_circles(tmp_path):
    corpus = plant(tmp_path / "corpus", ["a/1.wav"])
    plant(tmp_path / "elsewhere", ["2.wav"])
    (corpus / "a" / "up").symlink_to(corpus)
    (corpus / "a" / "itself").symlink_to(corpus / "a" / "itself")
    (corpus / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(corpus / "b")
    assert paths(read_corpus(corpus)) == ["a/1.wav", "b/2.wav"]


def test_a_folder_is_read_when_its_clips_are_asked_for(tmp_path):
    plant(tmp_path, ["a/1.wav", "b/1.wav", "b/2.wav"])
    clips = read_corpus(tmp_path, "folder")
    assert next(clips).path == "a/1.wav"
    plant(tmp_path, ["a/2.wav", "b/3.wav"])
    assert paths(clips) == ["b/1.wav", "b/2.wav", "b/3.wav"]


def test_detection_looks_at_few_files(tmp_path):
    plant(tmp_path, [f"{folder}/7_george_{n}.wav" for folder in "ab" for n in range(60)])
    plant(tmp_path, ["c/cough.wav"])
    assert detect_layout(tmp_path) == "fsdd"
    plant(tmp_path, ["a/cough.wav"])
    assert detect_layout(tmp_path) == "folder"


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("vctkk", "layout must be auto or one of vctk, .*; received 'vctkk'"),
        ("", "layout must be .*; received ''"),
        ("vctk:mic=mic2", "layout vctk takes one of microphone.*received 'mic=mic2'"),
        ("vctk:mic2", "layout vctk takes one of microphone.*received 'mic2'"),
        ("fsdd:top_tags=3", "layout fsdd takes none; received 'top_tags=3'"),
        ("vctk:microphone=mic3", "microphone must be one of mic1, mic2, both; received 'mic3'"),
        ("timit:test=all", "test must be one of core, complete; received 'all'"),
        ("magnatagatune:top_tags=0", "top_tags must be a whole number .*received 0"),
        ("magnatagatune:negations=2", "negations must be 0 or 1; received 2"),
        ("magnatagatune:min_clips=0", "min_clips must be a whole number .*received 0"),
        ("magnatagatune:top_tags=many", "top_tags must be a whole number .*received 'many'"),
    ],
)
def test_layouts_that_cannot_be_used(tmp_path, layout, message):
    with pytest.raises(InputError, match=f"^{message}"):
        read_corpus(plant(tmp_path, ["1.wav"]), layout)


ALIGNMENT = {"phones": [(0.0, 0.2, "h#"), (0.2, 0.5, "d")]}
# A corpus of each layout: its files, and speaker, text, tags, alignment and split of a recording.
METADATA = {
    "vctk": (
        VCTK_080,
        "wav48/p225/p225_001.wav",
        Clip("a", 0, None, "p225", "Please call Stella."),
    ),
    "ljspeech": (
        {"metadata.csv": "a|Größe|groesse\n", "wavs/a.wav": ""},
        "wavs/a.wav",
        Clip("a", speaker="LJ", text="groesse"),
    ),
    "librispeech": (
        LIBRISPEECH,
        "LibriSpeech/dev-clean/84/121123/84-121123-0000.flac",
        Clip("a", speaker="84", text="GO", split="validation"),
    ),
    "libritts": (
        {"train-clean/1_2_3_4.wav": "", "train-clean/1_2_3_4.normalized.txt": "One"},
        "train-clean/1_2_3_4.wav",
        Clip("a", speaker="1", text="One", split="train"),
    ),
    "timit": (
        {
            "TRAIN/DR1/FCJF0/SX37.WAV": "",
            "TRAIN/DR1/FCJF0/SX37.TXT": "0 16000 Ask.",
            "TRAIN/DR1/FCJF0/SX37.PHN": "0 3200 h#\n3200 8000 d\n",
        },
        "TRAIN/DR1/FCJF0/SX37.WAV",
        Clip("a", speaker="FCJF0", text="Ask.", alignment=ALIGNMENT, split="train"),
    ),
    "magnatagatune": (
        {"annotations_final.csv": "clip_id\tslow\tmp3_path\n1\t1\t0/a.mp3\n", "0/a.mp3": ""},
        "0/a.mp3",
        Clip("a", tags=("slow",), split="train"),
    ),
    "fsdd": ({"7_george_9.wav": ""}, "7_george_9.wav", Clip("a", 0, None, "george", "7")),
    "manifest": (
        {
            "manifest.jsonl": '{"path": "1.wav", "speaker": "ann", "text": "é", "tags": ["x"], '
            '"alignment": {"phones": [[0, 0.2, "h#"], [0.2, 0.5, "d"]]}, "take": "3"}',
            "1.wav": "",
        },
        "1.wav",
        Clip("a", 0, None, "ann", "é", ("x",), ALIGNMENT, other={"take": "3"}),
    ),
    "folder": ({"ann/1.wav": ""}, "ann/1.wav", Clip("a")),
}


@pytest.mark.parametrize("layout", corpora.LAYOUTS)
def test_metadata_of_every_layout_arrive_in_recordings(tmp_path, layout):
    """Read as they are, and prepared; for fsdd, the split follows from the take."""
    files, path, expected = METADATA[layout]
    plant(tmp_path / "raw", files)
    for recording in (name for name in files if folders.is_recording(name)):
        kind = {"mp3": "MP3", "lac": "FLAC"}.get(recording[-3:], "WAV")
        samples = np.random.default_rng(0).uniform(-0.5, 0.5, 16000)
        soundfile.write(tmp_path / "raw" / recording, samples, 16000, format=kind)
    if layout == "fsdd":
        expected = dataclasses.replace(expected, split="train")
    data.prepare(data.Preparation(str(tmp_path / "raw"), sample_rate=16000), tmp_path / "p", 1)
    for folder in ("raw", "p"):
        recordings = data.read_recordings(tmp_path / folder, 16000)
        assert recordings.tag_names == sorted(expected.tags)
        index = list(recordings.names).index(path)
        assert recordings.metadata[index] == dataclasses.replace(expected, path=path)
        assert recordings.texts[index] == expected.text
        assert recordings.tags[index] == expected.tags
        assert recordings.alignments[index] == expected.alignment
        speaker = recordings.speaker_ids[index]
        assert (recordings.speaker_names[speaker] if speaker >= 0 else None) == expected.speaker


LOOKED_FOR = {
    "vctk": "wav48",
    "ljspeech": "metadata.csv",
    "librispeech": "<speaker>-<chapter>-<utterance>.flac",
    "libritts": "<speaker>_<chapter>_<paragraph>_<utterance>.wav",
    "timit": "TRAIN and TEST",
    "magnatagatune": "annotations_final.csv",
    "fsdd": "<digit>_<speaker>_<take>.wav",
    "manifest": "manifest.jsonl or manifest.csv",
    "folder": ".wav",
}


@pytest.mark.parametrize("layout", corpora.LAYOUTS)
def test_folders_of_another_layout(tmp_path, layout):
    plant(tmp_path, ["notes.txt", "a/train/notes.txt"])
    message = f"no usable recording in {tmp_path}, as a corpus of layout '{layout}': looked for "
    with pytest.raises(InputError, match=f"^{re.escape(message)}.*{re.escape(LOOKED_FOR[layout])}"):
        list(read_corpus(tmp_path, layout))


def test_corpora_without_clips(tmp_path):
    plant(tmp_path / "vctk", ["wav48/p225/notes.txt"])
    plant(tmp_path / "timit", ["TRAIN/DR1/FCJF0/SA1.WAV"])
    plant(tmp_path / "magnatagatune", {"annotations_final.csv": "clip_id\tmp3_path\n", "f/1": ""})
    plant(tmp_path / "manifest", ["manifest.jsonl"])
    for directory in tmp_path.iterdir():
        clips = read_corpus(directory)
        with pytest.raises(InputError, match=f"as a corpus of layout '{directory.name}'"):
            next(clips)


def test_folders_that_cannot_be_read(tmp_path):
    plant(tmp_path, ["1.wav"])
    for directory in ("missing", "1.wav", "missing/manifest.jsonl"):
        with pytest.raises(InputError, match="directory must be a folder that can be read"):
            read_corpus(tmp_path / directory)
    with pytest.raises(InputError, match="no manifest at"):
        list(read_corpus(tmp_path / "other.jsonl", "manifest"))
    with pytest.raises(InputError, match="cannot read the folder"):
        detect_layout(tmp_path / "missing")


def test_tensorflow_datasets(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    spoken = np.array([-32768, 0, 16384, 1], np.int16)

    class TinySpeech(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "speech": tfds.features.Audio(sample_rate=8000, dtype=np.int16),
                "speaker": tfds.features.ClassLabel(names=["ann", "bob"]),
                "text": tfds.features.Text(),
                "label": tfds.features.ClassLabel(names=["loud", "quiet"]),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples("ab"), "dev_x": self._generate_examples("b")}

        def _generate_examples(self, initials):
            for n, initial in enumerate(initials):
                speaker = "ann" if initial == "a" else "bob"
                yield (
                    n,
                    {"speech": spoken[n:], "speaker": speaker, "text": f"é {initial}", "label": n},
                )

    TinySpeech(data_dir=tmp_path / "tfds").download_and_prepare()
    tfds.core.add_data_dir(tmp_path / "tfds")
    clips = list(corpora.tfds_clips("tiny_speech", tmp_path / "flac"))
    by_split = itertools.groupby(clips, key=lambda clip: clip.split)
    facts = {split: {(c.speaker, c.text) for c in found} for split, found in by_split}
    assert facts == {"validation": {("bob", "é b")}, "train": {("ann", "é a"), ("bob", "é b")}}
    assert {clip.tags for clip in clips} == {("loud",), ("quiet",)}
    assert paths(clips) == ["dev_x/000000.flac", "train/000000.flac", "train/000001.flac"]
    samples, rate = audio.read_audio(tmp_path / "flac" / clips[0].path)
    assert rate == 8000
    assert samples.tolist() == [-1.0, 0.0, 0.5, 2**-15]
    # A second run writes only what is missing.
    (tmp_path / "flac" / clips[1].path).unlink()
    (tmp_path / "flac" / clips[2].path).write_bytes(b"kept")
    assert list(corpora.tfds_clips("tiny_speech", tmp_path / "flac")) == clips
    assert (tmp_path / "flac" / clips[1].path).is_file()
    assert (tmp_path / "flac" / clips[2].path).read_bytes() == b"kept"
    with pytest.raises(InputError, match="received 'no_such_speech'"):
        corpora.tfds_clips("no_such_speech", tmp_path)


def test_tensorflow_datasets_may_be_missing(tmp_path):
    try:
        import tensorflow_datasets  # noqa: F401
    except ImportError:
        with pytest.raises(InputError, match="pip install tensorflow-datasets"):
            corpora.tfds_clips("ljspeech", tmp_path)
    else:
        pytest.skip("it is installed")
