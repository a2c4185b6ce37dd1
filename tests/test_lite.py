"""The runner of TFLite files, where TensorFlow is and where it is not, and its programs."""

import functools

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from conftest import ROOT, TENSORFLOW, run_program, small_model, tone
from corruption import with_nan_weights
from oracles import assert_drawn_from, random_conditions
from registry import LOCAL

import wavenet_tf as wt
from wavenet_tf import audio, deployment, models, runs, sampling
from wavenet_tf.errors import InputError

lite = pytest.importorskip("wavenet_tf.lite", exc_type=ImportError)

RATE = 8000
NAMES = ["george", "lucas", "theo"]
MODELS = {
    "voices": {"num_speakers": 3, "speaker_names": NAMES},
    # By number only.
    "melody": {
        **LOCAL,
        "upsampling": "repeat",
        "layers_per_stack": 2,
        "num_speakers": 2,
    },
    "framed": {**LOCAL, "global_channels": 2, "output_distribution": "logistic_mixture"},
}
SIZES = {"voices": (64, 2), "melody": (60, 1), "framed": (40, 2)}


@functools.cache
def model_of(kind) -> wt.WaveNet:
    return small_model(**MODELS[kind])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """TFLite files by the name of their model."""
    folder = tmp_path_factory.mktemp("files")
    for kind, (block_size, streams) in SIZES.items():
        signatures = deployment.TFLiteSignatures(model_of(kind), block_size, streams)
        (folder / f"{kind}.tflite").write_bytes(deployment.convert(signatures))
    return {kind: folder / f"{kind}.tflite" for kind in MODELS}


@pytest.fixture(scope="module")
def voices(files):
    return lite.Runner(files["voices"])


@pytest.fixture(scope="module")
def framed(files):
    return lite.Runner(files["framed"])


def made(stream, blocks):
    return np.concatenate([next(stream) for _ in range(blocks)], axis=1)


@pytest.mark.slow
@pytest.mark.once
def test_a_stream_is_what_the_model_generates(voices):
    assert (voices.sample_rate, voices.block_size, voices.batch_size) == (RATE, 64, 2)
    stream = voices.stream(seed=5, speaker_id=[2, 0])
    blocks = [next(stream) for _ in range(4)]
    assert {(block.shape, block.dtype) for block in blocks} == {((2, 64), np.dtype("float32"))}
    expected = model_of("voices").generate(256, 2, seed=5, speaker_id=[2, 0])
    np.testing.assert_allclose(np.concatenate(blocks, axis=1), expected, atol=1e-6)


def test_a_stream_ends_with_its_frames(framed):
    conditions = random_conditions(model_of("framed"), 2, 300)
    blocks = list(framed.stream(seed=5, **conditions))
    assert [block.shape[1] for block in blocks] == 7 * [40] + [20]
    audio = np.concatenate(blocks, axis=1)
    assert_drawn_from(model_of("framed"), audio, 5, conditions=conditions)


def test_a_prompt_goes_on_as_the_model_does(framed, voices):
    prompt = np.stack([tone(0.0075), tone(0.0075, frequency=300.0)])  # 60 samples, 1.5 blocks
    conditions = random_conditions(model_of("framed"), 2, 60 + 160)
    stream = framed.stream(prompt, seed=5, **conditions)
    audio = np.concatenate(list(stream), axis=1)
    assert audio.shape == (2, 160)
    assert_drawn_from(model_of("framed"), audio, 5, prompt, conditions)
    # One prompt for both streams, longer than the receptive field and of any length.
    prompt = tone(0.0301)[None]
    audio = made(voices.stream(prompt, seed=3, speaker_id=1), 4)
    expected = model_of("voices").generate(256, 2, prompt, seed=3, speaker_id=1)
    np.testing.assert_allclose(audio, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["voices", "framed"])
