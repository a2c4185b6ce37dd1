"""Preparing corpora, and reading what was prepared."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from conftest import ROOT, small_model, tone
from programs import Program

import wavenet_tf as wt
from wavenet_tf import data
from wavenet_tf.errors import InputError

RATE = 8000
SPEAKERS = ("ana", "ben", "ana", None)


def write_corpus(folder, lengths=(300, 40000, 500, 70001)):
    """Noise of these lengths; a manifest with speakers, text and tags."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = []
    for number, length in enumerate(lengths):
        samples = np.random.default_rng(number).integers(-9000, 9000, length).astype(np.int16)
        soundfile.write(folder / f"{number}.wav", samples, RATE, subtype="PCM_16")
        speaker = SPEAKERS[number % len(SPEAKERS)]
        clips.append(data.Clip(f"{number}.wav", speaker=speaker, text=f"é {number}", tags=("a",)))
    data.write_manifest(folder / "manifest.jsonl", clips)
    return folder


def prepare(source, output, workers=1, **settings):
    return data.prepare(data.Preparation(str(source), **settings), output, workers)


def everything(recordings):
    """Names and samples."""
    return [(name, recordings.clip(i).tolist()) for i, name in enumerate(recordings.names)]


def test_prepared_clips_are_those_of_the_corpus(tmp_path):
    source = write_corpus(tmp_path / "corpus")
    report = prepare(source, tmp_path / "prepared", sample_rate=RATE, shards=3)
    recordings = data.read_recordings(tmp_path / "prepared", RATE)
    raw = data.read_recordings(source, RATE)
    assert everything(recordings) == everything(raw)
    assert recordings.lengths.tolist() == [300, 40000, 500, 70001]
    assert list(recordings.speaker_names) == ["ana", "ben"]
    assert recordings.speaker_ids.tolist() == raw.speaker_ids.tolist() == [0, 1, 0, -1]
    assert report["statistics"]["clips"] == 4
    assert report["statistics"]["seconds"] == pytest.approx(110801 / RATE)
    assert report["statistics"]["speaker_seconds"] == {"ana": 800 / RATE, "ben": 40000 / RATE}
    # Any slice, over pieces of 32,768 samples.
    clip, whole = recordings.clips[3], raw.clip(3)
    for first, last in ((0, 1), (32767, 32769), (10, 65536), (65536, 70001), (69999, 70001)):
        np.testing.assert_array_equal(clip[first:last], whole[first:last])
    # Both sides of the split are those of the raw folder.
    for part, expected in zip(recordings.split(0.1), raw.split(0.1), strict=True):
        assert sorted(part.names) == sorted(expected.names)


def test_prepared_shards_are_plain_tfrecords(tmp_path):
    """What others read them with: TensorFlow, and any decoder of FLAC."""
    source = write_corpus(tmp_path / "corpus")
    prepare(source, tmp_path / "p", sample_rate=RATE, features=("energy",), hop_length=100)
    paths = sorted(str(path) for path in (tmp_path / "p" / "shards").iterdir())
    assert [path[-9:] for path in paths] == [".tfrecord"] * 4
    pieces = {}
    for record in tf.data.TFRecordDataset(paths):
        example = tf.train.Example.FromString(record.numpy()).features.feature
        name = example["name"].bytes_list.value[0].decode()
        piece = example["piece"].int64_list.value[0]
        samples = tf.io.decode_raw(example["features"].bytes_list.value[0], tf.float32)
        decoded = soundfile.read(__import__("io").BytesIO(example["audio"].bytes_list.value[0]))
        pieces[name, piece] = len(decoded[0]), decoded[1], len(samples)
        if not piece:
            clip = data.Clip.from_row(json.loads(example["clip"].bytes_list.value[0]))
            assert clip.text == f"é {name[0]}"
    assert pieces["0.wav", 0] == (300, RATE, 3)
    assert [pieces["3.wav", n][::2] for n in range(3)] == [(32800, 328), (32800, 328), (4401, 45)]
    index = json.loads((tmp_path / "p" / "index.json").read_text())
    for shard in index["shards"]:
        contents = (tmp_path / "p" / shard["file"]).read_bytes()
        assert shard["bytes"] == len(contents)
        assert shard["sha256"] == hashlib.sha256(contents).hexdigest()


