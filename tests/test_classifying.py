"""Runs of classifiers, and the programs that train, score and use them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, SMALL, run_program, tone

import wavenet_tf as wt
from wavenet_tf import data, runs
from wavenet_tf.errors import InputError

FLAGS = ("--preset=tiny", "--set=layers_per_stack=3", "--sample_rate=8000", "--crop_seconds=0.2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Low and high tones of three speakers with alignments."""
    folder, clips = tmp_path_factory.mktemp("classifying"), []
    for index in range(12):
        label, speaker = ["high", "low"][index % 2], ["ann", "ben", "cy"][index % 3]
        frequency = {"high": 900.0, "low": 300.0}[label] + 5 * index
        path = folder / "tones" / f"{label}_{speaker}_{index}.wav"
        wt.write_audio(path, np.concatenate([np.zeros(400), tone(0.2, 8000, frequency)]), 8000)
        segments = {"phones": [(0.0, 0.05, "sil"), (0.05, 0.25, label)]}
        path.with_suffix(".TextGrid").write_text(data.textgrid_text(segments, 0.25))
        clips.append(data.Clip(path.name, text=label.title() + "!"))
    clips.sort(key=lambda clip: clip.path)
    data.write_manifest(folder / "tones" / "manifest.jsonl", clips)
    return folder


def train(folder: Path, name: str, *flags: str) -> str:
    result = run_program(
        "train.py", f"--data_dir={folder / 'tones'}", f"--model_dir={folder / name}", *FLAGS, *flags
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def classified(folder) -> str:
    """The output of the training of a run of clips, which is in `folder / "clips"`."""
    return train(
        folder,
        "clips",
        "--task=classify",
        "--classes=^([a-z]+)_",
        "--speakers=_([a-z]+)_",
        "--split_by=speaker",
        "--validation_fraction=0.3",
        "--batch_size=8",
        "--steps=60",
        "--steps_per_validation=30",
        "--learning_rate=0.004",
        "--augment",
    )


@pytest.mark.slow
def test_clips_are_classified_by_a_run(folder, classified):
    assert "2 classes of clip: high, low" in classified
    assert "validating on 4 (1 s), of the speakers" in classified
    assert "0.0000 in validation" in classified.splitlines()[-2]
    assert runs.best_validation(folder / "clips").metric == "classes_error_rate"
    scores = folder / "scores.json"
    result = run_program(
        "evaluate.py",
        f"--model_dir={folder / 'clips'}",
        f"--data_dir={folder / 'tones'}",
        "--split=validation",
        f"--json={scores}",
    )
    assert "error rate 0.00% (95% interval 0.00% to 0.00%) over 4 labels of 4" in result.stdout
    report = json.loads(scores.read_text())
    assert (report["error_rate"], report["labels"]) == ([0.0, 0.0, 0.0], 4)
    assert report["confusions"] == []


@pytest.mark.slow
def test_recordings_are_recognized(folder, classified):
    paths = sorted((folder / "tones").glob("*_1*.wav"))
    words = [f"--input={path}" for path in paths]
    result = run_program("recognize.py", f"--model_dir={folder / 'clips'}", *words)
    lines = [line.split("\t") for line in result.stdout.splitlines()[1:]]
    assert [(Path(path), label) for path, label, _ in lines] == [
        (path, path.name.split("_")[0]) for path in paths
    ]
    result = run_program(
        "recognize.py", f"--model_dir={folder / 'clips'}", words[0], f"--output={folder / 'a.json'}"
    )
    written = json.loads((folder / "a.json").read_text())
    assert written["chosen"] == [paths[0].name.split("_")[0]]
    assert sum(probability for _, probability in written["classes"]) == pytest.approx(1.0)
    assert written["seconds"] == pytest.approx(0.25)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output=a.TextGrid"], "a TextGrid holds segments, and this model has classes"),
        (["--stream", "--output=a.txt"], "output is not written while streaming"),
        (["--input=-"], "input - needs --stream"),
        (["--output=a.srt"], "output must end in .txt, .json or .TextGrid; received a.srt"),
        (["--input=missing.wav"], "missing.wav"),
        (["--input={}", "--output=a.txt"], "output is for a single recording; received 2"),
    ],
)
def test_wrong_uses_are_one_line(folder, classified, words, message):
    path = next((folder / "tones").glob("*.wav"))
    words = [word.format(path) for word in words]
    result = run_program(
        "recognize.py", f"--model_dir={folder / 'clips'}", f"--input={path}", *words
    )
    assert result.returncode == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_classifier_does_not_generate_and_a_generator_does_not_recognize(folder, classified):
    with pytest.raises(InputError, match="holds a WaveNetClassifier, not a WaveNet"):
        runs.load_model(folder / "clips")
    (folder / "generator").mkdir()
    wt.WaveNet(**SMALL).save(folder / "generator" / "model.keras")
    with pytest.raises(InputError, match="holds a WaveNet, not a WaveNetClassifier"):
        runs.load_model(folder / "generator", kind=wt.WaveNetClassifier)