def test_priming_tells_how_likely_a_recording_is(files, kind):
    runner, model = lite.Runner(files[kind]), model_of(kind)
    recording = np.stack([tone(0.0325), tone(0.0325, frequency=300.0)])
    conditions = random_conditions(model, 2, 260)
    state, scores = runner.prime(recording, **conditions)
    expected = models.log_likelihood(model, recording, conditions)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3)
    assert set(state) == set(sampling.state_specs(model))


def test_an_empty_prompt_is_none(voices):
    state, scores = voices.prime(np.zeros([1, 0]), speaker_id=1)
    assert scores.shape == (2, 0)
    for name, value in voices.initial_state(speaker_id=1).items():
        np.testing.assert_array_equal(state[name], value)


def test_a_state_goes_on(voices):
    generator = np.random.default_rng(5)  # a seed as good as its number
    first = voices.stream(seed=generator, speaker_id=1)
    begun = made(first, 2)
    # Other streams between do not matter.
    made(voices.stream(seed=0, speaker_id=2), 1)
    rest = made(voices.stream(seed=generator, state=first.state, speaker_id=1), 2)
    whole = made(voices.stream(seed=5, speaker_id=1), 4)
    np.testing.assert_array_equal(np.concatenate([begun, rest], axis=1), whole)


def test_seeds_temperature_and_threads(files, voices):
    def audio(runner=voices, **arguments):
        return made(runner.stream(**{"speaker_id": 1, "seed": 1, **arguments}), 2)

    np.testing.assert_array_equal(audio(), audio())
    np.testing.assert_allclose(audio(), audio(lite.Runner(files["voices"], 2)), atol=1e-6)
    assert not np.array_equal(audio(), audio(seed=2))
    assert not np.array_equal(audio(seed=None), audio(seed=None))
    assert not np.array_equal(audio()[0], audio()[1])
    expected = model_of("voices").generate(128, 2, seed=1, speaker_id=1, temperature=0.7)
    np.testing.assert_allclose(audio(temperature=0.7), expected, atol=1e-6)


def test_the_real_time_factor_is_audio_by_time(voices):
    stream = voices.stream(seed=0, speaker_id=1)
    assert (stream.samples_done, stream.seconds, stream.real_time_factor) == (0, 0.0, 0.0)
    made(stream, 3)
    assert stream.samples_done == 192
    assert stream.seconds > 0.0
    np.testing.assert_allclose(stream.real_time_factor, 192 / RATE / stream.seconds)


