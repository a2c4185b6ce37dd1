"""The C example of export/c, built with cmake and compared with wavenet_tf.lite."""

import importlib.util
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, small_model
from corruption import with_nan_weights

from wavenet_tf import audio, deployment

# Node, the browser and C run files of LiteRT, whose version is one for all sets of packages.
pytestmark = pytest.mark.once

lite = pytest.importorskip("wavenet_tf.lite", exc_type=ImportError)


def library() -> Path | None:
    found = importlib.util.find_spec("ai_edge_litert")
    folders = map(Path, found.submodule_search_locations) if found else []
    return next((path for folder in folders for path in folder.glob("libLiteRt.*")), None)


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    if not shutil.which("cmake"):
        pytest.skip("cmake is not installed")
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("no C compiler is installed")
    if library() is None:
        pytest.skip("ai-edge-litert, which holds LiteRT's library, is not installed")
    folder = tmp_path_factory.mktemp("build")
    flags = "-DCMAKE_C_FLAGS=-Werror -Wpedantic -Wshadow"
    source = ROOT / "export" / "c"
    for arguments in (
        ("-S", source, "-B", folder, f"-DLITERT_LIBRARY={library()}", flags),
        ("--build", folder),
    ):
        made = subprocess.run(["cmake", *arguments], capture_output=True, text=True, check=False)
        if "is too old" in " ".join(made.stderr.split()):
            pytest.skip(f"{library()} is too old, or cannot be linked")
        assert made.returncode == 0, made.stdout + made.stderr
    return folder / "generate"


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "model.tflite"
    path.write_bytes(deployment.convert(deployment.TFLiteSignatures(small_model())))
    return path


@pytest.fixture(scope="module")
def speakers(tmp_path_factory) -> Path:
    """Two streams, of a model that takes two uniforms a sample."""
    model = small_model(num_speakers=3, output_distribution="logistic_mixture")
    path = tmp_path_factory.mktemp("speakers") / "model.tflite"
    path.write_bytes(deployment.convert(deployment.TFLiteSignatures(model, 64, 2), "dynamic_int8"))
    return path


def run(program, *arguments) -> subprocess.CompletedProcess:
    words = [str(word) for word in (program, *arguments)]
    made = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if "shapes in its loops are not fixed" in made.stderr:
        pytest.skip("LiteRT's compiled models need loops of fixed shapes")
    return made


def refused(program, *arguments) -> str:
    made = run(program, *arguments)
    assert made.returncode == 1 and not made.stdout, made
    (message,) = [line for line in made.stderr.splitlines() if line.startswith("generate: ")]
    return message