def settings_for(folder: Path, **changes) -> runs.Settings:
    return runs.Settings(
        **{
            "data_dir": str(folder / "tones"),
            "task": "recognize",
            "alignments": "*.TextGrid",
            "overrides": SMALL,
            "steps": 6,
            "steps_per_validation": 3,
            "crop_seconds": 0.1,
            "schedule": "constant",
            "deterministic": True,
            **changes,
        }
    )


@pytest.mark.slow
@pytest.mark.once
def test_frames_are_recognized_and_a_resumed_run_is_the_same_bit_by_bit(folder, tmp_path):
    whole = runs.train(settings_for(folder), tmp_path / "whole")
    assert (whole.targets, whole.class_names) == ("frames", ["high", "low", "sil"])
    runs.train(settings_for(folder, steps=3), tmp_path / "stopped")
    resumed = runs.train(settings_for(folder), tmp_path / "stopped")
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    log = runs.read_log(tmp_path / "stopped")
    for name, values in runs.read_log(tmp_path / "whole").items():
        np.testing.assert_array_equal(log[name], values, err_msg=name)


@pytest.fixture(scope="module")
def recognized(folder) -> wt.WaveNetClassifier:
    """A model of frames, whose run is in `folder / "frames"`."""
    settings = settings_for(folder, steps=60, steps_per_validation=30, learning_rate=0.01)
    return runs.train(settings, folder / "frames")


@pytest.mark.slow
@pytest.mark.once
def test_a_run_of_frames_tunes_a_decoder_that_scores_and_recognizes(folder, recognized, tmp_path):
    log = runs.read_log(folder / "frames")
    assert np.all(np.isfinite(log["val_label_error_rate"]))
    decoder = runs.load_decoder(folder / "frames", recognized)
    # 5 frames of silence, and 20 of a tone.
    np.testing.assert_allclose(np.exp(decoder.log_priors)[2], 0.2, atol=0.01)
    report = run_program(
        "evaluate.py", f"--model_dir={folder / 'frames'}", f"--data_dir={folder / 'tones'}"
    ).stdout
    assert "error rate, without a decoder: " in report and "error rate, frames: " in report
    (tmp_path / "decoder.json").write_text(json.dumps({"bigram": {}}))
    with pytest.raises(InputError, match=r"cannot read .*decoder.json: no decoder"):
        runs.load_decoder(tmp_path, recognized)


@pytest.mark.slow
def test_known_labels_are_aligned_and_compared_with_given_times(folder, recognized, tmp_path):
    words = [f"--model_dir={folder / 'frames'}", f"--data_dir={folder / 'tones'}"]
    result = run_program("align.py", *words, f"--output_dir={tmp_path}", "--json")
    assert "aligned 12 recordings" in result.stdout, result.stderr
    assert "12 boundaries differ from the given alignment by " in result.stdout
    for path in (folder / "tones").glob("*.wav"):
        (segments,) = data.read_alignment(tmp_path / f"{path.stem}.TextGrid").values()
        assert [label for *_, label in segments] == ["sil", path.name.split("_")[0]]
        np.testing.assert_allclose(segments[1][:2], (0.05, 0.25), atol=0.021)
        written = json.loads((tmp_path / f"{path.stem}.json").read_text())
        assert [tuple(segment) for segment in written["segments"]] == segments
        assert written["log_likelihood"] < 0.0
    # The text has no label of the model.
    result = run_program(
        "align.py", *words, f"--output_dir={tmp_path / 'texts'}", "--labels=characters"
    )
    assert result.returncode == 1
    assert "no recording was aligned: high_ann_0.wav: the model has no label 'h'" in result.stderr
    assert not list(tmp_path.glob("texts/*"))