SAMPLES = """
import sys
import numpy as np
from wavenet_tf import lite

runner = lite.Runner(sys.argv[1])
prompt = np.linspace(-0.5, 0.5, 100, dtype=np.float32)[None]
stream = runner.stream(prompt, seed=5, speaker_id=1)
np.save(sys.argv[2], np.concatenate([next(stream) for _ in range(3)], axis=1))
assert stream.real_time_factor > 0.0
print(lite.Interpreter.__module__, "tensorflow" in sys.modules)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "told"),
    [
        (TENSORFLOW, "ai_edge_litert.interpreter False"),
        ("ai_edge_litert", "tensorflow.lite.python.interpreter True"),
    ],
)
def test_either_runtime_is_enough(files, voices, run_without, tmp_path, missing, told):
    if told.startswith("ai_edge"):
        pytest.importorskip("ai_edge_litert", exc_type=ImportError)
    ran = run_without(missing, SAMPLES, files["voices"], tmp_path / "audio.npy")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == told
    prompt = np.linspace(-0.5, 0.5, 100, dtype=np.float32)[None]
    expected = made(voices.stream(prompt, seed=5, speaker_id=1), 3)
    np.testing.assert_allclose(np.load(tmp_path / "audio.npy"), expected, atol=1e-6)


def test_what_is_missing_is_told(run_without):
    ran = run_without(f"ai_edge_litert,{TENSORFLOW}", "from wavenet_tf import lite\n")
    assert ran.returncode == 1
    assert "needs ai-edge-litert (pip install ai-edge-litert) or TensorFlow" in ran.stderr
    ran = run_without(TENSORFLOW, "import wavenet_tf\nwavenet_tf.WaveNet\n")
    assert "WaveNet is not there: it may need TensorFlow, which is not installed" in ran.stderr


VECTOR, FRAMES = np.zeros([1, 2]), np.zeros([1, 4, 5])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "global_conditioning must be given: the model is conditioned on global_cond"),
        (
            {"speaker_id": 0},
            "speaker_id must not be given: the model is conditioned on glob",
        ),
        (
            {"local_conditioning": FRAMES[0]},
            r"\[2 or 1, frames, 5\]; received shape \[4, 5\]",
        ),
        ({"local_conditioning": FRAMES[..., 1:]}, r"shape \[2 or 1, frames, 5\]; received shape"),
        ({"local_conditioning": FRAMES[:, :0]}, r"received shape \[1, 0, 5\]"),
        ({"local_conditioning": np.zeros([3, 4, 5])}, r"received shape \[3, 4, 5\]"),
        ({"local_conditioning": FRAMES * np.nan}, "local_conditioning holds numbers that are not"),
        ({"local_conditioning": FRAMES + 1e300}, "local_conditioning holds numbers that are not"),
        ({"local_conditioning": "frames"}, "local_conditioning must be an array of numbers"),
        ({"local_conditioning": [[0.0], [0.0, 1.0]]}, "must be an array of numbers"),
        ({"global_conditioning": np.zeros(2)}, r"shape \[2 or 1, 2\]; received shape \[2\]"),
        ({"global_conditioning": np.full([1, 2], np.inf)}, "global_conditioning holds numbers"),
        ({"prompt": np.zeros(20)}, r"audio must have shape \[2 or 1, samples\]; received"),
        ({"prompt": np.zeros([3, 20])}, r"received shape \[3, 20\]"),
        ({"prompt": np.zeros([1, 21])}, "whole frames of 20 samples; received 21"),
        ({"prompt": np.full([1, 20], np.nan)}, "audio holds numbers that are not finite"),
        ({"prompt": "tone.wav"}, "audio must be an array of numbers"),
        ({"prompt": np.zeros([1, 80])}, "must go beyond the prompt of 80 samples"),
        ({"prompt": np.zeros([1, 100])}, "a frame for each 20 samples of audio; received 4 fr"),
        ({"prompt": np.zeros([1, 20]), "state": {}}, "a prompt or a state to continue from, not"),
        ({"temperature": -0.1}, "temperature must be 0 or above; received -0.1"),
        ({"temperature": np.nan}, "temperature must be 0 or above; received nan"),
        ({"temperature": np.inf}, "temperature must be 0 or above; received inf"),
        ({"temperature": "warm"}, "temperature must be 0 or above; received 'warm'"),
        ({"seed": -1}, "seed must be a whole number of at least 0; received -1"),
        ({"seed": 0.5}, "seed must be a whole number of at least 0; received 0.5"),
        ({"state": {}}, "a state of this model needs state_"),
        ({"state": (1, 2)}, "state must be a dict of arrays; received tuple"),
    ],
)
def test_what_is_wrong_is_told(framed, arguments, message):
    right = {"global_conditioning": VECTOR, "local_conditioning": FRAMES}
    with pytest.raises(InputError, match=message):
        framed.stream(**{**right, **arguments} if arguments else {})
    assert np.isfinite(next(framed.stream(**right))).all()


@pytest.mark.parametrize("speaker", [3, -1, 1.0, True, "theo", [0, 1, 2], [[1, 1]], 2**40, []])
def test_speakers_that_are_none_are_told(voices, speaker):
    with pytest.raises(InputError, match="speaker_id must"):
        voices.initial_state(speaker_id=speaker)


def test_states_of_another_kind_are_told(voices, framed):
    state = voices.initial_state(speaker_id=1)
    other = framed.initial_state(global_conditioning=VECTOR, local_conditioning=FRAMES)

    def refuses(state, message):
        with pytest.raises(InputError, match=message):
            voices.stream(state=state, speaker_id=1)

    name = "state_block_5"
    refuses(other, "state_input_convolution must be int32 .*; received float32")
    refuses({**state, name: state[name][:1]}, f"{name} must be float32 of shape .*; received")
    refuses({**state, name: state[name].astype(float)}, f"{name} must be .* received float64")
    refuses({**state, name: state[name] * np.nan}, f"{name} holds numbers that are not finite")
    refuses({**state, "state_block_6": state[name]}, "takes no state_block_6")
    rest = {key: value for key, value in state.items() if key != name}
    refuses(rest, f"a state of this model needs {name}")
    # What the interpreter itself finds.
    impossible = {**state, "state_previous": np.full(2, 10**6, np.int32)}
    with pytest.raises(InputError, match="the model cannot take these inputs"):
        next(voices.stream(state=impossible, speaker_id=1))
    np.testing.assert_array_equal(
        next(voices.stream(state=state, seed=1, speaker_id=1)),
        next(voices.stream(seed=1, speaker_id=1)),
    )


def test_signatures_take_tensors_of_their_shape_only(voices):
    state = voices.initial_state(speaker_id=1)
    speaker = np.ones(2, np.int32)
    right = {
        "uniforms": np.full([2, 64], 0.5, np.float32),
        "temperature": np.ones(2, np.float32),
        "speaker_id": speaker,
        **state,
    }
    expected = voices.call_signature("generate_block", **right)["audio"]
    for name, wrong in (
        ("uniforms", right["uniforms"][:, 1:]),
        ("uniforms", right["uniforms"][0]),
        ("uniforms", right["uniforms"][:1]),
        ("uniforms", right["uniforms"].astype(float)),
        ("uniforms", right["uniforms"] * np.nan),
        ("uniforms", right["uniforms"] * 2),  # 1, which no draw reaches
        ("uniforms", right["uniforms"] - 1),
        ("temperature", 1.0),
        ("speaker_id", speaker.astype(np.int64)),
    ):
        with pytest.raises(InputError, match=f"^{name} (must be|holds)"):
            voices.call_signature("generate_block", **{**right, name: wrong})
    with pytest.raises(InputError, match="generate_block takes no speed"):
        voices.call_signature("generate_block", **right, speed=1.0)
    del right["uniforms"]
    with pytest.raises(InputError, match="generate_block needs uniforms"):
        voices.call_signature("generate_block", **right)
    right["uniforms"] = np.full([2, 64], 0.5, np.float32)
    np.testing.assert_array_equal(
        voices.call_signature("generate_block", **right)["audio"], expected
    )


def test_files_that_are_none_are_told(files, tmp_path):
    content = files["voices"].read_bytes()
    renamed = content.replace(b"generate_block", b"generate_clock")
    other = tf.function(tf.square, [tf.TensorSpec([2])], autograph=False).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([other], tf.Module())
    for wrong, message in (
        (b"", "is no TFLite file, or is damaged"),
        (b"no model" * 1000, "is no TFLite file, or is damaged: its identifier"),
        (content[:8] + bytes(len(content) - 8), "is no TFLite file"),
        (content[:-1], "is damaged: its checksum"),
        (content + b"\0", "is damaged: its checksum"),
        (renamed, "is damaged: its checksum"),
        (
            lite.with_checksum(renamed),
            "is no TFLite file of a WaveNet: its signatures are .*_clock",
        ),
        (content.replace(b"wavenet_sha256", b"wavenet_sha257"), "damaged: it has no checksum"),
        (converter.convert(), "no TFLite file that export/tflite.py wrote: it has no metadata"),
        (
            lite.with_checksum(content.replace(b'"sample_rate"', b'"simple_rate"')),
            "the metadata of .* must hold sample_rate: a whole number above 0; received 'None'",
        ),
        (
            lite.with_checksum(content.replace(b'["speaker_id"]', b'["dialect_id"]')),
            "must hold conditioning: a list of any of speaker_id, .*; received",
        ),
        (
            lite.with_checksum(content.replace(b'"num_speakers": 3', b'"num_speakers": 7')),
            "a name for",
        ),
        (lite.with_checksum(content.replace(b'{"wavenet_tf', b'["wavenet_tf')), "is not JSON"),
    ):
        (tmp_path / "model.tflite").write_bytes(wrong)
        with pytest.raises(InputError, match=message):
            lite.Runner(tmp_path / "model.tflite")
    for path in (tmp_path, tmp_path / "none.tflite"):
        with pytest.raises(InputError, match=f"^cannot read {path}: "):
            lite.Runner(path)
    with pytest.raises(InputError, match="threads must be a whole number of at least 1"):
        lite.Runner(files["voices"], 0)


# In a process of its own, which a crash of the interpreter would end.
THREADS = """
import os, sys, threading
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from wavenet_tf import lite

