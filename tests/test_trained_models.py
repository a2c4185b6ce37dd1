"""Trained models: published model directories, those of the package, and `from_preset` of them."""

import json

import keras
import make_trained_models
import numpy as np
import pytest
from conftest import randomise, run_program, small_model
from registry import small_classifier

import wavenet_tf as wt
from wavenet_tf import model_directory, runs
from wavenet_tf.errors import InputError

MEGABYTE = 1e6


def save_run(model, folder):
    """Writes a model directory as a finished run has it, with a step and an optimizer's state."""
    model.compile("adam")
    model.optimizer.build(model.trainable_weights)
    model.optimizer.iterations.assign(7)
    runs.save(model, folder / "model.keras")
    return folder


def test_a_published_model_has_rounded_weights_and_no_optimizer(tmp_path):
    model = small_model(skip_channels=256, head_channels=256)
    run = save_run(model, tmp_path / "run")
    (run / "settings.json").write_text('{"data_dir": "/secret", "speakers": "corpus"}')
    (run / "decoder.json").write_text("{}")
    path = runs.publish(run, tmp_path / "published")
    assert path.stat().st_size < (run / "model.keras").stat().st_size / 5
    published = runs.load_model(tmp_path / "published")
    for weight, original in zip(published.get_weights(), model.get_weights(), strict=True):
        assert weight.dtype == np.float32
        np.testing.assert_array_equal(weight, original.astype(np.float16).astype(np.float32))
    assert not published.compiled
    assert "secret" not in (tmp_path / "published" / "settings.json").read_text()
    assert (tmp_path / "published" / "decoder.json").read_text() == "{}"
    with pytest.raises(InputError, match="published holds a model already"):
        runs.publish(run, tmp_path / "published")


@pytest.mark.slow
def test_a_published_model_has_the_averaged_weights(tmp_path):
    model = small_model()
    model.compile(wt.training.named_optimizer("adam", use_ema=True, ema_momentum=0.9))
    codes = np.zeros([1, 64], np.int32)
    for _ in range(3):  # fit would end with the average as the weights
        model.train_on_batch(codes, codes)
    runs.save(model, tmp_path / "run" / "model.keras")
    runs.publish(tmp_path / "run", tmp_path / "published")
    averaged = runs.load_model(tmp_path / "run").get_weights()
    assert any(np.any(a != b) for a, b in zip(averaged, model.get_weights(), strict=True))
    for weight, average in zip(
        runs.load_model(tmp_path / "published").get_weights(), averaged, strict=True
    ):
        np.testing.assert_array_equal(weight, average.astype(np.float16))


def test_models_of_prosody_are_published_beside_the_model(tmp_path):
    run = save_run(small_model(), tmp_path / "run")
    durations = wt.models.DurationModel(phone_set=("sil", "AA"), frame_seconds=0.005)
    randomise(durations)
    durations.save(run / "durations.keras")
    runs.publish(run, tmp_path / "published")
    published = keras.saving.load_model(tmp_path / "published" / "durations.keras")
    for weight, original in zip(published.get_weights(), durations.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, original.astype(np.float16))


@pytest.mark.slow
def test_from_preset_takes_folders_and_files(tmp_path):
    model = small_model()
    run = save_run(model, tmp_path / "run")
    codes = np.arange(40, dtype=np.int32)[None]
    for path in (run, str(run), run / "model.keras"):
        np.testing.assert_array_equal(wt.WaveNet.from_preset(path)(codes), model(codes))
    half = wt.WaveNet.from_preset(run, dtype="mixed_bfloat16")
    assert half.dtype_policy.name == "mixed_bfloat16"
    np.testing.assert_array_equal(half.get_weights()[0], model.get_weights()[0])
    with pytest.raises(InputError, match=r"takes no other arguments; received kernel_size"):
        wt.WaveNet.from_preset(run, kernel_size=3)
    with pytest.raises(InputError, match="holds a WaveNet, not a WaveNetClassifier"):
        wt.WaveNetClassifier.from_preset(run)
    classifier = save_run(small_classifier(), tmp_path / "classifier")
    assert wt.WaveNetClassifier.from_preset(classifier).num_classes == 3
    with pytest.raises(InputError, match="unknown preset 'huge': expected one of tiny, small"):
        wt.WaveNetClassifier.from_preset("huge")


