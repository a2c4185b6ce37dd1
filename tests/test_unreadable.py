"""Recordings that turn out unreadable while a model trains, and runs in which nothing is scored."""

import dataclasses
import json
import math

import numpy as np
import pytest
import tensorflow as tf
from conftest import small_model

import wavenet_tf as wt
from wavenet_tf import data, evaluation, runs
from wavenet_tf.errors import InputError
from wavenet_tf.runs import memory

RATE = 8000


def write_corpus(folder, clips=6, seconds=0.5):
    for number in range(clips):
        samples = np.full(round(seconds * RATE), 0.1 + 0.05 * number)
        wt.write_audio(folder / f"{number}.wav", samples, RATE)
    return data.read_recordings(folder, RATE, in_memory_bytes=0)


def cut(folder, *numbers):
    """Cuts off all samples of some recordings; their headers still have the number of samples."""
    for number in numbers:
        path = folder / f"{number}.wav"
        path.write_bytes(path.read_bytes()[:44])


def clips_scored(batches):
    """How many crops of each clip are scored, by the clip's constant value."""
    counts = np.zeros(6, int)
    for inputs, targets, weights in batches:
        targets = np.asarray(targets)
        for row in range(len(targets)):
            if not weights[row].numpy().any():
                continue
            value = tf.cast(targets[row, -1], tf.int32)
            level = float(wt.audio.mu_law_decode(value[None])[0])
            counts[round((level - 0.1) / 0.05)] += 1
            if isinstance(inputs, dict) and "speaker_id" in inputs:
                assert int(inputs["speaker_id"][row]) == round((level - 0.1) / 0.05) % 2
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("balanced", [False, True])
def test_crops_of_unreadable_clips_go_to_the_others(tmp_path, balanced):
    recordings = write_corpus(tmp_path)
    ids = np.arange(6, dtype=np.int32) % 2
    recordings = dataclasses.replace(recordings, speaker_names=["a", "b"], speaker_ids=ids)
    model = small_model(num_speakers=2)
    cut(tmp_path, 1, 4)
    arguments = {"seed": 5, "balance_speakers": balanced}
    with pytest.warns(UserWarning, match="left out: ") as warned:
        batches = list(
            data.training_batches(recordings, model.crop_spec, 4, 0.1, **arguments).take(60)
        )
    counts = clips_scored(batches)
    assert counts.sum() == 240  # as many as if all could be read
    assert counts[1] == counts[4] == 0
    assert counts[[0, 2, 3, 5]].min() > 30
    assert sorted(recordings.unreadable) == ["1.wav", "4.wav"]
    assert len(warned) == 2  # once each
    assert recordings.unreadable_summary.startswith("left out: 2 recordings could not be read (")
    # A run that is resumed in the middle gets the same crops.
    again = data.training_batches(recordings, model.crop_spec, 4, 0.1, first_batch=7, **arguments)
    for batch, expected in zip(again.take(5), batches[7:], strict=False):
        tf.nest.map_structure(np.testing.assert_array_equal, batch, expected)


