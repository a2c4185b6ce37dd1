"""The client program against servers that answer as TensorFlow Serving does.

TensorFlow Serving itself is no Python package: a gRPC and a REST server stand in for it, which run
the exported SavedModel by the same C++ loader and follow its documented formats.
"""

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import soundfile
from conftest import ROOT, run_program, small_model, tone
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from registry import LOCAL
from served import WITHOUT_TENSORFLOW, Serving
from tensorflow_serving.config import model_server_config_pb2

import wavenet_tf as wt
from wavenet_tf import audio, deployment, speech, text
from wavenet_tf.models import DurationModel, LogF0Model
from wavenet_tf.models.config import frame_channels

pytestmark = pytest.mark.once

RATE = 8000
BLOCK = 100
NAMES = ["george", "lucas", "theo"]
UNLIKE_LENGTHS = (
    "Tensors with name 'prime_audio:0' from different tasks have different shapes and padding is "
    "turned off. Set pad_variable_length_inputs to true"
)


def serve(model, directory) -> Serving:
    return Serving(deployment.SavedModelSignatures(model, BLOCK, max_seconds=0.5), directory)


def output_flag(path) -> str:
    return f"--output={path}"


@pytest.fixture(scope="module")
def speakers(tmp_path_factory):
    model = small_model(num_speakers=3, speaker_names=NAMES)
    running = serve(model, tmp_path_factory.mktemp("speakers"))
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def undisturbed(speakers):
    yield
    speakers.served.reset()


@pytest.fixture
def command(tmp_path):
    """The client with flags; where it speaks REST, without TensorFlow."""
    client = ROOT / "export" / "serving_client.py"
    bare = tmp_path / "bare.py"
    bare.write_text(WITHOUT_TENSORFLOW)
    return lambda *flags: [*([bare] if "--protocol=rest" in flags else []), client, *flags]


@pytest.fixture
def ask(command):
    return lambda *flags: run_program(*command(*flags), fresh=True)


def in_steps(path):
    """The samples of a WAV file, in steps of 16 bits."""
    steps, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    return steps.astype(int)


def assert_generated(path, model, samples, **arguments):
    """Asserts that a file holds what the model generates, but for the rounding of its 16 bits."""
    expected = audio.to_16_bits(model.generate(samples, **arguments)[0])
    np.testing.assert_allclose(in_steps(path), expected, atol=1)
    assert len(np.unique(expected)) > 20


def assert_refused(result, *told):
    assert result.returncode == 1, result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    for words in told:
        assert words in result.stderr


@pytest.mark.slow
def test_a_stream_is_what_the_model_generates(speakers, ask, tmp_path):
    output = tmp_path / "out.wav"
    flags = speakers.flags(
        "rest", output_flag(output), "--seconds=0.11", "--seed=5", "--speaker=lucas"
    )
    result = ask(*flags)
    assert result.returncode == 0, result.stderr
    assert "out.wav: 0.11 s at 8000 Hz" in result.stdout
    assert "real-time factor" in result.stdout
    assert result.stderr == ""
    assert_generated(output, speakers.model, 880, speaker_id=1, seed=5)
    assert speakers.served.requests == ["metadata", "initial_state"] + ["generate_block"] * 9


@pytest.mark.slow
def test_a_prompt_is_continued_as_the_model_does(speakers, ask, tmp_path):
    prompt = tone(0.0301)  # of any length
    wt.write_audio(tmp_path / "prompt.wav", prompt, RATE)
    flags = ["--seconds=0.05", "--seed=3", "--speaker=theo", f"--prompt={tmp_path / 'prompt.wav'}"]
    result = ask(*speakers.flags("grpc", output_flag(tmp_path / "out.wav"), *flags))
    assert result.returncode == 0, result.stderr
    heard = soundfile.read(tmp_path / "prompt.wav", dtype="float32")[0][None]
    assert_generated(tmp_path / "out.wav", speakers.model, 400, prompt=heard, speaker_id=2, seed=3)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_audio_at_once(speakers, ask, tmp_path, protocol):
    request = {
        "seed": np.array([4], np.int32),
        "temperature": np.array([0.9], np.float32),
        "num_samples": np.array([700], np.int32),
        "speaker_id": np.array([1], np.int32),
    }
    expected = speakers.served.answer("wavenet", "serving_default", request)["audio"][0]
    # Served together with a longer one, whose length the answer then has.
    longer = {**request, "num_samples": np.array([900], np.int32)}
    speakers.served.answer("wavenet", "serving_default", longer)
    flags = ["--mode=once", "--seconds=0.0875", "--seed=4", "--speaker=lucas", "--temperature=0.9"]
    result = ask(*speakers.flags(protocol, output_flag(tmp_path / "out.wav"), *flags))
    assert result.returncode == 0, result.stderr
    np.testing.assert_array_equal(in_steps(tmp_path / "out.wav"), audio.to_16_bits(expected))
    assert len(np.unique(expected)) > 20