runner = lite.Runner(sys.argv[1])

def sample(seed):
    prompt = np.full([1, 100], seed / 10, np.float32)
    stream = runner.stream(prompt if seed % 2 else None, seed=seed, speaker_id=seed % 3)
    return np.concatenate([next(stream) for _ in range(20)], axis=1)

alone = [sample(seed) for seed in range(6)]
with ThreadPoolExecutor(6) as pool:
    at_once = list(pool.map(sample, range(6)))
for expected, audio in zip(alone, at_once):
    np.testing.assert_array_equal(audio, expected)
assert len({audio.tobytes() for audio in at_once}) == 6
assert 1 < len(runner.interpreters.idle) <= max(2, os.cpu_count()), runner.interpreters.idle

# One stream, whose blocks several threads take: each block goes to one of them.
stream, blocks, start = runner.stream(seed=0, speaker_id=0), [], threading.Barrier(4)

def take(_):
    start.wait()
    for _ in range(5):
        blocks.append(next(stream))

with ThreadPoolExecutor(4) as pool:
    list(pool.map(take, range(4)))
whole = {block.tobytes() for block in np.split(alone[0], 20, axis=1)}
assert {block.tobytes() for block in blocks} == whole and len(blocks) == 20
print("same audio")
"""


def test_threads_share_a_runner_and_a_stream(files, run_without):
    ran = run_without(TENSORFLOW, THREADS, files["voices"])
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "same audio"


def test_audio_that_is_no_number_is_an_error(files, tmp_path):
    (tmp_path / "nan.tflite").write_bytes(with_nan_weights(files["framed"].read_bytes()))
    with pytest.raises(InputError, match="answered with audio that holds NaN or infinity"):
        lite.Runner(tmp_path / "nan.tflite").check_sampling()
    for path in files.values():
        lite.Runner(path).check_sampling()


# In a process of its own, which a crash of the interpreter would end.
DAMAGES = """
import random, sys
from pathlib import Path
from wavenet_tf import lite
from wavenet_tf.errors import InputError