def test_prepared_features_are_those_of_the_whole_clip(tmp_path):
    source = write_corpus(tmp_path / "corpus")
    names = ["mel", "energy"]
    prepare(source, tmp_path / "p", sample_rate=RATE, features=tuple(names), hop_length=150)
    recordings = data.read_recordings(tmp_path / "p", RATE)
    expected = data.read_recordings(source, RATE).with_features(names, 150).features
    for number, frames in enumerate(expected):
        np.testing.assert_array_equal(recordings.features[number][:], frames)
    np.testing.assert_array_equal(recordings.features[3][217:440], expected[3][217:440])
    assert recordings.with_features(names, 150) is recordings
    with pytest.raises(InputError, match="prepared with features mel,energy each 150 samples"):
        recordings.with_features(["mel"], 150)
    with pytest.raises(InputError, match="requested are mel,energy each 100 samples"):
        recordings.with_features(names, None)


@pytest.mark.slow
def test_training_sees_the_same_batches_raw_and_prepared(tmp_path):
    source = write_corpus(tmp_path / "corpus")
    prepare(source, tmp_path / "p", sample_rate=RATE, features=("energy",), hop_length=100)
    model = small_model(local_channels=1, upsample_factors=(100,), features=["energy"])
    batches = []
    for folder in (source, tmp_path / "p"):
        part, _ = data.read_recordings(folder, RATE).split(0.1)
        part = part.with_features(["energy"], 100)
        batches.append(list(data.training_batches(part, model.crop_spec, 2, 0.5, seed=3).take(5)))
    for raw, again in zip(*batches, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, raw, again)


@pytest.mark.once
@pytest.mark.slow
def test_workers_make_the_same_files(tmp_path):
    source = write_corpus(tmp_path / "corpus", [1000] * 12)
    for workers in (1, 2):
        prepare(source, tmp_path / str(workers), workers, sample_rate=RATE, shards=4)
    files = [path for path in sorted((tmp_path / "1").rglob("*")) if path.is_file()]
    assert len(files) == 4 + 8
    for path in files:
        other = tmp_path / "2" / path.relative_to(tmp_path / "1")
        assert path.read_bytes() == other.read_bytes()


def test_a_corpus_says_its_own_split(tmp_path):
    source = write_corpus(tmp_path / "corpus", [500] * 5)
    splits = ["train", "test", "validation", "train", "validation"]
    clips = [data.Clip(f"{n}.wav", split=split) for n, split in enumerate(splits)]
    data.write_manifest(source / "manifest.jsonl", clips)
    prepare(source, tmp_path / "p", sample_rate=RATE)
    for folder in (source, tmp_path / "p"):
        recordings = data.read_recordings(folder, RATE)
        training, validation = recordings.split(0.5)
        assert sorted(training.names) == ["0.wav", "3.wav"]
        assert sorted(validation.names) == ["2.wav", "4.wav"]
        assert list(recordings.test_split().names) == ["1.wav"]
    only_test = recordings.test_split()
    with pytest.raises(InputError, match="at least 2 recordings"):
        only_test.split(0.5)
    with pytest.raises(InputError, match="names no recordings as its test set"):
        training.test_split()


def test_segments_of_a_recording_stay_on_one_side(tmp_path):
    write_corpus(tmp_path, [8000] * 6)
    clips = [
        data.Clip(f"{number}.wav", start=start, end=start + 0.25)
        for number in range(6)
        for start in (0.0, 0.25, 0.5)
    ]
    data.write_manifest(tmp_path / "manifest.jsonl", clips)
    recordings = data.read_recordings(tmp_path, RATE)
    whole, _ = soundfile.read(tmp_path / "1.wav", dtype="int16")
    assert recordings.names[4] == "1.wav#0.25-0.5"
    np.testing.assert_array_equal(recordings.clip(4), whole[2000:4000])
    sides = [{name.split("#")[0] for name in part.names} for part in recordings.split(0.4)]
    assert not sides[0] & sides[1]