@pytest.mark.slow
def test_phones_are_spoken(ask, tmp_path):
    phones = ("AA", "S", "sil")
    model = small_model(
        phone_set=phones,
        features=["f0"],
        local_channels=frame_channels(["f0"], phones),
        upsample_factors=[5, 8],
        num_stacks=1,
    )
    durations, log_f0 = DurationModel(phones), LogF0Model(phones, num_blocks=3)
    voice = speech.Voice(model, durations, log_f0)
    signatures = deployment.SavedModelSpeechSignatures(
        model, deployment.ProsodySignature(durations, log_f0), block_size=80, max_seconds=0.5
    )
    running = Serving(signatures, tmp_path)
    output = output_flag(tmp_path / "out.wav")
    # The server computes the second request with the first one, which is longer.
    for protocol, rate, text_of_phones in (("rest", 8.0, "S AA1 S"), ("grpc", 16.0, "AA0 S AA1")):
        flags = ["--seed=5", f"--phones={text_of_phones}", f"--rate={rate}", "--pitch=3"]
        result = ask(*running.flags(protocol, output, *flags))
        assert result.returncode == 0, result.stderr
        sentence = text.sentence_of_phones(text_of_phones)
        frames = voice.frames(sentence, voice.predict(sentence, rate=rate, semitones=3.0))[None]
        samples = frames.shape[1] * model.hop_length
        assert_generated(tmp_path / "out.wav", model, samples, local_conditioning=frames, seed=5)
    refused = ask(*running.flags("grpc", output, "--phones=T"))
    assert_refused(refused, "phones must be of the set AA, S, sil; received 'T'")
    assert_refused(ask(*running.flags("grpc", output, "--rate=2")), "--rate changes how --phones")
    running.stop()


@pytest.mark.slow
def test_frames_of_conditioning(ask, tmp_path):
    model = small_model(**LOCAL, upsampling="repeat", num_stacks=1)
    running = serve(model, tmp_path)
    frames = np.random.default_rng(0).normal(size=(13, 5)).astype(np.float32)
    np.save(tmp_path / "frames.npy", frames)
    wt.write_audio(tmp_path / "prompt.wav", tone(0.01), RATE)  # 4 frames of 20
    prompt = soundfile.read(tmp_path / "prompt.wav", dtype="float32")[0][None]
    flags = running.flags(
        "rest", output_flag(tmp_path / "out.wav"), f"--features={tmp_path / 'frames.npy'}"
    )
    result = ask(*flags, "--seed=5")
    assert result.returncode == 0, result.stderr
    assert_generated(tmp_path / "out.wav", model, 260, local_conditioning=frames[None], seed=5)
    result = ask(*flags, "--seed=5", f"--prompt={tmp_path / 'prompt.wav'}")
    assert result.returncode == 0, result.stderr
    assert_generated(
        tmp_path / "out.wav", model, 180, prompt=prompt, local_conditioning=frames[None], seed=5
    )
    result = ask(*flags, "--mode=once")
    assert result.returncode == 0, result.stderr
    assert len(in_steps(tmp_path / "out.wav")) == 260
    running.stop()


