"""A further speaker of a trained model: what changes, what stays, and what is refused."""

import numpy as np
import pytest
from conftest import SMALL, run_program, small_model, tone

import wavenet_tf as wt
from wavenet_tf import models, runs
from wavenet_tf.errors import InputError

NAMES = ["ana", "ben"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of two speakers, and recordings of them, of a third, and of two further ones."""
    folder = tmp_path_factory.mktemp("adaptation")
    for index in range(8):
        frequency = 300.0 + 300.0 * (index % 2) + 5.0 * index
        path = folder / "old" / f"{NAMES[index % 2]}_{index}.wav"
        wt.write_audio(path, tone(0.2, frequency=frequency), 8000)
        wt.write_audio(folder / "cy" / f"{index}.wav", tone(0.2, frequency=900.0 + index), 8000)
        wt.write_audio(folder / "two" / f"{'de'[index % 2]}_{index}.wav", tone(0.2), 8000)
    settings = runs.Settings(
        str(folder / "old"),
        overrides=SMALL,
        speakers="([a-z]+)_",
        steps=300,
        steps_per_validation=300,
        crop_seconds=0.1,
        learning_rate=0.02,
        validation_fraction=0.3,
        tensorboard_audio=0.0,
    )
    runs.train(settings, folder / "base")
    return folder


def adaptation(folder, **changes):
    arguments = {
        "data_dir": str(folder / "cy"),
        "adapt_from": str(folder / "base"),
        "steps": 40,
        "steps_per_validation": 20,
        "learning_rate": 0.1,
        "crop_seconds": 0.1,
        "tensorboard_audio": 0.0,
        "validation_fraction": 0.3,
    }
    return runs.Settings(**{**arguments, **changes})


def assert_others_unchanged(adapted, base):
    for new, old in zip(adapted.weights, base.weights, strict=True):
        rows = len(NAMES) if new.path.endswith("speaker_embedding/embeddings") else None
        np.testing.assert_array_equal(new.numpy()[:rows], old.numpy())
    for speaker in range(len(NAMES)):
        expected = base.generate(200, speaker_id=speaker, seed=1)
        np.testing.assert_array_equal(adapted.generate(200, speaker_id=speaker, seed=1), expected)


@pytest.mark.slow
@pytest.mark.once
def test_only_the_row_of_the_new_speaker_is_learned(folder):
    base = runs.load_model(folder / "base")
    runs.train(adaptation(folder, steps=20), folder / "adapted")
    runs.train(adaptation(folder), folder / "adapted")  # resumed
    adapted = runs.load_model(folder / "adapted")
    assert adapted.config.speaker_names == ("ana", "ben", "cy")
    assert adapted.trained == "speaker_embedding" and adapted.optimizer.iterations == 40
    assert_others_unchanged(adapted, base)
    row = adapted.trunk.speaker_embedding.embeddings.numpy()
    assert np.abs(row[2] - row[:2].mean(axis=0)).max() > 0.05
    bits = runs.read_log(folder / "adapted")["val_bits_per_sample"]
    start = models.add_speaker(base, "cy")
    recordings = runs.recordings_from_run(folder / "adapted", adapted, folder / "cy", "validation")
    before = wt.evaluation.score(start, recordings).bits_per_sample
    after = wt.evaluation.score(adapted, recordings).bits_per_sample
    assert after < before - 0.01
    np.testing.assert_allclose(bits[-1], after, rtol=1e-3)
    # The recordings of the others are found by the rule of the adapted model's run.
    old = runs.recordings_from_run(folder / "adapted", adapted, folder / "old")
    assert list(old.speaker_names) == ["ana", "ben", "cy"]
    assert sorted(set(old.speaker_ids.tolist())) == [0, 1]


@pytest.mark.slow
@pytest.mark.once
def test_all_weights_are_adapted_after_the_row(folder):
    result = run_program(
        "train.py",
        f"--adapt_from={folder / 'base'}",
        f"--data_dir={folder / 'cy'}",
        f"--model_dir={folder / 'all'}",
        "--adapt_all",
        "--steps=4",
        "--crop_seconds=0.1",
        "--tensorboard_audio=0",
    )
    assert result.returncode == 0, result.stderr
    assert "--speaker cy" in result.stdout
    row = runs.load_model(folder / "all" / "speaker_embedding")
    adapted = runs.load_model(folder / "all")
    assert_others_unchanged(row, runs.load_model(folder / "base"))
    assert adapted.trained == "all"
    changes = [
        np.abs(new.numpy() - old.numpy()).max()
        for new, old in zip(adapted.weights, row.weights, strict=True)
    ]
    assert 0.0 < max(changes) < 5 * 2e-4  # 4 steps of Adam at the low rate


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_dir": "two", "speakers": "(.)_"}, "one new speaker; .* has 2: d, e"),
        ({"data_dir": "old"}, "one new speaker; .* has 2: ana, ben"),
        ({"adapt_from": "without"}, "no named speakers"),
    ],
)
def test_corpora_and_models_that_do_not_fit_are_refused(folder, changes, message, tmp_path):
    if not (folder / "without").exists():
        model = small_model()
        model.compile("adam")
        (folder / "without").mkdir()
        model.save(folder / "without" / "model.keras")
    paths = {
        name: str(folder / value) if name != "speakers" else value
        for name, value in changes.items()
    }
    with pytest.raises(InputError, match=message):
        runs.train(adaptation(folder, **paths), tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"adapt_from": None, "adapt_all": True}, "adapt_all needs adapt_from"),
        ({"overrides": {"kernel_size": 3}}, "overrides cannot be set with adapt_from"),
        ({"preset": "tiny"}, "preset cannot be set with adapt_from; received 'tiny'"),
        ({"precision": "mixed_float16"}, "precision cannot be set with adapt_from"),
        ({"ema_decay": 0.99}, "ema_decay cannot be set with adapt_from; received 0.99"),
        ({"task": "classify", "classes": "folder"}, "task cannot be set with adapt_from"),
    ],
)
def test_settings_of_the_adapted_model_cannot_be_set(folder, changes, message):
    with pytest.raises(InputError, match=message):
        adaptation(folder, **changes)


def test_names_and_parts_are_checked():
    named = small_model(num_speakers=2, speaker_names=NAMES)
    with pytest.raises(InputError, match="has a speaker 'ben' already, of ana, ben"):
        models.add_speaker(named, "ben")
    with pytest.raises(InputError, match=r"trained must be one of .*received 'head'"):
        named.trained = "head"
    with pytest.raises(InputError, match="takes a model with speakers"):
        small_model().trained = "speaker_embedding"
    named.trained = "speaker_embedding"
    assert len(named.trainable_weights) == 1
    named.trained = "all"
    assert len(named.trainable_weights) == len(small_model(num_speakers=2).trainable_weights)
