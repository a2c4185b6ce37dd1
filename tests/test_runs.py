import csv
import dataclasses
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, SMALL, small_model
from programs import Program

from wavenet_tf import data, evaluation, runs, training
from wavenet_tf.errors import InputError
from wavenet_tf.model_directory.log import cut_log
from wavenet_tf.model_directory.model_files import find_model
from wavenet_tf.runs.checkpointing import WriteCheckpoint, save
from wavenet_tf.runs.interruption import SIGNALS, delayed_interruption


def settings_for(recordings_dir, **changes):
    return runs.Settings(
        **{
            "data_dir": str(recordings_dir),
            "overrides": {**SMALL, "num_stacks": 1},
            "steps": 6,
            "steps_per_validation": 3,
            "crop_seconds": 0.05,
            "tensorboard_audio": 0.0,
            "validation_crops": 8,
            **changes,
        }
    )


@pytest.mark.slow
def test_a_run_leaves_model_checkpoints_logs_and_settings(recordings_dir, tmp_path, capsys):
    model = runs.train(settings_for(recordings_dir, steps=7, checkpoints_kept=2), tmp_path / "run")
    assert int(model.optimizer.iterations) == 7
    names = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    best = runs.best_validation(tmp_path / "run").step
    kept = {f"step_{step:08d}.keras" for step in {6, 7, best}}
    assert names == kept
    with open(tmp_path / "run" / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["step"]) for row in rows] == [3, 6, 7]
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
    future = time.time() + 1000
    os.utime(runs.checkpoints(tmp_path / "run")[0], (future, future))  # archives change file times
    loaded = runs.load_model(tmp_path / "run", verbose=True)
    assert capsys.readouterr().out == "loaded model.keras of step 7\n"
    codes = np.arange(50, dtype=np.int32)[None]
    np.testing.assert_array_equal(loaded(codes), model(codes))
    earlier = runs.load_model(tmp_path / "run", step=6, verbose=True)
    assert capsys.readouterr().out == "loaded the checkpoint of step 6\n"
    save(earlier, tmp_path / "run" / "model.keras")
    os.utime(tmp_path / "run" / "model.keras", (future, future))
    loaded = runs.load_model(tmp_path / "run", verbose=True)
    assert capsys.readouterr().out == "loaded the checkpoint of step 7\n"
    np.testing.assert_array_equal(loaded(codes), model(codes))


@pytest.mark.slow
@pytest.mark.once
def test_a_killed_run_resumes_from_its_last_checkpoint(recordings_dir, tmp_path):
    settings = settings_for(recordings_dir, steps=400)
    process = start_training(settings, tmp_path / "killed")
    deadline = time.monotonic() + 120
    while not runs.checkpoints(tmp_path / "killed"):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate()
    done = int(runs.load_model(tmp_path / "killed").optimizer.iterations)
    assert 0 < done < 400
    shorter = settings_for(recordings_dir, steps=done + 5, schedule="constant")
    restarted = runs.train(shorter, tmp_path / "killed")
    assert int(restarted.optimizer.iterations) == done + 5
    assert (tmp_path / "killed" / "model.keras").exists()


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_weights_of_one_that_was_not(recordings_dir, tmp_path):
    whole = runs.train(settings_for(recordings_dir, schedule="constant"), tmp_path / "whole")
    for steps in (3, 6):
        parts = runs.train(
            settings_for(recordings_dir, schedule="constant", steps=steps), tmp_path / "parts"
        )
    for weight, expected in zip(parts.weights, whole.weights, strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-6)
    with open(tmp_path / "parts" / "log.csv") as file:
        assert [float(row["step"]) for row in csv.DictReader(file)] == [3, 6]


@pytest.mark.slow
@pytest.mark.once
def test_a_run_with_features_computes_their_statistics_once(recordings_dir, tmp_path):
    settings = settings_for(recordings_dir, features="energy,mel", steps=1)
    model = runs.train(settings, tmp_path / "run")
    assert model.config.features == ("energy", "mel")
    assert model.trunk.upsampler.upsample_factors == [10, 10]
    training, _ = data.read_recordings(recordings_dir, 8000).split(0.1)
    frames = np.concatenate(training.with_features(["energy", "mel"], 100).features)
    np.testing.assert_allclose(model.trunk.upsampler.mean, frames.mean(axis=0), rtol=1e-4)
    longer = runs.train(
        settings_for(recordings_dir, features="energy,mel", steps=2), tmp_path / "run"
    )
    np.testing.assert_array_equal(longer.trunk.upsampler.mean, model.trunk.upsampler.mean)


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
    recordings = runs.read_run_recordings(settings, model, recordings_dir)
    assert recordings.speaker_ids.tolist() == [8, 7, 6, 5, 4, 3, 2, 1]


