"""The package imports its modules at first use, and Keras finds the classes of a saved model."""

import importlib
import subprocess
import sys
import types

import pytest
from conftest import ROOT, small_model

import wavenet_tf as wt
from wavenet_tf import training

PACKAGES = ("", ".audio", ".data", ".data.preparing", ".evaluation", ".reports", ".runs")


def run_python(text: str, *arguments) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", text, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_imported_and_are_no_modules(package):
    """A module of a name's package may not have its name: its import would replace the name."""
    package = importlib.import_module(f"wavenet_tf{package}")
    names = wt.lazy_imports._modules_of_names(package.__name__)
    assert names and set(names) <= set(dir(package))
    for name in names:
        assert not isinstance(getattr(package, name), types.ModuleType), name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        package.nothing  # noqa: B018


WITHOUT_TENSORFLOW = """
import sys
import wavenet_tf as wt
from wavenet_tf import audio, clients, conditioning, data, lite, models, options, reports, runs

audio.FEATURES, audio.check_output, wt.read_audio, data.LAYOUTS, data.NORMALIZATIONS
data.Preparation(".", features=("mel",)), runs.Settings("."), runs.find_model, options.SCHEDULES
reports.check_picture_path("picture.png")
print([name for name in ("tensorflow", "keras", "matplotlib") if name in sys.modules])
"""


def test_what_programs_check_flags_with_needs_no_tensorflow():
    assert run_python(WITHOUT_TENSORFLOW) == "[]\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "first", ["import wavenet_tf", "from wavenet_tf.layers.convolutions import CausalConv1D"]
)
def test_keras_loads_a_model_when_it_is_imported_after_the_package(tmp_path, first):
    """With its loss and its optimizer, which has a schedule of the package."""
    model = small_model()
    rate = training.learning_rate_schedule("exponential", 0.01, steps=10)
    model.compile(training.named_optimizer("adam", learning_rate=rate))
    model.save(tmp_path / "model.keras")
    text = f"{first}\nimport keras, sys\nprint(keras.models.load_model(sys.argv[1]).loss)"
    assert run_python(text, tmp_path / "model.keras").startswith("<wavenet_tf.training.losses.Neg")