def test_trimming_normalizing_and_the_report(tmp_path):
    source = tmp_path / "corpus"
    quiet = np.zeros(RATE, np.float32)
    sound = tone(1.0, RATE)
    clips = {
        "trimmed": np.concatenate([quiet, sound, quiet]),
        "same": sound,
        "same_again": sound,
        "offset": 0.5 * sound + 0.1,
        "clipped": np.clip(4.0 * sound, -1.0, 1.0),
        "silence": quiet,
        "faint": 0.003 * sound,
    }
    for name, clip in clips.items():
        wt.write_audio(source / f"{name}.wav", clip, RATE)
    wt.write_audio(source / "short.wav", sound[:20], RATE)
    (source / "text.wav").write_text("no audio")
    report = prepare(source, tmp_path / "p", trim_db=40.0, normalize="peak", level_db=-6.0)
    warnings = {kind: part["names"] for kind, part in report["warnings"].items()}
    assert warnings["duplicates"] == ["same_again.wav", "trimmed.wav"] or (
        warnings["duplicates"] == ["same_again.wav"]
    )
    assert warnings["dc_offset"] == ["offset.wav"]
    assert warnings["clipped"] == ["clipped.wav"]
    assert set(warnings["outlying_level"]) == {"faint.wav", "silence.wav"}
    assert set(report["skipped"]["names"]) == {"short.wav", "text.wav"}
    assert report["samples_clipped"] > 1000
    recordings = data.read_recordings(tmp_path / "p", RATE)
    names = list(recordings.names)
    for name in names:
        peak = np.abs(recordings.waveform(names.index(name))).max()
        assert peak == pytest.approx(0.0 if name == "silence.wav" else 10 ** (-6 / 20), abs=2e-3)
    # A second is left, and a little around it.
    trimmed = recordings.lengths[names.index("trimmed.wav")]
    assert RATE <= trimmed <= 1.3 * RATE
    assert report["seconds_trimmed"] == pytest.approx(3 - trimmed / RATE, abs=0.05)
    assert recordings.lengths[names.index("silence.wav")] == RATE
    summary = data.summarize(report)
    assert "7 clips" in summary and "1 clips with clipped samples: clipped.wav" in summary
    assert "short.wav: too short (20 samples)" in summary


def test_alignments_move_with_what_is_trimmed(tmp_path):
    quiet = np.zeros(RATE, np.float32)
    wt.write_audio(tmp_path / "c" / "a.wav", np.concatenate([quiet, tone(1.0, RATE)]), RATE)
    alignment = {"phones": [(1.0, 1.5, "a"), (1.5, 2.0, "b")]}
    data.write_manifest(
        tmp_path / "c" / "manifest.jsonl", [data.Clip("a.wav", alignment=alignment)]
    )
    prepare(tmp_path / "c", tmp_path / "p", trim_db=60.0)
    (path,) = (tmp_path / "p" / "shards").iterdir()
    (record,) = tf.data.TFRecordDataset(str(path))
    feature = tf.train.Example.FromString(record.numpy()).features.feature
    assert "alignment" not in json.loads(feature["clip"].bytes_list.value[0])
    moved = json.loads(feature["alignment"].bytes_list.value[0])["phones"]
    length = data.open_prepared(tmp_path / "p").lengths[0] / RATE
    assert [label for _, _, label in moved] == ["a", "b"]
    assert moved[0][0] == pytest.approx(length - 1.0, abs=1e-3)
    assert moved[1][1] == pytest.approx(length, abs=1e-3)


def start(source, output, *flags):
    words = [ROOT / "tools" / "prepare_data.py", f"--source={source}", f"--output={output}", *flags]
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return Program(words, environment)