@pytest.mark.slow
@pytest.mark.once
def test_settings_of_a_run_are_stored(recordings_dir, tmp_path):
    runs.train(settings_for(recordings_dir, steps=1), tmp_path / "run")
    again = runs.Settings.from_run(tmp_path / "run", steps=2, seed=None)
    assert again == settings_for(recordings_dir, steps=2)
    other = runs.Settings.from_run(tmp_path / "run", preset="tiny")
    with pytest.raises(InputError, match="its preset is 'small', given was 'tiny'"):
        runs.train(other, tmp_path / "run")
    assert runs.Settings.from_run(tmp_path / "run").preset == "small"
    for path in runs.checkpoints(tmp_path / "run"):
        path.unlink()
    runs.train(other, tmp_path / "run")
    assert runs.Settings.from_run(tmp_path / "run").preset == "tiny"
    for text in ("{", '{"data_dir": "x", "epochs": 3}'):
        (tmp_path / "run" / "settings.json").write_text(text)
        with pytest.raises(InputError, match=r"cannot .* the settings in"):
            runs.Settings.from_run(tmp_path / "run")
    with pytest.raises(InputError, match="data_dir must name"):
        runs.Settings.from_run(tmp_path / "new")
    for path, reason in (
        (recordings_dir / "tone_0.wav", "File exists"),
        ("/dev/null/run", "Not a"),
    ):
        with pytest.raises(InputError, match=rf"model_dir must be .* received {path} \({reason}"):
            runs.train(settings_for(tmp_path / "missing"), path)
    for changes, message in (
        ({"schedule": "linear"}, "unknown schedule 'linear': expected one of cosine, exp"),
        ({"validation_fraction": 1.5}, "validation_fraction must be between 0 and 1; rec.* 1.5"),
        (
            {"overrides": {"num_speakers": 6}},
            r"contain num_speakers=6: set speakers \(--sp",
        ),
        ({"overrides": {"global_channels": 2}}, "global_channels=2: set tags"),
    ):
        with pytest.raises(InputError, match=message):
            settings_for(recordings_dir, **changes)
    with pytest.raises(InputError, match=r"batch_size must be a whole number .* received -3"):
        settings_for(recordings_dir, batch_size=-3)
    for seed in (-1, 2**32, 0.5, True):
        with pytest.raises(InputError, match=f"seed must be .* 0 to 4294967295; received {seed}"):
            settings_for(recordings_dir, seed=seed)


