"""What is suggested for a corpus, and a run that takes it."""

import dataclasses
import json

import numpy as np
import pytest
from conftest import run_program, tone

import wavenet_tf as wt
from wavenet_tf import runs


def write(folder, number, seconds, rate=8000):
    for index in range(number):
        waveform = tone(seconds, rate, 300.0 + 9.0 * index)
        wt.write_audio(folder / f"{index}.wav", waveform, rate)
    return folder


def test_a_small_corpus_of_short_clips(tmp_path):
    suggestion = runs.suggest(write(tmp_path, 8, 0.4))
    assert suggestion.settings == {
        "preset": "tiny",
        "overrides": {"sample_rate": 8000},
        "crop_seconds": 0.4,
        "steps": 2000,
    }
    assert "8 recordings, 3.2 s at 8000 Hz" in str(suggestion)
    assert runs.train_command(suggestion, "my recordings") == (
        "python tools/train.py --data_dir 'my recordings' --model_dir runs/first --preset=tiny "
        "--crop_seconds=0.4 --steps=2000 --sample_rate=8000"
    )


def test_long_recordings_get_a_context_stack_and_a_rate_of_the_presets(tmp_path):
    suggestion = runs.suggest(write(tmp_path, 2, 160.0, 22050))
    assert suggestion.settings == {
        "preset": "music",
        "overrides": {"sample_rate": 16000},
        "crop_seconds": 1.0,
        "steps": 2000,
    }
    assert "most files have 22050 Hz" in str(suggestion)


@pytest.mark.slow
@pytest.mark.once
def test_speakers_and_tags_of_the_corpus_are_used(tmp_path):
    write(tmp_path, 4, 0.4)
    rows = [{"path": f"{i}.wav", "speaker": "ab"[i % 2], "tags": ["slow"]} for i in range(4)]
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = runs.suggest(tmp_path).settings
    assert (settings["speakers"], settings["tags"]) == ("corpus", "all")
    settings = dataclasses.replace(
        runs.Settings(str(tmp_path), **settings), steps=1, validation_fraction=0.4
    )
    assert "2 speakers: a, b" in runs.estimate(settings)


def test_chosen_settings_are_kept(tmp_path):
    settings = runs.Settings(str(write(tmp_path, 8, 0.4)), steps=7)
    taken = runs.with_suggestion(settings, tmp_path / "new", {"steps": 7, "preset": None})
    assert (taken.preset, taken.steps, taken.crop_seconds) == ("tiny", 7, 0.4)
    assert taken.overrides == {"sample_rate": 8000}
    rate = dataclasses.replace(settings, overrides={"sample_rate": 4000})
    assert runs.with_suggestion(rate, tmp_path, {}).overrides == {"sample_rate": 4000}
    assert runs.with_suggestion(settings, tmp_path, {"preset": "small"}) is settings
    (tmp_path / "settings.json").write_text(settings.to_json())  # a run that is resumed
    assert runs.with_suggestion(settings, tmp_path, {}) is settings


@pytest.mark.slow
@pytest.mark.once
def test_the_programs_print_and_take_the_suggestion(tmp_path):
    write(tmp_path / "recordings", 8, 0.4)
    result = run_program("suggest.py", tmp_path / "recordings")
    assert result.returncode == 0, result.stderr
    for line in ("preset        tiny: ", "on this machine: 2,000 steps of ", "to train: python"):
        assert line in result.stdout
    train = ["train.py", f"--data_dir={tmp_path / 'recordings'}", "--steps=2", "--set=num_stacks=1"]
    result = run_program(*train, f"--model_dir={tmp_path / 'model'}")
    assert result.returncode == 0, result.stderr
    assert "without --preset, as tools/suggest.py suggests: --preset=tiny" in result.stdout
    model = runs.load_model(tmp_path / "model")
    assert (model.sample_rate, model.config.num_stacks) == (8000, 1)
    assert model.config.layers_per_stack == 8
    assert np.isfinite(runs.read_log(tmp_path / "model")["val_loss"]).all()