def finished(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.mark.slow
@pytest.mark.once
def test_continues_after_kills_without_losing_or_repeating_a_clip(tmp_path):
    source = write_corpus(tmp_path / "corpus", [60000] * 60)
    flags = [f"--sample_rate={RATE}", "--shards=12", "--features=mel", "--workers=2"]
    killed, output = 0, tmp_path / "p"
    for shards in (1, 3, 6):
        process = start(source, output, *flags)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            if len(list(output.glob("shards/*.npz"))) >= shards:
                break
            time.sleep(0.01)
        if process.poll() is None:
            killed += 1
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with pytest.raises(InputError, match="was not finished"):
            data.read_recordings(output, RATE)
    assert killed == 3
    written = {path: path.stat().st_mtime_ns for path in output.glob("shards/shard-*.npz")}
    kept = {path.stem: path.stat().st_mtime_ns for path in output.glob("shards/shard-*.tfrecord")}
    code, out, err = finished(start(source, output, *flags))
    assert code == 0, err
    assert "60 clips" in out
    for path in written:  # not written again
        shard = path.with_suffix(".tfrecord")
        assert shard.stat().st_mtime_ns == kept[path.stem]
    recordings, raw = data.read_recordings(output, RATE), data.read_recordings(source, RATE)
    assert everything(recordings) == everything(raw)
    tables = {"clips.npy", "pieces.npy", "names.npy", "source.jsonl", "shards", ".lock"}
    facts = {"preparation.json", "index.json", "report.json"}
    assert {path.name for path in output.iterdir()} == tables | facts
    # Finished: nothing is done again, and other settings are another preparation.
    assert finished(start(source, output, *flags))[0] == 0
    code, _, err = finished(start(source, output, "--sample_rate=16000"))
    assert (code, err.count("\n")) == (1, 1)
    assert "holds another preparation: its sample_rate is 8000, given was 16000" in err


def test_only_one_preparation_writes_to_a_folder(tmp_path):
    source = write_corpus(tmp_path / "corpus", [60000] * 30)
    first = start(source, tmp_path / "p", f"--sample_rate={RATE}", "--workers=1")
    while not (tmp_path / "p" / "preparation.json").exists():
        assert first.poll() is None, finished(first)
        time.sleep(0.01)
    with pytest.raises(InputError, match="another preparation is writing to"):
        prepare(source, tmp_path / "p", sample_rate=RATE)
    assert finished(first)[0] == 0
    assert len(data.open_prepared(tmp_path / "p").names) == 30


@pytest.mark.once
@pytest.mark.slow
def test_a_full_disk_is_an_error_and_the_preparation_can_be_continued(tmp_path):
    """The system refuses to let files grow, as a full disk does."""
    source = write_corpus(tmp_path / "corpus", [60000] * 12)
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200000, 200000))\n"
        "sys.argv = sys.argv[1:]\n"
        "import runpy; sys.path.insert(0, 'tools')\n"
        "runpy.run_path('tools/prepare_data.py', run_name='__main__')\n"
    )
    flags = [f"--source={source}", f"--output={tmp_path / 'p'}", "--sample_rate=8000"]
    command = [sys.executable, "-c", code, "tools/prepare_data.py", *flags, "--shards=2"]
    for workers in (1, 2):
        full = subprocess.run(
            [*command, f"--workers={workers}"], capture_output=True, text=True, check=False
        )
        assert full.returncode == 1, full.stderr
        assert "cannot write" in full.stderr and "Traceback" not in full.stderr, full.stderr
        assert not list((tmp_path / "p").glob("shards/*"))
    prepare(source, tmp_path / "p", sample_rate=RATE, shards=2)
    assert everything(data.open_prepared(tmp_path / "p")) == everything(
        data.read_recordings(source, RATE)
    )


@pytest.fixture
def prepared_folder(tmp_path):
    source = write_corpus(tmp_path / "corpus", [2000] * 8)
    prepare(source, tmp_path / "p", sample_rate=RATE, shards=4)
    return tmp_path / "p"


