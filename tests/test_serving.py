"""Exported SavedModels against the model they were made of."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import run_program, small_model, tone
from oracles import assert_drawn_from, frames_of, random_conditions, uniforms_of
from registry import EXPORTED, HOP, LOCAL

import wavenet_tf as wt
from wavenet_tf import deployment, models, runs, sampling
from wavenet_tf.errors import InputError

pytestmark = pytest.mark.slow

BLOCK = 2 * HOP


def streamed(signatures, metadata, conditions, samples, batch, seed, state=None, skipped=0):
    """Audio made block after block, from the uniform numbers of `WaveNet.generate`."""
    generator = np.random.default_rng(seed)
    if state is None:
        first = conditions or {"streams": np.zeros(batch, np.int32)}
        state = signatures["initial_state"](**first)
    shape = [2] if metadata["uniforms_per_sample"] == 2 else []
    block_size, blocks = metadata["block_size"], []
    for block in range(samples // block_size):
        uniforms = generator.random([block_size, batch, *shape], np.float32).swapaxes(0, 1)
        answer = signatures["generate_block"](
            uniforms=uniforms,
            temperature=np.ones(batch, np.float32),
            **frames_of(conditions, metadata, block + skipped // block_size),
            **state,
        )
        blocks.append(answer.pop("audio"))
        state = answer
    return np.concatenate(blocks, axis=1)


@pytest.fixture(scope="module", params=EXPORTED)
def exported(request, tmp_path_factory):
    """A model, the loaded signatures of its SavedModel, and its metadata."""
    model = small_model(**EXPORTED[request.param])
    directory = tmp_path_factory.mktemp("served") / "1"
    signatures = deployment.SavedModelSignatures(model, BLOCK, max_seconds=0.1)
    deployment.save(signatures, directory)
    loaded = tf.saved_model.load(str(directory))
    metadata = json.loads(
        Path(directory, "assets", deployment.saved_model.METADATA_FILE).read_text()
    )
    assert metadata == signatures.metadata
    told = loaded.signatures["metadata"](streams=np.zeros(2, np.int32))["json"].numpy()
    assert [json.loads(row) for row in told] == [metadata, metadata]
    return model, loaded.signatures, metadata


@pytest.mark.parametrize("batch", [1, 8])
def test_streaming_gives_what_the_model_generates(exported, batch):
    model, signatures, metadata = exported
    samples = 10 * BLOCK
    conditions = random_conditions(model, batch, samples)
    audio = streamed(signatures, metadata, conditions, samples, batch, seed=5)
    assert_drawn_from(model, audio, 5, conditions=conditions)
    if model.config.output_distribution == "categorical":
        expected = model.generate(samples, batch, seed=5, **conditions)
        np.testing.assert_allclose(audio, expected, atol=1e-6)


def test_a_prompt_goes_on_as_the_model_does(exported):
    model, signatures, metadata = exported
    prompt = np.stack([tone(0.02), tone(0.02, frequency=300.0)])  # 4 blocks of 40
    conditions = random_conditions(model, 2, 10 * BLOCK)
    state = signatures["prime"](audio=prompt, **conditions)
    audio = streamed(
        signatures, metadata, conditions, 6 * BLOCK, 2, 5, state, skipped=prompt.shape[1]
    )
    assert_drawn_from(model, audio, 5, prompt, conditions)


def test_score_is_the_likelihood_under_teacher_forcing(exported):
    model, signatures, _ = exported
    audio = np.stack([tone(0.05), tone(0.05, frequency=300.0)])
    conditions = random_conditions(model, 2, audio.shape[1])
    scores = signatures["score"](audio=audio, **conditions)["log_likelihood"]
    before = model.receptive_field
    codec = model.codec
    values, _ = codec.encode(np.pad(audio, [[0, 0], [before, 0]]), codec.initial_memory(2))
    inputs = {"audio": values[:, :-1], **conditions}
    local = model.trunk.local_conditioning(inputs, 1 - before, values.shape[1] - 1)
    parameters = model(inputs, local_conditioning=local)
    expected = model.distribution.log_likelihood(parameters, values[:, 1:])[:, before - 1 :]
    assert scores.shape == audio.shape
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)


def test_a_long_recording_is_scored_in_pieces_that_fit_together(exported, monkeypatch):
    model, signatures, _ = exported
    audio = tone(0.05)[None]
    conditions = random_conditions(model, 1, audio.shape[1])
    monkeypatch.setattr(models.scoring, "CHUNK_SIZE", 77)
    in_pieces = models.log_likelihood(model, audio, conditions)
    whole = signatures["score"](audio=audio, **conditions)["log_likelihood"]
    np.testing.assert_allclose(in_pieces, whole, rtol=1e-3, atol=1e-4)


def test_audio_at_once_depends_on_a_streams_own_request_only(exported):
    model, signatures, _ = exported
    conditions = random_conditions(model, 3, 300)
    request = {
        "seed": np.array([4, 5, 4], np.int32),
        "temperature": np.array([1.0, 1.0, 0.7], np.float32),
        **conditions,
    }
    if not model.hop_length:
        request["num_samples"] = np.array([300, 200, 250], np.int32)
    together = signatures["serving_default"](**request)["audio"].numpy()
    assert together.shape == (3, 300)
    for stream in range(3):
        length = request["num_samples"][stream] if "num_samples" in request else 300
        assert not together[stream, length:].any()
        seed = request["seed"][stream]
        shape = [BLOCK, *model.distribution.uniforms_shape]
        uniforms = [tf.random.stateless_uniform(shape, [seed, block]) for block in range(8)]
        assert_drawn_from(
            model,
            together[stream : stream + 1, :length],
            np.concatenate(uniforms)[None, :length],
            conditions={name: value[stream : stream + 1] for name, value in conditions.items()},
            temperature=request["temperature"][stream],
        )
    assert not np.array_equal(together[0, :200], together[1, :200])


def test_what_is_wrong_with_a_request_is_told(exported):
    model, signatures, metadata = exported
    ones = np.ones(1, np.float32)
    conditions = random_conditions(model, 1, 60)
    first = conditions or {"streams": np.zeros(1, np.int32)}
    state = signatures["initial_state"](**first)
    request = {"seed": np.zeros(1, np.int32), "temperature": ones, **conditions}
    if not model.hop_length:
        request["num_samples"] = np.array([60], np.int32)

    shape = [1, BLOCK, *model.distribution.uniforms_shape]
    block = {"uniforms": np.full(shape, 0.5, np.float32), "temperature": ones, **state}
    block |= frames_of(conditions, metadata, 0)

    def refuses(message, name, **changes):
        arguments = {
            "serving_default": request,
            "score": conditions | {"audio": ones[None]},
            "generate_block": block,
            "initial_state": first,
        }[name]
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            signatures[name](**{**arguments, **changes})

    refuses("temperature must be 0 or above", "serving_default", temperature=-ones)
    refuses("temperature holds NaN", "serving_default", temperature=ones * np.nan)
    refuses("temperature must have as many rows", "serving_default", temperature=np.ones(2, "f"))
    refuses("audio holds NaN", "score", audio=np.full([1, HOP], np.inf, np.float32))
    for name, arguments in (
        ("serving_default", request),
        ("generate_block", block),
        ("initial_state", first),
    ):
        none = {key: value[:0] for key, value in arguments.items()}
        refuses("must have a row for each stream", name, **none)
    refuses("seed must be 0 or above", "serving_default", seed=[-1])
    for wrong in (block["uniforms"] * 2, block["uniforms"] - 1):
        refuses(r"uniforms must be in \[0, 1\)", "generate_block", uniforms=wrong)
    refuses("uniforms holds NaN", "generate_block", uniforms=block["uniforms"] * np.nan)
    layer = np.array(state["state_block_1"])
    refuses("state_block_1 holds NaN", "generate_block", state_block_1=layer * np.nan)
    two = np.concatenate([layer, layer])
    refuses("state_block_1 must have as many rows", "generate_block", state_block_1=two)
    if model.config.output_distribution == "categorical":
        for code in (-1, 256):
            wrong = "state_previous must be from 0 to (255|63)"
            refuses(wrong, "generate_block", state_previous=[code])
    if model.trunk.context_stacks:
        wrong = "state_context_0_phase must be from -1 to 19"
        refuses(wrong, "generate_block", state_context_0_phase=[HOP])
        streams = {key: np.concatenate([value, value]) for key, value in block.items()}
        streams["state_context_0_phase"] = np.array([0, 5], np.int32)
        refuses("phase must be the same for all streams", "generate_block", **streams)
    if "num_samples" in request:
        for samples in (0, -5, 801):
            refuses("num_samples must be from 1 to 800", "serving_default", num_samples=[samples])
    else:
        too_long = random_conditions(model, 1, 820)["local_conditioning"]
        refuses("num_samples must be", "serving_default", local_conditioning=too_long)
        none = too_long[:, :0]
        refuses("at least one frame", "serving_default", local_conditioning=none)
        nan = too_long[:, :3] * np.nan
        refuses("local_conditioning holds NaN", "serving_default", local_conditioning=nan)
        with pytest.raises(tf.errors.InvalidArgumentError, match="whole frames of 20 samples"):
            signatures["prime"](audio=tone(0.001)[None], **conditions)
    if model.config.num_speakers:
        refuses("speaker_id must be from 0 to 2", "serving_default", speaker_id=[3])
    # It goes on after all that.
    assert np.isfinite(signatures["serving_default"](**request)["audio"]).all()
    assert np.isfinite(signatures["generate_block"](**block)["audio"]).all()
    memory = model.codec.initial_memory(1)
    assert set(state) == {*sampling.state_specs(model), *memory}


@pytest.mark.once
@pytest.mark.parametrize("jit_compile", [False, True])
def test_streams_at_once_do_not_mix(tmp_path, jit_compile):
    """Eight clients of one loaded model; without them, it makes the same."""
    model = small_model(num_speakers=3)
    signatures = deployment.SavedModelSignatures(model, BLOCK, jit_compile=jit_compile)
    deployment.save(signatures, tmp_path / "1")
    loaded, metadata = tf.saved_model.load(str(tmp_path / "1")).signatures, signatures.metadata

    def stream(seed):
        conditions = {"speaker_id": np.array([seed % 3], np.int32)}
        return streamed(loaded, metadata, conditions, 5 * BLOCK, 1, seed)

    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(stream, range(8)))
    for seed, audio in enumerate(at_once):
        np.testing.assert_array_equal(audio, stream(seed))
        expected = model.generate(5 * BLOCK, speaker_id=seed % 3, seed=seed)
        np.testing.assert_allclose(audio, expected, atol=1e-6)


def test_blocks_hold_whole_frames():
    model = small_model(**LOCAL)
    assert deployment.SavedModelSignatures(model).block_size == 1040
    with pytest.raises(InputError, match="block_size must be a multiple of 20"):
        deployment.SavedModelSignatures(model, 50)
    for seconds in (0.0, -1.0, float("nan"), 1e-5):
        with pytest.raises(InputError, match="max_seconds must be above 0"):
            deployment.SavedModelSignatures(model, max_seconds=seconds)
    # 2**31 - 1 samples at 8000 Hz, in whole blocks of 1040.
    for seconds in (float("inf"), 1e9, 268435.4559):
        with pytest.raises(InputError, match="max_seconds must be at most 268435 at 8000 Hz"):
            deployment.SavedModelSignatures(model, max_seconds=seconds)
    assert deployment.SavedModelSignatures(model, max_seconds=268435).max_samples == 268435 * 8000


@pytest.fixture(scope="module")
def program_export(tmp_path_factory):
    """A run's folder, and in `served/1` what the program exported of it."""
    folder = tmp_path_factory.mktemp("export")
    wt.write_audio(folder / "recordings" / "a.wav", tone(0.5), 8000)
    wt.write_audio(folder / "recordings" / "b.wav", tone(0.5, frequency=300.0), 8000)
    trained = run_program(
        "train.py",
        f"--data_dir={folder / 'recordings'}",
        f"--model_dir={folder / 'model'}",
        "--preset=tiny",
        "--steps=2",
        "--crop_seconds=0.1",
        "--set=layers_per_stack=3",
        "--sample_rate=8000",
    )
    assert trained.returncode == 0, trained.stderr
    assert_exported(folder, version=1)
    return folder