@pytest.mark.once
@pytest.mark.slow
def test_a_run_resumes_from_another_working_directory(recordings_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs.train(settings_for("recordings", steps=1), "run")
    monkeypatch.chdir(recordings_dir)
    settings = runs.Settings.from_run("../run", steps=2)
    assert settings.data_dir == str(recordings_dir)
    recordings_dir.rename(tmp_path / "moved")
    message = rf"were in {recordings_dir}, which is not there: set data_dir \(--data_dir\)"
    with pytest.raises(InputError, match=message):
        runs.Settings.from_run(tmp_path / "run")
    moved = runs.Settings.from_run(tmp_path / "run", steps=2, data_dir=str(tmp_path / "moved"))
    assert int(runs.train(moved, tmp_path / "run").optimizer.iterations) == 2
    for path in runs.checkpoints(tmp_path / "run"):
        path.unlink()
    with pytest.warns(UserWarning, match="holds model.keras but no checkpoint to resume from"):
        runs.train(dataclasses.replace(moved, steps=1), tmp_path / "run")


def test_load_model_raises_if_there_is_no_model(tmp_path):
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


def test_the_model_of_the_last_step_is_found_whatever_the_file_times(tmp_path):
    with pytest.raises(InputError, match="no model directory"):
        find_model(tmp_path / "file")
    (tmp_path / "checkpoints").mkdir()
    # The file of the last step is the oldest. The other names are those of copies.
    names = ["step_100000000", "step_00000009", "step_00000100 (1)", "step_copy"]
    for age, name in enumerate(names):
        path = tmp_path / "checkpoints" / f"{name}.keras"
        path.write_bytes(b"")
        os.utime(path, (age, age))
    last = tmp_path / "checkpoints" / "step_100000000.keras"
    assert find_model(tmp_path) == runs.checkpoints(tmp_path)[-1] == last
    assert find_model(tmp_path, 9).name == "step_00000009.keras"
    final = tmp_path / "model.keras"
    for entry, expected in (
        ({"step": 99999999, "batches": None, "metrics": None}, last),
        ({"step": 100000000}, final),
        ({"step": 100000001}, final),
    ):
        with zipfile.ZipFile(final, "w") as archive:
            archive.writestr("position.json", json.dumps(entry))
        assert find_model(tmp_path) == expected
    with zipfile.ZipFile(final, "w"):
        pass
    with pytest.warns(UserWarning, match="does not state its step; .* of step 100000000"):
        assert find_model(tmp_path) == final


@pytest.mark.slow
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


PROGRAM = Path(__file__).with_name("one_run.py")


def start_training(settings, model_dir) -> Program:
    """Starts a process that trains."""
    return Program([PROGRAM, json.dumps(vars(settings)), model_dir])


def state(model_dir):
    """Returns every number of the last checkpoint, and the log."""
    model = keras.models.load_model(runs.checkpoints(model_dir)[-1])
    values = [*model.weights, *model.optimizer.variables]
    return [np.asarray(value) for value in values], (model_dir / "log.csv").read_text()


def assert_same_run(model_dir, other):
    (values, log), (expected, expected_log) = state(model_dir), state(other)
    assert len(values) == len(expected) > 40
    for value, wanted in zip(values, expected, strict=True):
        np.testing.assert_array_equal(value, wanted)
    assert log == expected_log


@pytest.mark.slow
@pytest.mark.once
def test_kills_at_any_moment_change_nothing_bit_by_bit(recordings_dir, tmp_path):
    settings = settings_for(
        recordings_dir,
        steps=150,
        steps_per_validation=5,
        deterministic=True,
        ema_decay=0.9,
        weight_decay=0.01,
        validation_crops=4,
    )
    whole = start_training(settings, tmp_path / "whole")
    assert whole.communicate(timeout=300) and whole.returncode == 0
    generator = np.random.default_rng(0)
    kills, folder = 0, tmp_path / "killed"
    while kills < 5:
        before = runs.checkpoints(folder)[-1:]
        process = start_training(settings, folder)
        deadline = time.monotonic() + 120
        # Kills some time after a new checkpoint: in a step, a validation or a write.
        while time.monotonic() < deadline and process.poll() is None:
            if runs.checkpoints(folder)[-1:] != before:
                break
            time.sleep(0.001)
        time.sleep(generator.uniform(0.0, 0.15))
        assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()
        kills += 1
    done = int(runs.load_model(folder).optimizer.iterations)
    assert 20 < done < 150
    last = start_training(settings, folder)
    _, errors = last.communicate(timeout=300)
    assert last.returncode == 0, errors
    assert_same_run(folder, tmp_path / "whole")


# Each signal arrives during the first step of `fit`, which is always completed.
INTERRUPTED = """
import json, os, signal, sys, threading, time
from pathlib import Path
from wavenet_tf import runs

def interrupt(number):
    while signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
        time.sleep(0.001)
    os.kill(os.getpid(), number)

settings, (whole, parts) = runs.Settings(**json.loads(sys.argv[1])), sys.argv[2:]
runs.train(settings, whole)
for number in (signal.SIGINT, signal.SIGTERM):
    threading.Thread(target=interrupt, args=[number]).start()
    try:
        runs.train(settings, parts)
    except (KeyboardInterrupt, SystemExit) as error:
        print("ended:", repr(error), [path.name for path in runs.checkpoints(Path(parts))])
runs.train(settings, parts)
"""


@pytest.mark.once
@pytest.mark.slow
def test_interruptions_leave_a_checkpoint_and_change_nothing_bit_by_bit(recordings_dir, tmp_path):
    settings = settings_for(
        recordings_dir, steps=4, steps_per_validation=2, deterministic=True, ema_decay=0.9
    )
    command = [sys.executable, "-c", INTERRUPTED, json.dumps(vars(settings))]
    command += [tmp_path / "whole", tmp_path / "parts"]
    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
    ends = [line for line in ran.stdout.splitlines() if line.startswith("ended")]
    assert ends == [
        "ended: KeyboardInterrupt() ['step_00000001.keras']",
        # Step 2 ends an epoch, which is validated first.
        "ended: SystemExit(143) ['step_00000001.keras', 'step_00000002.keras', "
        "'step_00000003.keras']",
    ]
    assert "checkpoint of step 3 written: the same command resumes from it" in ran.stdout
    assert ran.stderr.count("interrupted: a checkpoint is written after this step") == 2
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


def test_only_the_main_thread_delays_interruptions_and_restores_how_they_act():
    before = [signal.getsignal(number) for number in SIGNALS]
    with delayed_interruption() as interruption:
        assert [signal.getsignal(number) for number in SIGNALS] != before
        signal.raise_signal(signal.SIGINT)
        assert interruption.signal == signal.SIGINT
        assert [signal.getsignal(number) for number in SIGNALS] == before
    with pytest.raises(KeyboardInterrupt), delayed_interruption():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    def enter() -> list:
        with delayed_interruption():
            return [signal.getsignal(number) for number in SIGNALS]

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(enter).result() == before
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert enter()[1] == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before[1])