@pytest.mark.slow
def test_eight_clients_at_once(speakers, ask, tmp_path):
    def stream(seed):
        protocol = "grpc" if seed < 2 else "rest"
        flags = [f"--seed={seed}", f"--speaker={NAMES[seed % 3]}", "--seconds=0.1"]
        return ask(*speakers.flags(protocol, output_flag(tmp_path / f"{seed}.wav"), *flags))

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(stream, range(8)))
    for seed, result in enumerate(results):
        assert result.returncode == 0, result.stderr
        assert_generated(
            tmp_path / f"{seed}.wav", speakers.model, 800, speaker_id=seed % 3, seed=seed
        )


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_it_asks_again_while_the_server_is_not_ready(speakers, ask, tmp_path, protocol):
    speakers.served.refusals = [
        ("UNAVAILABLE", "The batch scheduling queue is full"),
        ("FAILED_PRECONDITION", UNLIKE_LENGTHS),
    ]
    flags = speakers.flags(
        protocol, output_flag(tmp_path / "out.wav"), "--seconds=0.02", "--speaker=theo"
    )
    result = ask(*flags, "--seed=1")
    assert result.returncode == 0, result.stderr
    assert_generated(tmp_path / "out.wav", speakers.model, 160, speaker_id=2, seed=1)
    assert speakers.served.requests.count("metadata") == 3
    if protocol == "rest":
        speakers.served.refusals = [("UNAVAILABLE", "not\nyet")] * 2
        assert_refused(ask(*flags, "--retries=1"), "is not ready: not")


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_errors_are_one_line(speakers, ask, tmp_path, protocol):
    speakers.served.seconds = 1.0
    flags = speakers.flags(
        protocol, output_flag(tmp_path / "out.wav"), "--speaker=theo", "--retries=1"
    )
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and nobody listens
        away = f"--server=127.0.0.1:{unused.getsockname()[1]}"
        speakers.served.changes = {"temperature": np.array([-1.0], np.float32)}
        wrong = ["--mode=once", "--seconds=0.1"]
        with ThreadPoolExecutor(4) as pool:
            told = pool.map(
                lambda more: ask(*flags, *more),
                [[away], ["--deadline_seconds=0.3"], ["--model=other"], wrong],
            )
            assert_refused(next(told), "cannot be reached or is not ready")
            assert_refused(next(told), "did not answer within 0.3 s")
            assert_refused(next(told), "has no model other: Servable not found for request: Latest")
            assert_refused(next(told), "assertion failed: [temperature must be 0 or above; recei")
    assert speakers.served.requests.count("serving_default") == 1  # a refusal is final
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.slow
def test_wrong_flags_are_told(speakers, ask, tmp_path):
    flags = speakers.flags("rest", output_flag(tmp_path / "out.wav"), "--speaker=theo")
    assert_refused(ask(*flags, "--speaker=nobody"), "must be one of george, lucas, theo; received")
    assert_refused(ask(*flags, "--mode=once", "--seconds=0.6"), "at most 0.5 s at once")
    assert_refused(ask(*flags, "--output=out.mp3"), "--output must be a WAV file")
    assert_refused(ask(*flags, "--mode=once", "--prompt=a.wav"), "--prompt needs --mode stream")
    assert_refused(ask(*flags, "--features=nowhere.npy"), "no NumPy file at nowhere.npy")
    assert_refused(ask(*flags, f"--server={speakers.addresses['grpc']}"), "does not speak")


@pytest.mark.slow
def test_an_interrupted_stream_leaves_what_came(speakers, command, ask, tmp_path):
    output = tmp_path / "out.wav"
    flags = speakers.flags(
        "rest", output_flag(output), "--seconds=0.2", "--speaker=george", "--seed=7"
    )
    expected = audio.to_16_bits(speakers.model.generate(1600, speaker_id=0, seed=7)[0])

    def assert_begun():
        steps = in_steps(output)
        assert BLOCK <= len(steps) < 1600
        np.testing.assert_allclose(steps, expected[: len(steps)], atol=1)

    # Killed, with no time left to tidy up.
    speakers.served.seconds = 0.2
    with subprocess.Popen([sys.executable, *command(*flags)]) as client:
        deadline = time.monotonic() + 60
        while speakers.served.requests.count("generate_block") < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        client.kill()
    assert_begun()
    speakers.served.reset()
    # The server is gone in the midst of it.
    speakers.served.refusals = [None] * 5 + [("UNAVAILABLE", "Socket closed")]
    result = ask(*flags, "--retries=0")
    assert_refused(result, "is not ready", "out.wav holds 0.04 of 0.20 s")
    assert_begun()