def assert_exported(folder, version):
    flags = [f"--model_dir={folder / 'model'}", f"--output_dir={folder / 'served'}"]
    result = run_program("../export/saved_model.py", *flags, "--block_size=64")
    assert result.returncode == 0, result.stderr
    assert f"served/{version}: " in result.stdout
    assert result.stderr == ""


@pytest.mark.once
def test_the_program_writes_the_next_version(program_export):
    served = program_export / "served"
    assert_exported(program_export, version=2)
    assert sorted(path.name for path in served.iterdir()) == ["1", "2"]
    for flags, message in (
        (
            [f"--model_dir={program_export / 'model'}", "--max_seconds=1e9"],
            "max_seconds must be at most 268435 at 8000 Hz",
        ),
        (["--model_dir=nowhere"], "nowhere"),
    ):
        refused = run_program("../export/saved_model.py", f"--output_dir={served}", *flags)
        assert refused.returncode == 1
        assert len(refused.stderr.splitlines()) == 1, refused.stderr
        assert message in refused.stderr
    assert sorted(path.name for path in served.iterdir()) == ["1", "2"]


def test_what_was_exported_is_run_once(tmp_path):
    """Here SavedModels of other functions, as one of diverged weights would be."""
    specs = {
        "serving_default": {"seed": tf.TensorSpec([None], tf.int32, "seed")},
        "initial_state": {"streams": tf.TensorSpec([None], tf.int32, "streams")},
        "generate_block": {"state_a": tf.TensorSpec([None], tf.float32, "state_a")},
    }
    right = {
        "serving_default": lambda seed: {"audio": tf.zeros([1, 1])},
        "initial_state": lambda streams: {"state_a": tf.ones([1])},
        "generate_block": lambda state_a: {"audio": state_a[None], "state_a": state_a},
    }

    def assertion(seed):
        with tf.control_dependencies([tf.debugging.Assert(seed[0] > 0, ["seed must be"])]):
            return {"audio": tf.zeros([1, 1])}

    def run(name, **functions):
        traced = deployment.signatures.traced({**right, **functions}, specs)
        tf.saved_model.save(tf.Module(), str(tmp_path / name), traced)
        return deployment.run_small_requests(tmp_path / name)

    requests = run("right")
    assert [name for name, _ in requests] == list(specs)
    assert requests[2][1]["state_a"].numpy() == [1.0]  # the answer of initial_state
    with pytest.raises(InputError, match="NaN or infinity: audio of serving_default"):
        run("nan", serving_default=lambda seed: {"audio": tf.fill([1, 1], np.nan)})
    with pytest.raises(InputError, match="NaN or infinity: state_a of initial_state"):
        run("infinity", initial_state=lambda streams: {"state_a": tf.fill([1], np.inf)})
    with pytest.raises(InputError, match=r"fails in serving_default: .*seed must be"):
        run("failing", serving_default=assertion)


