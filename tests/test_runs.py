import csv
import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, SMALL, small_model

from wavenet_tf import data, evaluation, runs, training
from wavenet_tf.errors import InputError


def settings_for(recordings_dir, **changes):
    return runs.Settings(
        **{
            "data_dir": str(recordings_dir),
            "overrides": SMALL,
            "steps": 6,
            "steps_per_validation": 3,
            "crop_seconds": 0.05,
            **changes,
        }
    )


def test_a_run_leaves_model_checkpoints_logs_and_settings(recordings_dir, tmp_path, capsys):
    model = runs.train(settings_for(recordings_dir, steps=7, checkpoints_kept=2), tmp_path / "run")
    assert int(model.optimizer.iterations) == 7
    names = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert names == {"update_00000006.keras", "update_00000007.keras"}
    with open(tmp_path / "run" / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["update"]) for row in rows] == [3, 6, 7]
    assert all(0 < float(row["val_bits_per_sample"]) < 20 for row in rows)
    for split in ("train", "validation"):
        (events,) = (tmp_path / "run" / "tensorboard" / split).iterdir()
        steps = {
            (value.tag, event.step)
            for event in tf.compat.v1.train.summary_iterator(str(events))
            for value in event.summary.value
        }
        assert {("bits_per_sample", 3), ("bits_per_sample", 7)} <= steps
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["steps"] == 7
    printed = capsys.readouterr().out
    assert "8 recordings, 4.0 s at 8000 Hz" in printed
    assert "8.00 is uniform guessing" in printed
    loaded = runs.load_model(tmp_path / "run")
    codes = np.arange(50, dtype=np.int32)[None]
    np.testing.assert_array_equal(loaded(codes), model(codes))