def expected(path, samples: int, uniforms_path, seed=5, temperature=1.0, **conditions):
    runner = lite.Runner(path)
    stream = runner.stream(seed=seed, temperature=temperature, **conditions)
    blocks = [next(stream) for _ in range(-(-samples // runner.block_size))]
    shape = stream.samples_done, runner.batch_size, runner.metadata["uniforms_per_sample"]
    np.random.default_rng(seed).random(shape, np.float32).tofile(uniforms_path)
    return audio.formats.to_16_bits(np.concatenate(blocks, axis=1)[:, :samples].T)


@pytest.mark.slow
def test_same_audio_as_the_runner(program, plain, tmp_path):
    codes = expected(plain, 1234, tmp_path / "uniforms.f32")
    made = run(
        program, plain, tmp_path / "out.wav", 1234 / 8000, "--uniforms", tmp_path / "uniforms.f32"
    )
    assert made.returncode == 0 and "samples/s, real-time factor" in made.stdout, made
    assert (tmp_path / "out.wav").stat().st_size == 44 + 2 * 1234
    written, sample_rate = soundfile.read(tmp_path / "out.wav", dtype="int16", always_2d=True)
    assert sample_rate == 8000 and len(np.unique(codes)) > 10
    np.testing.assert_array_equal(written, codes)


@pytest.mark.slow
def test_speakers_streams_and_temperature(program, speakers, tmp_path):
    codes = expected(speakers, 500, tmp_path / "uniforms.f32", temperature=0.5, speaker_id=2)
    words = ["--uniforms", tmp_path / "uniforms.f32", "--temperature", 0.5]
    run(program, "--speaker", 2, speakers, tmp_path / "out.wav", 500 / 8000, *words)
    written, _ = soundfile.read(tmp_path / "out.wav", dtype="int16", always_2d=True)
    np.testing.assert_array_equal(written, codes)
    assert not np.array_equal(codes[:, 0], codes[:, 1])
    output = tmp_path / "out.wav"
    assert "choose one with --speaker" in refused(program, speakers, output)
    assert "--speaker must be 0 to 2; received 3" in refused(
        program, speakers, output, "--speaker", 3
    )
    other = tmp_path / "other.tflite"
    other.write_bytes(speakers.read_bytes().replace(b"speaker_id", b"speaker_up"))
    assert "conditioned on speaker_up" in refused(program, other, output)


def test_seeds(program, plain, tmp_path):
    def samples(*words):
        run(program, plain, tmp_path / "out.wav", *words)
        return soundfile.read(tmp_path / "out.wav")[0]

    first = samples(0.1, 7)
    np.testing.assert_array_equal(first, samples(0.1, 7))
    assert len(first) == 800 and not np.array_equal(first, samples(0.1, 8))


def test_interrupted_file_can_be_read(program, plain, tmp_path):
    run(program, plain, tmp_path / "out.wav", 0.01)
    (tmp_path / "out.wav").unlink()
    words = [program, plain, tmp_path / "out.wav", "100000"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            time.sleep(0.1)
            if (tmp_path / "out.wav").exists() and (tmp_path / "out.wav").stat().st_size > 2000:
                break
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted" in output
    written = soundfile.info(tmp_path / "out.wav")
    assert written.frames % 16 == 0 and written.frames > 900
    assert (tmp_path / "out.wav").stat().st_size == 44 + 2 * written.frames


def test_damaged_files_are_refused(program, plain, tmp_path):
    content = plain.read_bytes()
    damaged, output = tmp_path / "damaged.tflite", tmp_path / "out.wav"
    cuts = np.linspace(0, len(content) - 1, 12).astype(int)
    zeroed = content[:8] + bytes(len(content) - 8)
    for bad in (*(content[:cut] for cut in cuts), b"no model" * 1000, zeroed):
        damaged.write_bytes(bad)
        assert "is no TFLite file, or is damaged" in refused(program, damaged, output)
    damaged.write_bytes(content.replace(b"generate_block", b"generate_clock"))
    assert "lacks a signature" in refused(program, damaged, output)
    damaged.write_bytes(content.replace(b"wavenet\0", b"wavelet\0"))
    assert "it has no metadata" in refused(program, damaged, output)
    damaged.write_bytes(content.replace(b"sample_rate", b"simple_rate"))
    assert "no sample rate" in refused(program, damaged, output)
    assert not output.exists()


def test_a_file_is_replaced_only_by_audio(program, speakers, tmp_path):
    model, output = tmp_path / "nan.tflite", tmp_path / "out.wav"
    model.write_bytes(with_nan_weights(speakers.read_bytes()))
    output.write_bytes(b"of a run before")
    message = refused(program, model, output, 0.01, "--speaker", 0)
    assert "the model gives audio that holds NaN or infinity" in message
    np.ones(128 * 2, np.float32).tofile(tmp_path / "ones.f32")
    words = ["--speaker", 0, "--uniforms", tmp_path / "ones.f32"]
    assert "in [0, 1)" in refused(program, speakers, output, 0.005, *words)
    assert output.read_bytes() == b"of a run before"


def test_arguments(program, plain, tmp_path):
    output = tmp_path / "out.wav"
    assert "usage: generate" in refused(program)
    assert "No such file" in refused(program, tmp_path / "none.tflite", output)
    assert "No such file" in refused(program, plain, tmp_path / "none" / "out.wav", 0.1)
    for words, message in (
        (("x",), "seconds must be a number"),
        (("nan",), "seconds must be a number"),
        (("0",), "at least one sample"),
        (("1e9",), "at least one sample"),
        (("1", "-1"), "seed must be a whole number"),
        (("1", "2", "3"), "too many arguments"),
        (("--loud",), "unknown option --loud"),
        (("--temperature", "-1"), "--temperature must be a number"),
        (("--temperature",), "--temperature must be a number"),
        (("--speaker", "0"), "knows no speakers"),
        (("--uniforms", tmp_path / "none.f32"), "No such file"),
    ):
        assert message in refused(program, plain, output, *words)
    assert not output.exists()
    uniforms = tmp_path / "uniforms.f32"
    np.zeros(100, np.float32).tofile(uniforms)
    assert "it holds 100" in refused(program, plain, output, 0.1, "--uniforms", uniforms)
    np.ones(1024, np.float32).tofile(uniforms)
    assert "in [0, 1)" in refused(program, plain, output, 0.1, "--uniforms", uniforms)
    if Path("/dev/full").exists():
        assert "No space left" in refused(program, plain, "/dev/full", 0.1)