# Loads through the C++ loader, as a server does, with neither this package nor Keras.
STRANGER = """
import sys
sys.modules["wavenet_tf"] = sys.modules["keras"] = None
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

directory = sys.argv[1]
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    graph = tf.compat.v1.saved_model.load(session, ["serve"], directory)
    def ask(name, **inputs):
        signature = graph.signature_def[name]
        assert set(inputs) == set(signature.inputs), (set(inputs), set(signature.inputs))
        return session.run(
            {key: info.name for key, info in signature.outputs.items()},
            {signature.inputs[key].name: value for key, value in inputs.items()},
        )
    state = ask("initial_state", streams=np.zeros(2, np.int32))
    generator, blocks = np.random.default_rng(3), []
    for _ in range(3):
        uniforms = generator.random([64, 2], np.float32).swapaxes(0, 1)
        state = ask("generate_block", uniforms=uniforms, temperature=np.ones(2, "f"), **state)
        blocks.append(state.pop("audio"))
    np.save(sys.argv[2], np.concatenate(blocks, axis=1))
    wrong = {**state, "state_block_0": state["state_block_0"][:, :, :-1]}
    try:
        ask("generate_block", uniforms=uniforms, temperature=np.ones(2, "f"), **wrong)
    except ValueError as error:
        assert "state_block_0" in str(error), error
    else:
        raise AssertionError("a state of another model was taken")
    replayed = []
    for record in tf.compat.v1.io.tf_record_iterator(
        directory + "/assets.extra/tf_serving_warmup_requests"
    ):
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        ask(request.model_spec.signature_name, **inputs)
        replayed.append(request.model_spec.signature_name)
    print(*replayed)
"""