def test_missing_and_cut_shards_are_left_out_with_a_warning(prepared_folder):
    (prepared_folder / "shards" / "shard-00001.tfrecord").unlink()
    with open(prepared_folder / "shards" / "shard-00002.tfrecord", "ab") as file:
        file.truncate(1000)
    with pytest.warns(UserWarning, match="shard-0000") as warned:
        recordings = data.read_recordings(prepared_folder, RATE)
    assert "shard-00001.tfrecord: missing, 2 recordings left out" in str(warned[0].message)
    assert "has 1000 bytes where" in str(warned[1].message)
    assert list(recordings.names) == ["0.wav", "1.wav", "6.wav", "7.wav"]
    for path in prepared_folder.glob("shards/*"):
        path.unlink()
    with pytest.warns(UserWarning), pytest.raises(InputError, match="no shard that can be used"):
        data.read_recordings(prepared_folder, RATE)


def test_a_corrupted_clip_has_no_weight_and_a_warning(prepared_folder):
    path = prepared_folder / "shards" / "shard-00000.tfrecord"
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 4] ^= 1
    path.write_bytes(contents)
    recordings = data.read_recordings(prepared_folder, RATE)
    with pytest.raises(InputError, match=r"shard-00000.tfrecord is corrupted at byte 12"):
        recordings.clip(0)
    model = small_model()
    scored = 0
    with pytest.warns(UserWarning, match="left out: .*shard-00000.tfrecord is corrupted"):
        for _, targets, weights in data.evaluation_batches(recordings, model.crop_spec, 4, 0.1):
            assert np.isfinite(weights).all()
            scored += int(tf.reduce_sum(weights))
            assert (targets.numpy()[weights.numpy().sum(axis=1) == 0] == 128).all()
    assert scored == 7 * 2000


@pytest.mark.parametrize("name", ["index.json", "clips.npy", "pieces.npy", "names.npy"])
def test_corrupted_tables_are_errors(prepared_folder, name):
    path = prepared_folder / name
    for contents in (b"", path.read_bytes()[: len(path.read_bytes()) // 2], b"\x93NUMPY nonsense"):
        path.write_bytes(contents)
        with pytest.raises(InputError, match=r"corrupted|cannot read"):
            data.read_recordings(prepared_folder, RATE)
    path.unlink()
    with pytest.raises(InputError, match=r"corrupted|was not finished"):
        data.read_recordings(prepared_folder, RATE)


def test_wrong_settings_are_errors(tmp_path, prepared_folder):
    source = tmp_path / "corpus"
    for settings, message in (
        ({"trim_db": -1.0}, "trim_db must be above 0; received -1"),
        ({"trim_pauses": True}, "trim_pauses needs trim_db"),
        ({"normalize": "loud"}, "normalize must be one of peak, rms; received 'loud'"),
        ({"normalize": "rms", "level_db": 3.0}, "level_db must be below 0 dBFS; received 3.0"),
        ({"level_db": -3.0}, "level_db needs normalize"),
        ({"features": ("mfcc",)}, "names must be some of mel, energy, f0"),
        ({"shards": 0}, "shards must be a whole number of at least 1; received 0"),
        ({"sample_rate": 0}, "sample_rate must be a whole number of at least 1"),
        ({"layout": "vctk"}, "vctk"),
    ):
        with pytest.raises(InputError, match=message):
            prepare(source, tmp_path / "new", **settings)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        prepare(source, tmp_path / "full")
    with pytest.raises(InputError, match="was prepared at 8000 Hz; required are 16000 Hz"):
        data.read_recordings(prepared_folder, 16000)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "text.wav").write_text("no audio")
    with pytest.raises(InputError, match=r"no usable recording in .*bad: 1 clips, none .*text.wav"):
        prepare(tmp_path / "bad", tmp_path / "of_bad", sample_rate=RATE)