content, path = Path(sys.argv[1]).read_bytes(), sys.argv[2]
runner, chance = lite.Runner(sys.argv[1]), random.Random(0)

def try_out(damaged):
    Path(path).write_bytes(damaged)
    try:
        next(lite.Runner(path).stream(speaker_id=1))
    except InputError as error:
        return str(error)
    raise AssertionError("a damaged file was taken")

for length in range(0, len(content), len(content) // 97):
    try_out(content[:length])
for count in 200 * [1] + 50 * [10] + 50 * [1000]:
    damaged = bytearray(content)
    for place in chance.sample(range(len(content)), count):
        damaged[place] ^= chance.randrange(1, 256)
    try_out(damaged)
next(runner.stream(speaker_id=1))
print("still here")
"""


def test_damaged_files_are_told_and_crash_nothing(files, run_without, tmp_path):
    ran = run_without(TENSORFLOW, DAMAGES, files["voices"], tmp_path / "damaged.tflite")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "still here"


GENERATE = ROOT / "export" / "generate_tflite.py"


def in_steps(path):
    """Samples in steps of 16 bits, [time, streams]."""
    steps, rate = soundfile.read(path, dtype="int16", always_2d=True)
    assert rate == RATE
    return steps


def assert_refused(result, *told):
    assert result.returncode == 1, result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    for words in told:
        assert words in result.stderr


def test_the_program_writes_what_the_runner_makes(files, voices, run_without, tmp_path):
    wt.write_audio(tmp_path / "prompt.wav", tone(0.0301), RATE)
    prompt = soundfile.read(tmp_path / "prompt.wav", dtype="float32")[0][None]
    result = run_without(
        TENSORFLOW,
        GENERATE,
        f"--model={files['voices']}",
        f"--output={tmp_path / 'made' / 'out.flac'}",
        "--seconds=0.02",
        "--seed=4",
        "--speaker=lucas",
        "--temperature=0.8",
        f"--prompt={tmp_path / 'prompt.wav'}",
        "--threads=2",
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    (line,) = result.stdout.splitlines()
    assert "out.flac: 0.02 s at 8000 Hz, " in line
    assert "real-time factor " in line and line.endswith(", 2 threads")
    expected = made(voices.stream(prompt, 0.8, seed=4, speaker_id=1), 3)[:, :160]
    np.testing.assert_array_equal(
        in_steps(tmp_path / "made" / "out.flac"), audio.to_16_bits(expected.T)
    )


@pytest.mark.slow
def test_the_program_takes_frames_and_speakers_without_a_name(files, run_without, tmp_path):
    model, output = model_of("melody"), tmp_path / "out.wav"
    frames = np.random.default_rng(0).normal(size=(13, 5)).astype(np.float32)
    np.save(tmp_path / "frames.npy", frames)
    wt.write_audio(tmp_path / "prompt.wav", tone(0.01), RATE)  # 4 frames of 20
    prompt = soundfile.read(tmp_path / "prompt.wav", dtype="float32")[0][None]
    flags = [f"--model={files['melody']}", f"--output={output}", "--speaker=1", "--seed=5"]
    flags.append(f"--features={tmp_path / 'frames.npy'}")
    for more, start in (([], None), ([f"--prompt={tmp_path / 'prompt.wav'}"], prompt)):
        result = run_without(TENSORFLOW, GENERATE, *flags, *more)
        assert result.returncode == 0, result.stderr
        samples = 260 - (0 if start is None else 80)
        expected = model.generate(
            samples, prompt=start, seed=5, local_conditioning=frames[None], speaker_id=1
        )
        assert len(np.unique(expected)) > 20
        np.testing.assert_array_equal(in_steps(output), audio.to_16_bits(expected.T))


@pytest.mark.slow
def test_the_programs_errors_are_one_line(files, run_without, tmp_path):
    output = tmp_path / "out.wav"
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(files["voices"].read_bytes()[:-100])
    wt.write_audio(tmp_path / "other.wav", tone(0.01), 16000)
    (tmp_path / "empty.npy").touch()
    np.savez(tmp_path / "several.npz", a=np.zeros(2), b=np.zeros(2))
    (tmp_path / "torn.npz").write_bytes(b"PK\3\4 torn")
    with (tmp_path / "larger_than_memory.npy").open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (10**12, 5)}
        np.lib.format.write_array_header_1_0(file, header)
    (tmp_path / "torn_header.npy").write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4' (")
    np.save(tmp_path / "frames.npy", np.zeros([3, 5]))
    np.save(tmp_path / "words.npy", np.array([["a", "b"]]))

    def refuses(kind, words, *flags):
        right = [f"--model={files[kind]}", f"--output={output}", "--seconds=0.01"]
        result = run_without(TENSORFLOW, GENERATE, *right, *flags)
        assert_refused(result, "generate_tflite.py: ", words)

    refuses("voices", "no TFLite file at nowhere.tflite", "--model=nowhere.tflite")
    refuses("voices", "is no TFLite file, or is damaged", f"--model={damaged}")
    refuses("voices", "must be one of george, lucas, theo; received None")
    refuses("voices", "must be one of george, lucas, theo; received 1", "--speaker=1")
    refuses("melody", "must be one of 0, 1; received theo", "--speaker=theo")
    theo = "--speaker=theo"
    refuses("voices", "seconds must be finite and give", theo, "--seconds=0")
    refuses("voices", "seconds must be finite and give", theo, "--seconds=inf")
    refuses(
        "voices",
        "temperature must be 0 or above, and finite; received nan",
        theo,
        "--temperature=nan",
    )
    refuses("voices", "seed must be a whole number from 0 to 4294967295", theo, "--seed=-1")
    refuses("voices", "--output must be a WAV or FLAC file", theo, "--output=out.mp3")
    refuses("voices", "no recording at nowhere.wav", theo, "--prompt=nowhere.wav")
    other = f"--prompt={tmp_path / 'other.wav'}"
    refuses("voices", "must be at 8000 Hz; it is at 16000 Hz", theo, other)
    features = f"--features={tmp_path / 'frames.npy'}"
    refuses("voices", "local_conditioning must not be given", theo, features)
    refuses("voices", "unexpected argument 'word'", theo, "word")
    one = "--speaker=1"
    refuses("melody", "local_conditioning must be given: the model is conditioned on", one)
    nowhere = f"--features={tmp_path / 'nowhere.npy'}"
    refuses("melody", f"no NumPy file at {tmp_path / 'nowhere.npy'}", one, nowhere)
    for name in (
        "empty.npy",
        "several.npz",
        "torn.npz",
        "larger_than_memory.npy",
        "torn_header.npy",
    ):
        features = f"--features={tmp_path / name}"
        refuses("melody", f"{name} as a NumPy array: ", one, features)
    (tmp_path / "words.flac").write_text("no audio")
    refuses("voices", "words.flac as audio: ", theo, f"--prompt={tmp_path / 'words.flac'}")
    features = f"--features={tmp_path / 'words.npy'}"
    refuses("melody", "local_conditioning must be an array of numbers", one, features)
    assert not output.exists()


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    """A folder as a training run leaves it, as far as the exporter reads it."""
    folder = tmp_path_factory.mktemp("run")
    model_of("voices").save(folder / runs.FINAL_MODEL)
    return folder


def export(*flags):
    return run_program("../export/tflite.py", *flags)


@pytest.mark.slow
def test_the_exporting_program(model_dir, run_without, tmp_path):
    output = tmp_path / "exported" / "model.tflite"
    result = export(
        f"--model_dir={model_dir}",
        f"--output={output}",
        "--quantization=float16",
        "--block_size=64",
        "--batch_size=2",
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    loaded, line = result.stdout.splitlines()
    assert loaded.startswith("loaded model.keras of step ")
    assert f"{output.stat().st_size / 1e6:.2f} MB, blocks of 64 samples at 8000 Hz" in line
    assert "quantization float16" in line
    assert [path.name for path in output.parent.iterdir()] == ["model.tflite"]
    metadata = deployment.TFLiteSignatures(model_of("voices"), 64, 2).metadata
    expected = {**metadata, "quantization": "float16"}
    assert lite.read_metadata(output) == expected
    flags = [f"--model={output}", f"--output={tmp_path / 'out.wav'}", "--speaker=theo"]
    result = run_without(TENSORFLOW, GENERATE, *flags, "--seconds=0.1", "--seed=1")
    assert result.returncode == 0, result.stderr
    assert in_steps(tmp_path / "out.wav").shape == (800, 2)


def test_the_exporting_programs_errors_are_one_line(model_dir, tmp_path):
    output = f"--output={tmp_path / 'model.tflite'}"
    assert_refused(export("--model_dir=nowhere", output), "tflite.py: ", "nowhere")
    result = export(f"--model_dir={model_dir}", output, "--block_size=-1")
    assert_refused(result, "flag --block_size=-1: -1 is not a positive integer")
    assert not list(tmp_path.iterdir())
