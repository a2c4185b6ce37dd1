"""libwavenet in C: the example, and corrupted files under sanitizers, built with cmake."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, small_model
from registry import EXPORTED

from wavenet_tf import audio, deployment, native

# No version of Python or TensorFlow changes what C does.
pytestmark = [pytest.mark.once, pytest.mark.slow]

if not native.is_available():
    pytest.skip("libwavenet is not built: there was no C compiler", allow_module_level=True)


def build(folder: Path, target: str, *options: str) -> Path:
    if not shutil.which("cmake"):
        pytest.skip("cmake is not installed")
    for words in (
        ("-S", ROOT / "export" / "libwavenet", "-B", folder, *options),
        ("--build", folder, "--target", target),
    ):
        made = subprocess.run(["cmake", *words], capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout + made.stderr
    return folder / target


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    return build(folder, "audio_callback", "-DCMAKE_C_FLAGS=-Werror -Wshadow")


@pytest.fixture(scope="module")
def model_files(tmp_path_factory) -> dict[str, Path]:
    """Files of models, by name: every one of them has a part of the library to itself."""
    folder = tmp_path_factory.mktemp("models")
    names = "plain", "speaker", "repeated frames", "stretch", "linear", "code table", "everything"
    models = {**{name: EXPORTED[name] for name in names}, "voices": {"num_speakers": 3}}
    for name, arguments in models.items():
        precision = "int8" if name in ("plain", "everything") else "float32"
        content = deployment.convert_native(small_model(**arguments), precision)
        (folder / f"{name}.wn").write_bytes(content)
    return {path.stem: path for path in folder.iterdir()}


def run(program: Path, *words) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(word) for word in (program, *words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "words", "conditions"),
    [("plain", [], {}), ("voices", ["--speaker", 2, "--temperature", 0.7], {"speaker_id": 2})],
)
def test_the_callback_gives_the_same_audio_as_the_runner(
    built, model_files, tmp_path, name, words, conditions
):
    runner = native.Runner(model_files[name], block_size=256)
    temperature = 0.7 if conditions else 1.0
    stream = runner.stream(seed=5, temperature=temperature, **conditions)
    expected = np.concatenate([next(stream) for _ in range(5)], axis=1)[0, :1234]
    np.random.default_rng(5).random(5 * 256, np.float32).tofile(tmp_path / "uniforms.f32")
    words = [*words, "--uniforms", tmp_path / "uniforms.f32"]
    output = tmp_path / "out.wav"
    made = run(built, model_files[name], output, 1234 / 8000, *words)
    assert made.returncode == 0 and "longest block" in made.stdout, made
    written, sample_rate = soundfile.read(output, dtype="int16")
    assert sample_rate == 8000 and len(np.unique(written)) > 10
    np.testing.assert_array_equal(written, audio.formats.to_16_bits(expected))


def test_seeds_and_errors_of_the_callback(built, model_files, tmp_path):
    program, output = built, tmp_path / "out.wav"

    def samples(seed):
        assert run(program, model_files["plain"], output, 0.1, seed).returncode == 0
        return soundfile.read(output)[0]

    first = samples(7)
    np.testing.assert_array_equal(first, samples(7))
    assert len(first) == 800 and not np.array_equal(first, samples(8))
    corrupted = tmp_path / "corrupted.wn"
    corrupted.write_bytes(model_files["plain"].read_bytes()[:-1])
    for words, message in (
        ((), "usage: audio_callback"),
        ((tmp_path / "none.wn", output), "the file cannot be read"),
        ((corrupted, output), "is corrupted"),
        ((model_files["voices"], output), "choose one with --speaker"),
        ((model_files["voices"], output, "--speaker", 3), "a condition is missing, not taken, or"),
        ((model_files["plain"], output, "--speaker", 0), "the model has no speakers"),
        ((model_files["everything"], output), "conditioned on vectors or frames"),
        ((model_files["plain"], output, "x"), "seconds must be a number"),
    ):
        made = run(program, *words)
        assert made.returncode == 1 and message in made.stderr, made


def test_the_library_is_small_and_one_compiler_call_builds_it(tmp_path):
    sources = map(str, (ROOT / "wavenet_tf" / "native" / "src").glob("*.c"))
    library = tmp_path / "libwavenet.so"
    flags = ["-O3", "-std=gnu99", "-shared", "-fPIC", "-Wall", "-Werror"]
    subprocess.run(["cc", *flags, *sources, "-lm", "-o", library], check=True)
    assert library.stat().st_size < 200_000


def test_corrupted_files_and_states_break_no_rule_of_c(model_files, tmp_path_factory):
    """A second per model, or 20 files; `docs/guides/native.md` has the command of a longer run."""
    program = build(tmp_path_factory.mktemp("sanitized"), "corrupt", "-DSANITIZE=ON")
    for name, path in model_files.items():
        made = run(program, path, 1)
        assert made.returncode == 0, (name, made.stderr)
        assert int(made.stdout.split()[0]) >= 20, made.stdout
