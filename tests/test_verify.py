"""The comparison of exports, on a model that has hardly been trained."""

import json

import pytest
from conftest import run_program, tone

import wavenet_tf as wt
from wavenet_tf import native

pytestmark = pytest.mark.once

pytest.importorskip("wavenet_tf.lite", exc_type=ImportError)
if not native.is_available():
    pytest.skip("libwavenet is not built: there was no C compiler", allow_module_level=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of recordings and of a run that hears features of them."""
    folder = tmp_path_factory.mktemp("verify")
    for index, frequency in enumerate((200.0, 300.0, 400.0, 500.0)):
        path = folder / "recordings" / f"{index}.wav"
        wt.write_audio(path, tone(0.5, frequency=frequency), 8000)
    flags = ["--preset=tiny", "--steps=20", "--crop_seconds=0.2"]
    flags += ["--set=layers_per_stack=4", "--set=num_stacks=1"]
    result = run_program(
        "train.py",
        f"--data_dir={folder / 'recordings'}",
        f"--model_dir={folder / 'model'}",
        "--sample_rate=8000",
        "--features=mel",
        *flags,
    )
    assert result.returncode == 0, result.stderr
    return folder


def verify(folder, *flags):
    return run_program(
        "../export/verify.py",
        f"--model_dir={folder / 'model'}",
        f"--data_dir={folder / 'recordings'}",
        "--seconds=0.1",
        *flags,
    )


@pytest.mark.slow
def test_exports_are_compared_with_keras(trained):
    figures = trained / "figures.json"
    names = ["TFLite, none", "TFLite, int8", "native, float32", "native, int8"]
    result = verify(trained, *(f"--runtime={name}" for name in names), f"--json={figures}")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("\n| ") == 6
    keras, exact, rounded, native_exact, native_rounded = rows = json.loads(figures.read_text())
    assert [row["name"] for row in rows] == ["Keras", *names]
    assert keras["samples_equal"] == keras["draws"] == 800
    assert keras["differing"] == keras["bits_lost"] == 0
    # Nothing but rounding tells them apart; 8 bits do more.
    for row in (exact, native_exact):
        assert row["differing"] == row["by_rounding"] <= 4
        assert row["largest_difference_nats"] < 1e-3 < rounded["largest_difference_nats"]
        assert abs(row["bits_lost"]) < 1e-5 < abs(rounded["bits_lost"]) < 0.5
    assert native_rounded["largest_difference_nats"] > 1e-3
    assert abs(native_rounded["bits_lost"]) < 0.01
    assert rounded["bytes"] < exact["bytes"]
    assert rounded["differing"] > 0
    # Without TensorFlow.
    assert exact["peak_megabytes"] < keras["peak_megabytes"] / 2
    assert native_exact["peak_megabytes"] < exact["peak_megabytes"]


@pytest.mark.slow
def test_what_cannot_be_compared_is_told(trained):
    refused = verify(trained, "--seconds=0")
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        "verify.py: seconds must be finite and give at least one sample; received 0.0"
    ]
    refused = verify(trained, "--batch_size=9")
    assert refused.returncode == 1
    assert "--data_dir must hold 9 recordings or more" in refused.stderr.splitlines()[-1]
    refused = verify(trained, "--block_size=30", "--runtime=TFLite, none")
    assert refused.returncode == 1
    assert "tflite.py failed: tflite.py: block_size must be a multiple of 100" in refused.stderr


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A folder of recordings of two classes, and of a run that hardly learned them."""
    folder = tmp_path_factory.mktemp("classifier")
    for index in range(8):
        path = folder / "recordings" / f"{'ab'[index % 2]}_{index}.wav"
        wt.write_audio(path, tone(0.3 + 0.05 * index, frequency=200.0 + 200.0 * (index % 2)), 8000)
    result = run_program(
        "train.py",
        "--task=classify",
        "--classes=^(.)_",
        f"--data_dir={folder / 'recordings'}",
        f"--model_dir={folder / 'model'}",
        "--sample_rate=8000",
        "--preset=tiny",
        "--steps=5",
        "--crop_seconds=0.2",
        "--set=layers_per_stack=4",
        "--set=num_stacks=1",
        "--validation_fraction=0.5",
    )
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.slow
def test_exports_of_a_classifier_are_compared_with_keras(classifier):
    figures = classifier / "figures.json"
    names = ["SavedModel", "TFLite, int8"]
    program = ["../export/verify.py", f"--model_dir={classifier / 'model'}"]
    program.append(f"--data_dir={classifier / 'recordings'}")
    result = run_program(*program, *(f"--runtime={name}" for name in names), f"--json={figures}")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("\n| ") == 4
    rows = {row["name"]: row for row in json.loads(figures.read_text())}
    assert list(rows) == ["Keras", *names]
    for name in ("Keras", "SavedModel"):
        assert rows[name]["largest_difference"] < 1e-5, name
        assert rows[name]["equal_decisions"] == 1.0
        assert rows[name]["error_rate"] == rows["Keras"]["error_rate"]
    assert 1e-5 < rows["TFLite, int8"]["largest_difference"] < 0.5
    assert rows["TFLite, int8"]["bytes"] < rows["SavedModel"]["bytes"]
    assert rows["TFLite, int8"]["peak_megabytes"] < rows["Keras"]["peak_megabytes"] / 2
    assert all(row["real_time_factor"] > 1.0 for row in rows.values())
    for flag, message in (
        (
            "--runtime=SavedModel, XLA",
            "runtime must be one of 'SavedModel', 'SavedModel, bl",
        ),
        ("--batch_size=2", "--batch_size is for generators; --model_dir holds a classifier"),
    ):
        refused = run_program(*program, flag)
        assert refused.returncode == 1
        assert message in refused.stderr.splitlines()[-1]