@pytest.mark.once
@pytest.mark.slow
def test_a_corrupted_checkpoint_is_renamed_and_the_one_before_it_resumed(recordings_dir, tmp_path):
    settings = settings_for(recordings_dir, deterministic=True)
    whole, corrupted = tmp_path / "whole", tmp_path / "corrupted"
    for folder in (whole, corrupted):
        process = start_training(settings, folder)
        assert process.communicate(timeout=120) and process.returncode == 0
    path = runs.checkpoints(corrupted)[-1]
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2 :] = bytes(len(contents) - len(contents) // 2)
    path.write_bytes(contents)
    process = start_training(settings, corrupted)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "going back to the checkpoint before it" in errors
    assert_same_run(corrupted, whole)
    assert path.with_name(f"{path.name}.corrupted").read_bytes() == contents
    for path in runs.checkpoints(corrupted):
        path.write_text("nothing")
    with pytest.warns(UserWarning), pytest.raises(InputError, match="none of the checkpoints in"):
        runs.train(settings, corrupted)


@pytest.mark.once
@pytest.mark.slow
def test_a_full_disk_is_an_error_after_which_the_run_resumes(recordings_dir, tmp_path):
    """The system refuses to let files grow, as a full disk does."""
    settings = settings_for(recordings_dir, steps=4, steps_per_validation=2)
    limited = (
        "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000)); "
        f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"
    )
    command = [
        sys.executable,
        "-c",
        limited,
        json.dumps(vars(settings)),
        tmp_path / "run",
    ]
    full = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert full.returncode == 1
    assert "OSError" in full.stderr.strip().splitlines()[-1], full.stderr
    assert not list((tmp_path / "run" / "checkpoints").iterdir())
    assert int(runs.train(settings, tmp_path / "run").optimizer.iterations) == 4


@pytest.mark.slow
@pytest.mark.once
def test_ema_weights_are_validated_and_generate(recordings_dir, tmp_path):
    settings = settings_for(
        recordings_dir, ema_decay=0.7, steps=5, steps_per_validation=1, checkpoints_kept=9
    )
    final = runs.train(settings, tmp_path)
    average = None
    for path in runs.checkpoints(tmp_path):
        model = keras.models.load_model(path)  # without EMA
        weights = [np.asarray(weight) for weight in model.trainable_weights]
        if average is None:
            average = weights
        average = [0.7 * a + 0.3 * w for a, w in zip(average, weights, strict=True)]
    for weight, expected in zip(final.trainable_weights, average, strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-6)
    assert (
        np.abs(
            np.concatenate([np.ravel(a - w) for a, w in zip(average, weights, strict=True)])
        ).max()
        > 1e-3
    )
    for step in ("last", 5):
        loaded = runs.load_model(tmp_path, step)
        for weight, expected in zip(loaded.trainable_weights, average, strict=True):
            np.testing.assert_allclose(weight, expected, atol=1e-6)
    _, validation = data.read_recordings(recordings_dir, 8000).split(0.1)
    crops = data.evaluation_batches(validation, final.crop_spec, 4, settings.crop_seconds)
    batches = crops.take(settings.validation_crops // 4)
    bits = final.evaluate(batches, return_dict=True, verbose=0)["bits_per_sample"]
    with open(tmp_path / "log.csv") as file:
        logged = float(list(csv.DictReader(file))[-1]["val_bits_per_sample"])
    np.testing.assert_allclose(bits, logged, rtol=1e-5)


def test_the_best_checkpoint_is_kept_and_patience_ends_training(tmp_path, capsys):
    model = small_model()
    model.compile("adam")
    callback = WriteCheckpoint(tmp_path, kept=1, patience=2)
    callback.set_model(model)
    log = "step,val_bits_per_sample\n"
    for step, bits in ((1, 5.0), (2, 4.0), (3, 4.5), (4, 4.2)):
        assert not getattr(model, "stop_training", False)
        if step in (1, 3):  # a resumed run, which was killed after it wrote the last line
            (tmp_path / "log.csv").write_text(f"{log}{step + 4},3.0\n")
            callback.on_train_begin()
        model.optimizer.iterations.assign(step)
        log += f"{step},{bits}\n"
        (tmp_path / "log.csv").write_text(log)
        callback.on_epoch_end(step, {"val_bits_per_sample": bits})
    assert model.stop_training
    assert "no better validation since step 2 (4.0000 bits per sample)" in capsys.readouterr().out
    steps = [int(path.stem.split("_")[1]) for path in runs.checkpoints(tmp_path)]
    assert steps == [2, 4]
    (tmp_path / "log.csv").write_text(f"{log}5,3.0\n")  # its checkpoint is still being written
    assert int(runs.load_model(tmp_path, "best").optimizer.iterations) == 2
    assert int(runs.load_model(tmp_path).optimizer.iterations) == 4
    assert int(runs.load_model(tmp_path, "last").optimizer.iterations) == 4
    for step, message in ((3, "no checkpoint of step 3; there are 2, 4"), ("first", "'first'")):
        with pytest.raises(InputError, match=message):
            runs.load_model(tmp_path, step)


@pytest.mark.slow
@pytest.mark.once
def test_accumulated_gradients_are_those_of_a_larger_batch(recordings_dir, tmp_path):
    arguments = {"validation_fraction": 0.2, "crop_seconds": 0.1, "steps": 3}
    arguments |= {"schedule": "constant", "learning_rate": 0.01}
    whole = runs.train(settings_for(recordings_dir, batch_size=4, **arguments), tmp_path / "whole")
    parts = settings_for(recordings_dir, batch_size=2, gradient_accumulation=2, **arguments)
    model = runs.train(parts, tmp_path / "parts")
    assert int(model.optimizer.iterations) == 3
    for weight, expected in zip(model.weights, whole.weights, strict=True):
        np.testing.assert_allclose(weight, expected, atol=2e-5)
    longer = runs.train(dataclasses.replace(parts, steps=4), tmp_path / "parts")
    assert int(longer.optimizer.iterations) == 4


@pytest.mark.slow
@pytest.mark.once
def test_accumulation_changes_neither_the_learning_rate_nor_the_ema_decay_per_step(
    recordings_dir, tmp_path
):
    settings = settings_for(
        recordings_dir,
        steps=6,
        steps_per_validation=1,
        checkpoints_kept=9,
        gradient_accumulation=3,
        ema_decay=0.7,
    )
    final = runs.train(settings, tmp_path)
    rate = training.learning_rate_schedule("cosine", settings.learning_rate, 6)
    np.testing.assert_allclose(
        runs.read_log(tmp_path)["learning_rate"], [float(rate(n)) for n in range(1, 7)], rtol=1e-5
    )
    weights = [keras.models.load_model(path).get_weights() for path in runs.checkpoints(tmp_path)]
    # Within a step the average approaches the weights before it.
    momentum, average = 0.7 ** (1 / 3), weights[0]
    for before, after in itertools.pairwise(weights):
        average = [
            0.7 * a + momentum * (1 - momentum**2) * b + (1 - momentum) * w
            for a, b, w in zip(average, before, after, strict=True)
        ]
    for weight, expected in zip(final.get_weights(), average, strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.once
def test_batches_whose_gradients_overflow_are_no_steps(recordings_dir, tmp_path):
    settings = settings_for(
        recordings_dir,
        overrides=SMALL,  # where the last batch before the middle does not overflow
        precision="mixed_float16",
        deterministic=True,
        schedule="constant",
        steps=3,
    )
    model = runs.train(settings, tmp_path / "whole")
    model.optimizer.dynamic_scale.assign(2.0**30)
    save(model, runs.checkpoints(tmp_path / "whole")[-1], batches=3)
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    longer = dataclasses.replace(settings, steps=9)
    model = runs.train(longer, tmp_path / "whole")
    assert int(model.optimizer.iterations) == 9
    steps = runs.read_log(tmp_path / "whole")["step"].tolist()
    assert steps[0] == 3 and steps[1] < 6 and steps[-1] == 9
    middle = next(step for step in steps if 3 < step < 9)
    runs.train(dataclasses.replace(settings, steps=int(middle)), tmp_path / "parts")
    runs.train(longer, tmp_path / "parts")
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


@pytest.mark.slow
def test_a_run_that_is_over_only_writes_its_model_again(recordings_dir, tmp_path, capsys):
    settings = settings_for(
        recordings_dir, ema_decay=0.9, steps=30, patience=1, learning_rate=0.3, schedule="constant"
    )
    runs.train(settings, tmp_path)
    ended = capsys.readouterr().out.splitlines()[-1]
    assert ended.startswith("no better validation since step")
    stopped = runs.read_log(tmp_path)["step"].max()
    assert stopped < 30
    for steps in (30, int(stopped)):  # ended by patience, and at its last step
        expected = keras.models.load_model(tmp_path / "model.keras").get_weights()
        (tmp_path / "model.keras").unlink()
        (tmp_path / ".model-killed.keras").touch()
        model = runs.train(dataclasses.replace(settings, steps=steps), tmp_path)
        if steps == 30:
            assert capsys.readouterr().out.splitlines()[-1] == ended
        assert runs.read_log(tmp_path)["step"].max() == stopped
        saved = keras.models.load_model(tmp_path / "model.keras").get_weights()
        for weight, kept, wanted in zip(model.get_weights(), saved, expected, strict=True):
            np.testing.assert_array_equal(weight, wanted)
            np.testing.assert_array_equal(kept, wanted)
        assert not list(tmp_path.glob(".*"))


def test_an_incomplete_line_of_the_log_is_ignored(tmp_path):
    lines = "val_bits_per_sample,step\n5.0,3\nnan,6\n4.0,9\n4.5,12\n4.4,15\n3.0,1"
    (tmp_path / "log.csv").write_text(lines)  # the incomplete step is 18
    assert runs.read_log(tmp_path)["step"].tolist() == [3, 6, 9, 12, 15]
    assert runs.best_validation(tmp_path) == runs.BestValidation(9, 4.0, 2)
    assert runs.best_validation(tmp_path, last_step=6) == runs.BestValidation(3, 5.0, 1)
    assert runs.best_validation(tmp_path, last_step=2) is None
    cut_log(tmp_path, 9)
    assert (tmp_path / "log.csv").read_text() == lines[: lines.index("4.5")]


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_runs_in_half_precision_resume(recordings_dir, tmp_path, precision):
    settings = settings_for(recordings_dir, precision=precision, ema_decay=0.5, steps=2)
    runs.train(settings, tmp_path)
    model = runs.train(dataclasses.replace(settings, steps=4), tmp_path)
    assert int(model.optimizer.iterations) == 4
    assert model.trunk.stack.blocks[0].compute_dtype == precision.removeprefix("mixed_")
    assert runs.load_model(tmp_path).head.output_convolution.compute_dtype == "float32"


@pytest.mark.slow
@pytest.mark.once
def test_gradient_checkpointing_does_not_change_training(recordings_dir, tmp_path):
    settings = settings_for(recordings_dir, steps=3, schedule="constant")
    model = runs.train(settings, tmp_path / "plain")
    again = dataclasses.replace(settings, gradient_checkpointing=True)
    runs.train(dataclasses.replace(again, steps=2), tmp_path / "again")
    for weight, expected in zip(
        runs.train(again, tmp_path / "again").weights, model.weights, strict=True
    ):
        np.testing.assert_allclose(weight, expected, atol=1e-6)


@pytest.mark.slow
def test_an_estimate_writes_nothing(recordings_dir, tmp_path):
    text = runs.estimate(settings_for(recordings_dir, steps=1000))
    for line in ("8,002 parameters", "receptive field 9 samples (1 ms)", "memory      ", "GiB"):
        assert line in text
    assert "for 1,000 steps of " in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recordings"]
