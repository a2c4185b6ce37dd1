"""recognize_served.py against servers that answer as TensorFlow Serving does."""

import json

import numpy as np
import pytest
from conftest import ROOT, run_program, small_model, tone
from registry import small_classifier
from served import WITHOUT_TENSORFLOW, Serving

import wavenet_tf as wt
from wavenet_tf import deployment, recognition

pytestmark = [pytest.mark.once, pytest.mark.slow]

RATE = 8000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of recordings, of which one is at another rate and one is longer than a request."""
    folder = tmp_path_factory.mktemp("recordings")
    wt.write_audio(folder / "short.wav", tone(0.313), RATE)
    wt.write_audio(folder / "long.wav", tone(1.7, frequency=300.0), RATE)
    wt.write_audio(folder / "fast.wav", tone(0.3, 16000), 16000)
    return folder


@pytest.fixture(scope="module", params=["frames", "tags"])
def running(request, tmp_path_factory):
    """A served classifier."""
    model = small_classifier(request.param, class_names=["yes", "no", "maybe"])
    signatures = deployment.SavedModelRecognizerSignatures(model, max_seconds=1.0)
    serving = Serving(signatures, tmp_path_factory.mktemp(request.param))
    yield serving
    serving.stop()


@pytest.fixture
def ask(tmp_path):
    """Runs a program of export/ with flags; where it speaks REST, without TensorFlow."""
    bare = tmp_path / "bare.py"
    bare.write_text(WITHOUT_TENSORFLOW)

    def run(*flags, program="recognize_served.py"):
        words = [ROOT / "export" / program, *flags]
        return run_program(*([bare] if "--protocol=rest" in flags else []), *words, fresh=True)

    return run


def expected(running, path) -> recognition.Recognition:
    waveform, _ = wt.read_audio(path)
    return recognition.recognize(recognition.Recognizer(running.model), waveform)


@pytest.mark.parametrize(
    ("protocol", "mode", "name"),
    [("grpc", "once", "short"), ("rest", "once", "short"), ("rest", "stream", "long")],
)
def test_the_server_recognizes_what_the_model_does(
    running, folder, ask, tmp_path, protocol, mode, name
):
    output = tmp_path / "out.json"
    flags = [f"--mode={mode}", f"--input={folder / name}.wav", f"--output={output}"]
    asked = ask(*running.flags(protocol, *flags))
    assert asked.returncode == 0, asked.stderr
    result = recognition.Recognition(**json.loads(output.read_text()))
    known = expected(running, folder / f"{name}.wav")
    assert result.chosen == known.chosen and result.seconds == known.seconds
    for ours, theirs in (
        (result.classes, known.classes),
        (result.segments, known.segments),
    ):
        for one, other in zip(ours, theirs, strict=True):
            assert [x for x in one if isinstance(x, str)] == [
                x for x in other if isinstance(x, str)
            ]
            floats = [[x for x in row if isinstance(x, float)] for row in (one, other)]
            np.testing.assert_allclose(*floats, atol=1e-5)


def test_several_recordings_are_printed_with_their_names(running, folder, ask):
    paths = [folder / "short.wav", folder / "long.wav"]
    flags = [f"--input={path}" for path in paths]
    asked = ask(*running.flags("rest", "--mode=stream", *flags))
    assert asked.returncode == 0, asked.stderr
    lines = [line.split("\t") for line in asked.stdout.splitlines()]
    rows = [row for path in paths for row in expected(running, path).to_text().splitlines()]
    assert len(lines) == len(rows)
    assert {line[0] for line in lines} <= {str(path) for path in paths}


def test_errors_are_one_line(running, folder, ask, tmp_path):
    for name, more, message in (
        ("fast.wav", [], "must be at 8000 Hz; it is at 16000 Hz"),
        ("long.wav", [], "a request takes from 1 to 8000 samples; received 13600; --mode stream"),
        ("short.wav", ["--model=other"], "has no model other"),
        ("short.wav", ["--output=out.mp3"], "output must end in .txt, .json or .TextGrid"),
    ):
        asked = ask(*running.flags("rest", f"--input={folder / name}", *more))
        assert asked.returncode == 1
        assert len(asked.stderr.splitlines()) == 1, asked.stderr
        assert message in asked.stderr


def test_each_program_names_the_other_for_its_models(running, folder, ask, tmp_path):
    flags = running.flags("rest", f"--output={tmp_path / 'out.wav'}")
    asked = ask(*flags, program="serving_client.py")
    assert asked.returncode == 1
    assert "a model of recognition, which export/recognize_served.py takes" in asked.stderr
    generator = Serving(deployment.SavedModelSignatures(small_model()), tmp_path / "generator")
    try:
        asked = ask(*generator.flags("rest", f"--input={folder / 'short.wav'}"))
    finally:
        generator.stop()
    assert asked.returncode == 1
    assert "a model of generation, which export/serving_client.py takes" in asked.stderr