@pytest.mark.filterwarnings("ignore:left out")
def test_clips_whose_features_cannot_be_extracted_are_left_out_too(tmp_path):
    recordings = write_corpus(tmp_path)
    cut(tmp_path, 0)
    recordings = recordings.with_features(["energy"], 100)
    with pytest.warns(UserWarning, match="left out") as warned:
        assert len(recordings.sample_frames()) == 5 * 40
        model = small_model(local_channels=1, upsample_factors=(100,), features=["energy"])
        batches = list(data.training_batches(recordings, model.crop_spec, 4, 0.1).take(20))
    assert len(warned) == 1
    assert clips_scored(batches).tolist()[0] == 0
    assert clips_scored(batches).sum() == 80
    assert np.isfinite([batch[0]["local_conditioning"] for batch in batches]).all()
    cut(tmp_path, 1, 2, 3, 4, 5)
    with pytest.raises(InputError, match=r"no recording in .* can be read; 0.wav: "):
        dataclasses.replace(
            recordings, features=(), feature_names=(), hop_length=None
        ).with_features(["energy"], 100).sample_frames()


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.filterwarnings("ignore:left out")
def test_a_run_in_which_nothing_is_scored_is_an_error(tmp_path):
    recordings = write_corpus(tmp_path)
    training, validation = recordings.split(0.2)
    model = small_model()
    model.compile("adam")
    batches = data.training_batches(training, model.crop_spec, 2, 0.1)
    whole = data.evaluation_batches(validation, model.crop_spec, 2, 0.1)
    model.fit(batches, steps_per_epoch=1, validation_data=whole, verbose=0)
    cut(tmp_path, *(int(name[0]) for name in validation.names))
    with pytest.raises(InputError, match="no sample was scored in validation: every crop has wei"):
        model.fit(batches, steps_per_epoch=1, validation_data=whole, verbose=0)
    with pytest.raises(InputError, match=r"no sample could be scored: .*wav"):
        evaluation.score(model, validation)
    assert math.isnan(model.evaluate(whole, return_dict=True, verbose=0)["bits_per_sample"])
    cut(tmp_path, *range(6))
    with pytest.raises(InputError, match="no sample was scored in training"):
        model.fit(batches, steps_per_epoch=1, verbose=0)
    values = np.zeros([2, 30], np.int32)
    with pytest.raises(InputError, match="no sample was scored in training"):
        model.fit(values, values, sample_weight=np.zeros([2, 30], np.float32), verbose=0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:left out")
def test_scores_leave_out_what_cannot_be_read(tmp_path):
    recordings = write_corpus(tmp_path)
    cut(tmp_path, 3)
    scores = evaluation.score(small_model(), recordings)
    assert np.isfinite(scores.bits_per_sample)
    assert sorted(scores.bits_per_sample_by_name) == [f"{n}.wav" for n in (0, 1, 2, 4, 5)]
    json.dumps(scores.bits_per_sample_by_name, allow_nan=False)


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.filterwarnings("ignore:left out")
def test_a_run_names_what_it_could_not_read_and_caps_its_crops(tmp_path, monkeypatch, capsys):
    write_corpus(tmp_path / "r")
    preset = {"num_stacks": 1, "layers_per_stack": 3, "sample_rate": RATE}
    settings = runs.Settings(
        data_dir=str(tmp_path / "r"),
        preset="tiny",
        overrides=preset,
        steps=2,
        batch_size=2,
        crop_seconds=1000.0,
        tensorboard_audio=0.0,
    )
    cut_path = tmp_path / "r" / "2.wav"
    whole = cut_path.read_bytes()
    read = data.read_recordings

    def read_lazily(*arguments):
        recordings = read(*arguments, in_memory_bytes=0)
        cut_path.write_bytes(whole[:44])  # after its header was read
        return recordings

    monkeypatch.setattr(data, "read_recordings", read_lazily)
    runs.train(settings, tmp_path / "run")
    printed = capsys.readouterr().out
    assert "crops of 0.50 s, the longest recording to train on, in place of 1000 s" in printed
    assert "left out: 1 recordings could not be read (2.wav: " in printed
    # What takes more memory than there is, is refused before the first step.
    cut_path.write_bytes(whole)
    monkeypatch.setattr(memory, "total_memory", lambda: 10**6)
    refused = r"2 crops of 0.5 s takes at least 0.0 GiB of memory, and there are 0.0 GiB: lower b"
    for start in (lambda: runs.train(settings, tmp_path / "new"), lambda: runs.estimate(settings)):
        with pytest.raises(InputError, match=refused):
            start()
    assert not (tmp_path / "new" / "settings.json").exists()


def test_the_estimate_of_memory_grows_with_what_is_kept():
    assert memory.total_memory() > 2**20
    model, deeper = small_model(), small_model(num_stacks=4)
    few, many = (
        memory.min_step_memory(model, n, 8000, gradient_checkpointing=False) for n in (1, 3)
    )
    assert many == 3 * few
    # At least a float for each input and each gated activation of each block.
    assert few > 6 * 8000 * 4 * (8 + 6)
    assert memory.min_step_memory(deeper, 1, 8000, gradient_checkpointing=False) > few
    assert memory.min_step_memory(model, 1, 8000, gradient_checkpointing=True) < few


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("batch_size", [0, -1, 1.5, math.nan, None, "4", True]),
        ("crop_seconds", [0.0, -1.0, math.nan, math.inf, None, "1", 1e-9]),
        ("seed", [-1, 2**32, 2**40, 0.5, 1.0, math.nan, None, "0"]),
        ("validation_fraction", [0.0, 1.0, -0.1, math.nan, None, "0.1"]),
    ],
)
def test_arguments_out_of_range_are_errors_that_name_them(tmp_path, name, values):
    recordings = write_corpus(tmp_path, clips=2, seconds=0.1)
    model = small_model()
    for value in values:
        arguments = {"batch_size": 2, "crop_seconds": 0.1, "seed": 0, name: value}
        calls = [lambda a=arguments: wt.audio_datasets(tmp_path, model, **a)]
        if name != "validation_fraction":
            calls.append(
                lambda a=arguments: data.training_batches(recordings, model.crop_spec, **a)
            )
            arguments = {key: arguments[key] for key in ("batch_size", "crop_seconds")}
            if name != "seed":
                calls.append(
                    lambda a=arguments: data.evaluation_batches(recordings, model.crop_spec, **a)
                )
                calls.append(lambda a=arguments: evaluation.score(model, recordings, **a))
        for call in calls:
            with pytest.raises(InputError, match=f"{name} must .* received"):
                call()


@pytest.mark.slow
def test_whole_numbers_of_any_type_are_seeds_and_batch_sizes(tmp_path):
    recordings = write_corpus(tmp_path)
    model = small_model()
    expected = list(data.training_batches(recordings, model.crop_spec, 2, 0.1, 2**32 - 1).take(2))
    for seed, batch_size in ((np.uint32(2**32 - 1), np.int64(2)), (np.int64(2**32 - 1), 2.0)):
        again = data.training_batches(
            recordings, model.crop_spec, batch_size, np.float32(0.1), seed
        ).take(2)
        for batch, other in zip(again, expected, strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, batch, other)


def test_features_in_memory_are_extracted_in_threads(tmp_path, monkeypatch, capsys):
    """In the recordings' order; on a terminal, with a progress bar where it takes long."""
    recordings = write_corpus(tmp_path)
    one_by_one = [
        wt.audio.extract_features(recordings.waveform(n), RATE, 100, ["mel"]) for n in range(6)
    ]
    monkeypatch.setattr("wavenet_tf.data.parallel.PROGRESS_AFTER_SECONDS", 0.0)
    for terminal in (False, True):
        monkeypatch.setattr("sys.stdout.isatty", lambda answer=terminal: answer)
        features = recordings.with_features(["mel"], 100).features
        assert isinstance(features, list)
        for frames, expected in zip(features, one_by_one, strict=True):
            np.testing.assert_array_equal(frames, expected)
        assert ("6/6" in capsys.readouterr().out) == terminal