def test_any_tensorflow_loads_it_and_answers_the_warm_up_requests(program_export, tmp_path):
    script = tmp_path / "stranger.py"
    script.write_text(STRANGER)
    ran = subprocess.run(
        [sys.executable, script, program_export / "served" / "1", tmp_path / "audio.npy"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["serving_default", "initial_state", "generate_block"]
    model = runs.load_model(program_export / "model")
    assert_drawn_from(model, np.load(tmp_path / "audio.npy"), 3)


def test_the_c_api_runs_it(program_export, tmp_path):
    library = Path(tf.__file__).parent / "libtensorflow_cc.so.2"
    if not library.exists():
        pytest.skip("this TensorFlow brings no library with the C API")
    directory = program_export / "served" / "1"
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        told = tf.compat.v1.saved_model.load(session, ["serve"], str(directory))
    names = {
        name: {
            "inputs": {key: info.name for key, info in signature.inputs.items()},
            "outputs": {key: info.name for key, info in signature.outputs.items()},
        }
        for name, signature in told.signature_def.items()
    }
    uniforms = uniforms_of(3, 192, 2)
    np.save(tmp_path / "uniforms.npy", uniforms.reshape(2, 3, 64).swapaxes(0, 1))
    ran = subprocess.run(
        [
            sys.executable,
            Path(__file__).parent / "c_api.py",
            library,
            directory,
            tmp_path / "uniforms.npy",
            tmp_path / "audio.npy",
        ],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = ran.stdout.splitlines()
    assert len(told) == 6, told
    for line, message in zip(
        told,
        (
            "temperature must be 0 or above",
            "uniforms_0_.* [2,63] is not compatible with expected shape [?,64]",
            "state_block_1_0_.* is not compatible with expected shape [?,2,",
            "state_block_1 must have as many rows as the other inputs; received shape",
            "seed_0_.* [] is not compatible with expected shape [?]",
            "must have a row for each stream",
        ),
        strict=True,
    ):
        pattern = ".*".join(map(re.escape, message.split(".*")))
        assert re.search(pattern, line), line
    model = runs.load_model(program_export / "model")
    assert_drawn_from(model, np.load(tmp_path / "audio.npy"), uniforms)