@pytest.mark.slow
@pytest.mark.parametrize("run", ["clips", "frames"])
def test_the_page_about_a_run_shows_error_rates(folder, classified, recognized, run, tmp_path):
    page = tmp_path / "page.html"
    result = run_program("report.py", f"--model_dir={folder / run}", f"--output={page}")
    assert result.returncode == 0, result.stderr
    text = page.read_text()
    shown = {
        "clips": ["2 classes", "high, low", "Error rate over steps", "0.00% (95% interval"],
        "frames": ["3 classes", "Without a decoder", "Error rate of labels, without a decoder"],
    }
    for part in ("A classifier after 60 steps", "labels of", *shown[run]):
        assert part in text, part


@pytest.mark.slow
@pytest.mark.parametrize("source", ["file", "pipe"])
def test_segments_are_printed_while_audio_comes_in(folder, recognized, source):
    path = folder / "tones" / "high_ann_0.wav"
    words = [f"--model_dir={folder / 'frames'}", "--stream"]
    if source == "file":
        lines = run_program("recognize.py", *words, f"--input={path}").stdout.splitlines()
    else:
        samples = (wt.read_audio(path)[0] * 32768).astype("<i2").tobytes()
        command = [sys.executable, str(ROOT / "tools" / "recognize.py"), *words, "--input=-"]
        lines = subprocess.check_output(command, input=samples).decode().splitlines()
    segments = [line.split("\t") for line in lines[1:]]
    assert "high" in [label for *_, label, _ in segments]
    greedy = run_program("recognize.py", words[0], "--greedy", f"--input={path}").stdout
    assert [line[:3] for line in segments] == [
        line.split("\t")[:3] for line in greedy.splitlines()[1:]
    ]


@pytest.mark.slow
def test_characters_are_learned_from_texts_without_alignments(folder, tmp_path):
    settings = settings_for(
        folder,
        labels="characters",
        alignments=None,
        crop_seconds=None,
        steps=3,
        next_sample_weight=0.0,
    )
    model = runs.train(settings, tmp_path)
    assert model.head is None
    assert (model.targets, model.class_names) == ("sequence", list("ghilow"))
    report = run_program(
        "evaluate.py", f"--model_dir={tmp_path}", f"--data_dir={folder / 'tones'}"
    ).stdout
    assert "over 42 labels of 12 recordings" in report  # 6 times "high", 6 times "low"
    assert "error rate, words: " in report


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize(
    ("labels", "high", "low"),
    [("lexicon", ["HH", "AY1"], ["L", "OW1"]), ("espeak", ["h", "aɪ1"], ["l", "oʊ1"])],
)
def test_phones_of_texts_are_learned_and_aligned_with_stress_and_words(
    folder, tmp_path, labels, high, low
):
    if labels == "espeak":
        pytest.importorskip("espeakng_loader")
    settings = settings_for(
        folder, labels=labels, alignments=None, crop_seconds=None, steps=3, next_sample_weight=0
    )
    model = runs.train(settings, tmp_path / "run")
    phones = sorted(phone.rstrip("1") for phone in high + low)
    assert (model.targets, model.class_names) == ("sequence", phones)
    aligned, aligned_again = tmp_path / "aligned", tmp_path / "aligned_again"
    data_dir = f"--data_dir={folder / 'tones'}"
    result = run_program(
        "align.py", f"--model_dir={tmp_path / 'run'}", data_dir, f"--output_dir={aligned}"
    )
    assert result.returncode == 0, result.stderr
    # Another model learns these alignments, with the stress in the names of its classes.
    settings = settings_for(
        folder, labels="phones", alignments=f"{aligned}/*.TextGrid", steps=1, next_sample_weight=0
    )
    model = runs.train(settings, tmp_path / "frames")
    assert model.targets == "frames" and set(high + low) <= set(model.class_names)
    words = (f"--model_dir={tmp_path / 'frames'}", data_dir, f"--labels={labels}")
    result = run_program("align.py", *words, f"--output_dir={aligned_again}")
    assert result.returncode == 0, result.stderr
    expected = {"high": high, "low": low}
    found = [*aligned.glob("*.TextGrid"), *aligned_again.glob("*.TextGrid")]
    assert len(found) == 24
    for path in found:
        word = path.name.split("_")[0]
        tiers = data.read_alignment(path)
        assert [label for *_, label in tiers["phones"] if label != "sil"] == expected[word]
        spoken = [segment for segment in tiers["phones"] if segment[2] != "sil"]
        words = [segment for segment in tiers["words"] if segment[2] != "sil"]
        assert words == [(spoken[0][0], spoken[1][1], word)]