class StrangeHandler(BaseHTTPRequestHandler):
    """A server that is none of TensorFlow's; the name of the model says what it answers.

    `server.answers` holds, by that name, the value of "outputs" for each signature; bytes are the
    whole body.
    """

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        name = re.fullmatch("/v1/models/([^/:]+):predict", self.path).group(1)
        answers = self.server.answers[name]
        self.server.asked[name] = count = self.server.asked.get(name, -1) + 1
        answer = answers[min(count, len(answers) - 1)]
        if answer is None:
            return  # closes the connection without an answer
        content = answer if isinstance(answer, bytes) else json.dumps({"outputs": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):
            if name == "dripping":
                for byte in content:
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.05)
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.mark.slow
def test_strange_answers_are_told_and_replace_no_file(speakers, ask, tmp_path):
    facts = deployment.SavedModelSignatures(speakers.model, BLOCK, 0.5).metadata
    metadata, state = [json.dumps(facts)], {"state_previous": [0], "state_block_0": [[[0.5]]]}
    half, nan = [[0.5] * BLOCK], [[float("nan")] * BLOCK]
    cases = {
        "list": ([b"[1, 2]"], "does not speak TensorFlow Serving's REST"),
        "deep": ([b"[" * 100_000], "does not speak"),
        "torn": ([b'{"outputs": ['], "does not speak"),
        "dripping": ([b'{"outputs": ' + b" " * 1000], "did not answer within 2 s"),
        "words": (["hello"], "answered with no metadata"),
        "number": ([5], "answered with no metadata"),
        "nothing": ([[]], "answered with no metadata"),
        "other_model": ([['{"sample_rate": 8000}']], "must hold conditioning: a list of any of"),
        "no_rate": ([[json.dumps({**facts, "sample_rate": "8000"})]], "must hold sample_rate"),
        "no_limit": ([[json.dumps({**facts, "max_samples": None})]], "must hold max_samples"),
        "no_state": ([metadata, {}], "must answer with a state; received nothing"),
        "other_state": ([metadata, {"audio": [[0.0]]}], "must answer with a state of 1 streams"),
        "two_states": ([metadata, {"state_previous": [0, 0]}], "must answer with a state of 1"),
        "no_dict": ([metadata, [1, 2]], "does not speak"),
        "no_audio": ([metadata, state, state], "must answer with audio of 1 streams; received not"),
        "nan": ([metadata, state, {"audio": nan, **state}], "audio that holds NaN or infinity"),
        "short": ([metadata, state, {"audio": [[0.5]], **state}], "must answer with 100 samples"),
        "ragged": ([metadata, state, {"audio": [[0.5], []], **state}], "does not speak"),
        "text": ([metadata, state, {"audio": [["a"] * BLOCK], **state}], "received <U1 of shape"),
        "gone": ([metadata, state, None], "cannot be reached or is not ready"),
        "gone_later": ([metadata, state, {"audio": half, **state}, None], "holds 0.01 of 0.05 s"),
        "once_nan": ([metadata, nan * 4], "audio of 1 streams; received float64 of shape [4, 100]"),
        "once_short": ([metadata, nan], "must answer with 400 samples of audio; received 100"),
        "once": ([metadata, [nan[0] * 4]], "audio that holds NaN or infinity"),
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), StrangeHandler)
    server.asked, server.answers = {}, {name: answers for name, (answers, _) in cases.items()}
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def told(name):
        output = tmp_path / f"{name}.wav"
        output.write_bytes(b"of a run before")
        flags = [f"--server=127.0.0.1:{server.server_port}", "--protocol=rest", f"--model={name}"]
        flags += [f"--output={output}", "--seconds=0.05", "--speaker=theo", "--retries=0"]
        if name == "dripping":
            flags.append("--deadline_seconds=2")
        if name.startswith("once"):
            flags.append("--mode=once")
        return ask(*flags)

    with ThreadPoolExecutor(4) as pool:
        results = dict(zip(cases, pool.map(told, cases), strict=True))
    server.shutdown()
    server.server_close()
    for name, (_, message) in cases.items():
        assert_refused(results[name], message)
        if name != "gone_later":
            assert (tmp_path / f"{name}.wav").read_bytes() == b"of a run before"
    np.testing.assert_array_equal(in_steps(tmp_path / "gone_later.wav"), [16384] * BLOCK)
    assert len(list(tmp_path.glob("*.wav"))) == len(cases)  # and no temporary file


# Of the server's session_bundle_config.proto and monitoring_config.proto, which the package lacks.
WRAPPED = ".google.protobuf.Int64Value"
FORMATS = {
    "BatchingParameters": {
        "max_batch_size": WRAPPED,
        "batch_timeout_micros": WRAPPED,
        "max_enqueued_batches": WRAPPED,
        "num_batch_threads": WRAPPED,
        "pad_variable_length_inputs": bool,
    },
    "PrometheusConfig": {"enable": bool, "path": str},
    "MonitoringConfig": {"prometheus_config": ".formats.PrometheusConfig"},
}


def read(file, message):
    return text_format.Parse((ROOT / "export" / "serving" / file).read_text(), message)


def test_the_servers_files_are_of_its_formats():
    models = read("models.config", model_server_config_pb2.ModelServerConfig())
    (config,) = models.model_config_list.config
    assert (config.name, config.base_path) == ("wavenet", "/models/wavenet")
    assert config.model_version_policy.latest.num_versions == 1
    formats = descriptor_pb2.FileDescriptorProto(
        name="formats.proto", package="formats", dependency=[wrappers_pb2.DESCRIPTOR.name]
    )
    kinds = {bool: descriptor_pb2.FieldDescriptorProto.TYPE_BOOL}
    kinds[str] = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
    for name, fields in FORMATS.items():
        message = formats.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), start=1):
            kind = {"type": kinds[kind]} if kind in kinds else {"type": 11, "type_name": kind}
            message.field.add(name=field, number=number, label=1, **kind)
    messages = message_factory.GetMessages([formats], descriptor_pool.Default())
    batching = read("batching_parameters.txt", messages["formats.BatchingParameters"]())
    assert batching.max_batch_size.value == 64
    assert not batching.pad_variable_length_inputs
    monitoring = read("monitoring.config", messages["formats.MonitoringConfig"]())
    assert monitoring.prometheus_config.enable