CARD = model_directory.ModelCard(
    task="generate",
    description="Hums.",
    data="hums",
    licence="CC0",
    figures=["bits per sample 2.000"],
    commands=["python tools/train.py"],
)


@pytest.fixture
def hums(tmp_path, monkeypatch):
    """A trained model of the package, in place of those that there are."""
    monkeypatch.setattr(model_directory.trained, "TRAINED_MODELS", tmp_path / "trained")
    model = small_model()
    runs.publish(save_run(model, tmp_path / "run"), tmp_path / "trained" / "hums")
    (tmp_path / "trained" / "hums" / "card.json").write_text(CARD.to_json())
    return model


def test_trained_models_are_listed_and_load_by_name(hums):
    assert model_directory.trained_models() == ("hums",)
    assert model_directory.model_card("hums") == CARD
    trained, first, *_ = wt.list_presets()
    assert trained == ("hums", True, "generate", "Hums.")
    assert first.name == "tiny" and not first.trained and first.description.startswith("16 layers")
    loaded = wt.WaveNet.from_preset("hums")
    np.testing.assert_array_equal(
        loaded.get_weights()[0], hums.get_weights()[0].astype(np.float16).astype(np.float32)
    )
    with pytest.raises(InputError, match="unknown trained model 'huge': there are hums"):
        model_directory.model_card("huge")
    with pytest.raises(
        InputError, match=r"unknown preset 'huge': .* music, hums, a model directory"
    ):
        wt.WaveNet.from_preset("huge")


def test_a_folder_is_preferred_to_a_trained_model_of_its_name(hums, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert model_directory.resolve_model_dir("hums") == tmp_path / "trained" / "hums"
    (tmp_path / "hums").mkdir()
    assert model_directory.resolve_model_dir("hums").resolve() == tmp_path / "hums"


def test_trained_models_of_the_package_are_complete_and_small():
    size = 0
    for name in model_directory.trained_models():
        card = model_directory.model_card(name)
        assert card.data and card.licence and card.figures and card.commands
        kind = wt.WaveNet if card.task in ("generate", "speak") else wt.WaveNetClassifier
        assert isinstance(kind.from_preset(name), kind)
        folder = model_directory.TRAINED_MODELS / name
        size += sum(path.stat().st_size for path in folder.iterdir())
    assert size < 4 * MEGABYTE


@pytest.mark.slow
def test_a_published_model_serves_programs(tmp_path):
    run = save_run(small_model(), tmp_path / "run")
    result = run_program("publish.py", f"--model_dir={run}", f"--output_dir={tmp_path / 'given'}")
    assert result.returncode == 0, result.stderr
    assert "whose model has" in result.stdout
    output = tmp_path / "new.wav"
    flags = [f"--model_dir={tmp_path / 'given'}", f"--output={output}", "--seconds=0.1"]
    result = run_program("generate.py", *flags)
    assert result.returncode == 0, result.stderr
    assert "loaded model.keras of step 7" in result.stdout
    assert len(wt.read_audio(output)[0]) == 800


@pytest.mark.slow
@pytest.mark.once
def test_trained_models_are_made_by_their_recipes(tmp_path):
    recipe = make_trained_models.Recipe(
        "generate",
        "Two notes.",
        "two clips",
        (
            "make_demo_data.py --output notes --num_clips 4 --clip_seconds 1",
            "train.py --data_dir notes --model_dir notes_run --preset tiny --steps 2 "
            "--batch_size 1 --crop_seconds 0.1 --set num_stacks=1 --set layers_per_stack=2",
            "evaluate.py --model_dir notes_run --data_dir notes",
        ),
    )
    for _ in range(2):  # the second time, nothing is trained again
        make_trained_models.make(recipe, tmp_path, tmp_path / "trained" / "notes")
    card = json.loads((tmp_path / "trained" / "notes" / "card.json").read_text())
    assert card["description"] == "Two notes." and len(card["commands"]) == 3
    assert "bits per sample" in card["figures"][0]
    assert runs.load_model(tmp_path / "trained" / "notes").sample_rate == 8000