def test_a_killed_run_goes_on_from_its_last_checkpoint(recordings_dir, tmp_path):
    settings = settings_for(recordings_dir, steps=400)
    program = (
        "import json, sys; from wavenet_tf import runs; "
        "runs.train(runs.Settings(**json.loads(sys.argv[1])), sys.argv[2])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, json.dumps(vars(settings)), str(tmp_path / "killed")],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not runs.checkpoints(tmp_path / "killed"):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = int(runs.load_model(tmp_path / "killed").optimizer.iterations)
    assert 0 < done < 400
    shorter = settings_for(recordings_dir, steps=done + 5, schedule="constant")
    restarted = runs.train(shorter, tmp_path / "killed")
    assert int(restarted.optimizer.iterations) == done + 5
    assert (tmp_path / "killed" / "model.keras").exists()


def test_an_interrupted_run_ends_with_the_weights_of_one_that_was_not(recordings_dir, tmp_path):
    whole = runs.train(settings_for(recordings_dir, schedule="constant"), tmp_path / "whole")
    for steps in (3, 6):
        parts = runs.train(
            settings_for(recordings_dir, schedule="constant", steps=steps), tmp_path / "parts"
        )
    for weight, expected in zip(parts.weights, whole.weights, strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-6)
    with open(tmp_path / "parts" / "log.csv") as file:
        assert [float(row["update"]) for row in csv.DictReader(file)] == [3, 6]


def test_a_run_with_features_takes_their_statistics_and_keeps_them(recordings_dir, tmp_path):
    settings = settings_for(recordings_dir, features="energy,mel", steps=1)
    model = runs.train(settings, tmp_path / "run")
    assert model.features == ["energy", "mel"]
    assert model.upsampler.upsample_factors == [10, 10]
    training, _ = data.read_recordings(recordings_dir, 8000).split(0.1)
    frames = np.concatenate(training.with_features(["energy", "mel"], 100).features)
    np.testing.assert_allclose(model.upsampler.mean, frames.mean(axis=0), rtol=1e-4)
    longer = runs.train(
        settings_for(recordings_dir, features="energy,mel", steps=2), tmp_path / "run"
    )
    np.testing.assert_array_equal(longer.upsampler.mean, model.upsampler.mean)


def test_hop_lengths_are_split_in_two():
    assert [runs.upsample_factors(hop) for hop in (100, 200, 276, 7)] == [
        (10, 10),
        (10, 20),
        (12, 23),
        (1, 7),
    ]


def test_a_folder_with_fewer_speakers_keeps_their_ids(recordings_dir):
    settings = settings_for(recordings_dir, speakers="_(.)[.]wav")
    model = small_model(num_speakers=9, speaker_names=list("876543210"))
    recordings = runs.read_recordings(settings, model, recordings_dir)
    assert recordings.speaker_ids.tolist() == [8, 7, 6, 5, 4, 3, 2, 1]


def test_settings_of_a_run_are_remembered(recordings_dir, tmp_path):
    runs.train(settings_for(recordings_dir, steps=1), tmp_path / "run")
    again = runs.Settings.of_run(tmp_path / "run", steps=2, seed=None)
    assert again == settings_for(recordings_dir, steps=2)
    with pytest.raises(InputError, match="its preset is 'small', given was 'tiny'"):
        runs.Settings.of_run(tmp_path / "run", preset="tiny")
    with pytest.raises(InputError, match="data_dir must name"):
        runs.Settings.of_run(tmp_path / "new")
    with pytest.raises(InputError, match="batch_size must be above 0; received -3"):
        settings_for(recordings_dir, batch_size=-3)


def test_load_model_says_what_is_missing(tmp_path):
    with pytest.raises(InputError, match=r"no model directory at .*nowhere"):
        runs.load_model(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no model: expected model.keras or a checkpoint"):
        runs.load_model(tmp_path)
    (tmp_path / "model.keras").write_text("not a model")
    with pytest.raises(InputError, match=r"cannot read .*model.keras as a model"):
        runs.load_model(tmp_path)
    keras.Sequential([keras.Input([2]), keras.layers.Dense(1)]).save(tmp_path / "model.keras")
    with pytest.raises(InputError, match="holds a Sequential, not a WaveNet"):
        runs.load_model(tmp_path)


def test_scores_are_the_likelihood_of_each_clip_after_silence(recordings_dir):
    model = small_model()
    recordings = data.read_recordings(recordings_dir, 8000)
    scores = evaluation.score(model, recordings, batch_size=3, crop_seconds=0.06)
    assert scores.samples.tolist() == [4000] * 8
    for index in (0, 7):
        codes = model.distribution.encode(recordings.clip(index) / np.float32(32768))
        silence = np.full(model.receptive_field, 128, np.int32)
        logits = model(np.concatenate([silence, codes])[None, :-1])[0].numpy().astype(np.float64)
        logits = logits[model.receptive_field - 1 :]
        log_softmax = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        nats = -log_softmax[np.arange(4000), codes].sum()
        np.testing.assert_allclose(scores.nats[index], nats, rtol=1e-5)
    total = scores.nats.sum() / 32000 / np.log(2)
    np.testing.assert_allclose(scores.bits_per_sample, total)
    assert list(scores.bits_per_sample_by_name.values()) == sorted(scores.nats / 4000 / np.log(2))


def test_cosine_schedule_rises_then_falls():
    schedule = training.learning_rate_schedule("cosine", 0.01, 1000)
    rates = [float(schedule(step)) for step in range(1001)]
    assert np.argmax(rates) == 20
    np.testing.assert_allclose(max(rates), 0.01, rtol=1e-5)
    np.testing.assert_allclose(rates[10], 0.005, rtol=1e-5)
    np.testing.assert_allclose(rates[510], 0.01 * 0.505, rtol=1e-3)
    np.testing.assert_allclose(rates[1000], 0.0001, rtol=1e-3)
    constant = training.learning_rate_schedule("constant", 0.01, 1000)
    np.testing.assert_allclose([constant(step) for step in (0, 1, 999)], 0.01, rtol=1e-6)
    with pytest.raises(InputError, match="unknown schedule 'linear'"):
        training.learning_rate_schedule("linear", 0.01, 1000)