def test_recordings_whose_labels_do_not_fit_are_named(folder):
    recordings = data.read_recordings(folder / "tones", 8000)
    names = list("ghilow")
    slow = data.SequenceSource(names, hop_length=500, labels="characters")  # 4 frames
    assert slow.prepare(recordings).names == recordings.names
    slower = data.SequenceSource(names, hop_length=700, labels="characters")
    with pytest.warns(UserWarning, match="6 of 12 recordings are left out"):
        assert len(slower.prepare(recordings).names) == 6
    short = data.SequenceSource(names, hop_length=80, labels="characters", max_seconds=0.1)
    with pytest.raises(InputError, match=r"longer than crops of 0\.1 s"):
        short.prepare(recordings)
    with pytest.raises(InputError, match="no labels 'words'"):
        data.SequenceSource(names, hop_length=80, labels="words").prepare(recordings)
    with pytest.raises(InputError, match="has the unknown label 'h'"):
        data.SequenceSource(["g"], hop_length=80, labels="characters").check(recordings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "classify", "classes": "folder", "ctc": True}, "ctc is for the task 'recognize'"),
        ({"task": "classify"}, "classes must be given for the task classify"),
        ({"classes": "folder"}, "classes must be given for the task classify, and for no other"),
        (
            {"task": "speak", "features": "mel"},
            "features must be one of f0, f0_world, none",
        ),
        ({"task": "speak", "models": "f0"}, "models must be some of durations, log_f0, wavenet"),
        (
            {"task": "speak", "models": "log_f0", "features": "none"},
            "models log_f0 needs F0; received features 'none'",
        ),
        ({"tags": "all"}, "tags condition a generator; received task 'recognize'"),
        ({"augment": True, "ctc": True}, "received task 'recognize' and CTC"),
        ({"augment": True, "task": "generate"}, "augment is for classes of clips and of frames"),
        (
            {"task": "transcribe"},
            "unknown task 'transcribe': expected one of generate, speak",
        ),
        ({"split_by": "file"}, "unknown split_by 'file': expected one of recording, speaker"),
    ],
)
def test_settings_of_another_task_are_refused(folder, changes, message):
    with pytest.raises(InputError, match=message):
        settings_for(folder, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": "column:phones"}, "has no labels 'column:phones'"),
        ({"labels": "words"}, "has no alignment 'words': labels of frames need one"),
        ({"alignments": "*.lab"}, "match no file"),
        ({"validation_pattern": "x"}, "'x' is found in 0 of 12 recordings"),
        ({"validation_pattern": "("}, "validation_pattern must be a regular expression"),
        ({"split_by": "speaker"}, "a split by speaker needs at least two speakers"),
        ({"task": "classify", "classes": "(", "alignments": None}, "classes must be 'folder'"),
        ({"task": "classify", "classes": "^(h)", "alignments": None}, "has no class"),
    ],
)
def test_recordings_without_the_labels_of_a_task_are_refused(folder, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        runs.train(settings_for(folder, **changes), tmp_path / "run")


def test_a_pattern_chooses_the_recordings_for_validation(folder):
    settings = settings_for(folder, validation_pattern="_ann_")
    recordings = data.read_recordings(folder / "tones", 8000)
    training, validation = runs.split_recordings(settings, recordings, 0)
    assert [name for name in recordings.names if "_ann_" in name] == sorted(validation.names)
    assert sorted([*training.names, *validation.names]) == sorted(recordings.names)


def test_speakers_are_on_one_side_of_a_split(folder):
    recordings = data.read_recordings(folder / "tones", 8000).with_speakers("_([a-z]+)_")
    training, validation = recordings.split(0.3, by="speaker")
    assert not set(training.speaker_ids) & set(validation.speaker_ids)
    assert len(training.names) + len(validation.names) == 12
