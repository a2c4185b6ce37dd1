"""libwavenet against the models that its files were made of."""

import functools
import threading
import zlib

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import soundfile
from conftest import ROOT, TENSORFLOW, run_program, small_model, tone
from oracles import assert_drawn_from, random_conditions, uniforms_of
from registry import EXPORTED, MODELS

import wavenet_tf as wt
from wavenet_tf import audio, deployment, models, native, runs
from wavenet_tf.errors import InputError
from wavenet_tf.options import DISTRIBUTIONS

if not native.is_available():
    pytest.skip("libwavenet is not built: there was no C compiler", allow_module_level=True)

# Every distribution has its turn.
OUTPUTS = {"linear": "logistic_mixture", "code table": "categorical"}
CASES = {
    **{
        name: {"output_distribution": OUTPUTS.get(name, DISTRIBUTIONS[index % 3]), **arguments}
        for index, (name, arguments) in enumerate(MODELS.items())
    },
    **{f"exported {name}": arguments for name, arguments in EXPORTED.items()},
}
# 16-bit values are further apart than the rounding of a probability, but rounded themselves.
PLAIN = {**MODELS["unconditional"], "output_distribution": "categorical"}


@functools.cache
def model_of(name: str):
    return small_model(**CASES[name])


@pytest.fixture
def runner_of(tmp_path):
    """Makes the runner of a model."""

    def make(model, precision="float32", **arguments) -> native.Runner:
        path = tmp_path / f"{precision}.wn"
        path.write_bytes(deployment.convert_native(model, precision))
        unit = model.config.frame_unit
        return native.Runner(path, **{"block_size": -(-60 // unit) * unit, **arguments})

    return make


def generated(runner, samples: int, **arguments) -> np.ndarray:
    stream, blocks = runner.stream(**arguments), []
    while stream.samples_done < samples:
        blocks.append(next(stream))
    return np.concatenate(blocks, axis=1)[:, :samples]


def whole_frames(model, samples: int) -> int:
    unit = model.config.frame_unit
    return -(-samples // unit) * unit


@pytest.mark.parametrize("streams", [1, 8])
@pytest.mark.parametrize("name", CASES)
def test_samples_are_drawn_from_the_model(runner_of, name, streams):
    model = model_of(name)
    samples = whole_frames(model, 200)
    conditions = random_conditions(model, streams, samples)
    runner = runner_of(model, batch_size=streams)
    audio = generated(runner, samples, seed=5, **conditions)
    assert_drawn_from(model, audio, 5, conditions=conditions)


@pytest.mark.parametrize("target", native.targets())
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_all_targets_compute_the_same(runner_of, target, precision):
    """int8 products are whole numbers: only the order of float32 sums differs."""
    model = model_of("exported everything")
    recording = np.stack([tone(0.03), 0.3 * tone(0.03, frequency=300.0)])
    conditions = random_conditions(model, 2, 240)
    runner = runner_of(model, precision, batch_size=2, target=target)
    assert runner.model.target == target
    _, scores = runner.prime(recording, **conditions)
    _, expected = runner_of(model, precision, batch_size=2).prime(recording, **conditions)
    tolerance = 1e-3 if precision == "float32" else 0.1  # an activation may be rounded otherwise
    np.testing.assert_allclose(scores, expected, atol=tolerance)
    assert np.abs(scores - expected).mean() < tolerance / 10


@pytest.mark.parametrize(
    "name", ["unconditional", "local", "all", "context", "exported stretch", "exported linear"]
)
def test_scores_are_those_of_the_model(runner_of, name):
    model = model_of(name)
    samples = whole_frames(model, 200)
    recording = np.stack([tone(samples / 8000), tone(samples / 8000, frequency=300.0)])
    conditions = random_conditions(model, 2, samples)
    _, scores = runner_of(model, batch_size=2).prime(recording, **conditions)
    expected = models.log_likelihood(model, recording, conditions)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("name", ["unconditional", "all"])
def test_a_prompt_is_continued_as_by_the_model(runner_of, name):
    model = model_of(name)
    samples = whole_frames(model, 160)
    prompt = tone(0.015)[None]  # 120 samples, whole frames
    conditions = random_conditions(model, 2, 120 + samples)
    audio = generated(runner_of(model, batch_size=2), samples, prompt=prompt, seed=5, **conditions)
    assert_drawn_from(model, audio, 5, prompt, conditions)


@pytest.mark.parametrize("name", ["unconditional", "all", "several frames a chunk"])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_blocks_of_any_size_give_the_same(runner_of, name, precision):
    model = model_of(name)
    samples = whole_frames(model, 200)
    conditions = random_conditions(model, 3, samples)
    library = runner_of(model, precision).model
    uniforms = uniforms_of(1, samples, 3, model)
    temperature = np.array([1.0, 0.7, 0.0], np.float32)

    def sampled(sizes):
        states, first, parts = library.new_states(3), 0, []
        library.start(conditions, states)
        for size in sizes:
            part = uniforms[:, first : first + size]
            parts.append(library.generate(conditions, first, states, part, temperature))
            first += size
        return np.concatenate(parts, axis=1), states

    whole, states = sampled([samples])
    split, other_states = sampled([1, 2, 0, 16, 17, 37, samples - 73])
    np.testing.assert_array_equal(split, whole)
    np.testing.assert_array_equal(other_states, states)
    assert len(np.unique(whole[0])) > 20


def test_streams_do_not_depend_on_their_number_and_threads_share_a_runner(runner_of):
    """Each of 8 threads samples its streams bit for bit as a single one does."""
    model = model_of("exported speaker")
    single = runner_of(model, "int8")
    expected = [generated(single, 180, seed=seed, **speaker(seed)) for seed in range(8)]
    results: dict[int, np.ndarray] = {}

    def sample(seed):
        results[seed] = generated(single, 180, seed=seed, **speaker(seed))

    threads = [threading.Thread(target=sample, args=[seed]) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(8):
        np.testing.assert_array_equal(results[seed], expected[seed])
    together = [runner_of(model, "int8", batch_size=8, threads=threads) for threads in (1, 3)]
    audio = [generated(runner, 180, seed=0, **speaker(0)) for runner in together]
    np.testing.assert_array_equal(*audio)


def speaker(seed: int) -> dict:
    return {"speaker_id": seed % 3, "global_conditioning": np.full([1, 2], 0.1 * seed)}


def test_int8_loses_little(runner_of):
    model = wt.WaveNet.from_preset("tiny", layers_per_stack=5)
    recording = np.stack([tone(0.06), 0.3 * tone(0.06, frequency=300.0)])
    _, exact = runner_of(model, batch_size=2).prime(recording)
    _, rounded = runner_of(model, "int8", batch_size=2).prime(recording)
    assert np.abs(rounded - exact).max() > 1e-4
    assert abs((exact - rounded).mean()) / np.log(2.0) < 0.01


def test_a_state_goes_on_and_can_be_forked(runner_of):
    runner = runner_of(model_of("unconditional"), batch_size=2)
    generator = np.random.default_rng(5)
    first = runner.stream(seed=generator)
    begun = next(first)
    state = first.state
    fork = generated(runner, 60, seed=0, state=state)
    rest = generated(runner, 60, seed=generator, state=state)
    whole = generated(runner, 120, seed=5)
    np.testing.assert_array_equal(np.concatenate([begun, rest], axis=1), whole)
    assert not np.array_equal(fork, rest)


def test_what_is_wrong_is_told(runner_of):
    runner = runner_of(model_of("unconditional"), batch_size=2)
    other = runner_of(small_model(), batch_size=2)
    state = runner.initial_state()
    (name,) = state

    def refuses(message, **arguments):
        with pytest.raises(InputError, match=message):
            next(runner.stream(**arguments))

    refuses("state must be a dict of state_streams, uint8", state={})
    refuses("state must be a dict of state_streams, uint8", state={name: state[name][:1]})
    foreign = np.zeros_like(state[name])
    part = other.initial_state()[name]
    foreign[:, : part.shape[1]] = part
    refuses("a state is corrupted, or of another model", state={name: foreign})
    corrupted = state[name].copy()
    corrupted[1, 16:24] = 255
    refuses("a state is corrupted", state={name: corrupted})
    refuses("speaker_id must not be given", speaker_id=1)
    refuses("temperature must be 0 or above", temperature=-1.0)
    with pytest.raises(InputError, match=r"uniforms must be in \[0, 1\)"):
        runner.call_signature(
            "generate_block", uniforms=np.ones([2, 3]), temperature=np.ones(2), **state
        )
    with pytest.raises(InputError, match="block_size must be a multiple of 20"):
        runner_of(model_of("local"), block_size=30)
    with pytest.raises(InputError, match="lacks the instructions"):
        runner_of(model_of("unconditional"), target="avx1024")


@functools.cache
def exported(name: str, precision: str) -> bytes:
    return deployment.convert_native(model_of(name), precision)


CHANGES = st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(1, 255)), max_size=4)


@pytest.mark.parametrize(
    "name", ["exported plain", "exported stretch", "exported code table", "exported everything"]
)
@hypothesis.settings(max_examples=100, deadline=None, derandomize=True)
@hypothesis.given(
    precision=st.sampled_from(["float32", "int8"]),
    end=st.floats(0.0, 1.0) | st.just(1.0),
    header=CHANGES,
    anywhere=CHANGES,
    repair=st.booleans(),
)
def test_a_corrupted_file_is_refused_or_works(name, precision, end, header, anywhere, repair):
    """With a right checksum, a file may be another model: it must not crash."""
    original = exported(name, precision)
    content = bytearray(original[: round(end * len(original))])
    size = min(len(content), 8 + int.from_bytes(original[:8], "little"))
    for limit, changes in ((size, header), (len(content), anywhere)):
        for place, change in changes:
            if limit:
                content[min(limit - 1, int(place * limit))] ^= change
    if repair:
        content = with_checksum(content)
    try:
        model = native.Model(bytes(content))
    except InputError:
        assert content != original
        return
    if content == original or not repair:
        assert content == original
    if name == "exported plain" and model.info.num_speakers == 0:
        states = model.new_states(1)
        try:
            model.start({}, states)
            model.score({}, 0, states, np.zeros([1, 5], np.float32))
        except InputError:
            assert content != original


def with_checksum(content: bytearray) -> bytearray:
    place = content.find(b'"crc32":"') + 9
    if place < 9 or place + 8 > len(content):
        return content
    content[place : place + 8] = b"0" * 8
    content[place : place + 8] = f"{zlib.crc32(content):08x}".encode()
    return content


def test_the_programs_export_and_sample_without_tensorflow(run_without, tmp_path):
    model = small_model(num_speakers=2, speaker_names=["ana", "bo"])
    (tmp_path / "run").mkdir()
    model.save(tmp_path / "run" / runs.FINAL_MODEL)
    file, output = tmp_path / "model.wn", tmp_path / "out.wav"
    result = run_program(
        "../export/native.py", f"--model_dir={tmp_path / 'run'}", f"--output={file}"
    )
    assert result.returncode == 0, result.stderr
    assert f"{file.stat().st_size / 1e6:.2f} MB, 8000 Hz, precision float32" in result.stdout
    wt.write_audio(tmp_path / "prompt.wav", tone(0.0301), 8000)
    prompt = soundfile.read(tmp_path / "prompt.wav", dtype="float32")[0][None]
    flags = [f"--model={file}", f"--output={output}", "--speaker=bo", "--seconds=0.02"]
    more = ["--seed=4", "--batch_size=2", f"--prompt={tmp_path / 'prompt.wav'}"]
    program = ROOT / "export" / "generate_native.py"
    result = run_without(f"{TENSORFLOW},ai_edge_litert", program, *flags, *more)
    assert result.returncode == 0 and not result.stderr, result.stderr
    written, sample_rate = soundfile.read(output, dtype="int16")
    expected = model.generate(160, 2, prompt, seed=4, speaker_id=1)
    assert sample_rate == 8000 and len(np.unique(written)) > 10
    np.testing.assert_array_equal(written, audio.formats.to_16_bits(expected.T))
    file.write_bytes(file.read_bytes()[:-1])
    result = run_without(TENSORFLOW, program, *flags)
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    assert "is no model of export/native.py, or is corrupted" in result.stderr


@pytest.mark.parametrize("name", ["unconditional", "all", "exported everything"])
def test_generate_draws_from_the_model_in_the_native_runtime(name):
    model = model_of(name)
    prompt, samples = tone(0.04)[None, : whole_frames(model, 160)], whole_frames(model, 200)
    conditions = random_conditions(model, 2, prompt.shape[1] + samples)
    audio = model.generate(
        samples, 2, prompt, seed=5, runtime="native", **conditions, progress=True
    )
    assert_drawn_from(model, audio, 5, prompt=np.repeat(prompt, 2, axis=0), conditions=conditions)


def test_the_native_runtime_follows_the_weights(runner_of):
    model = small_model(**PLAIN)
    first = model.generate(300, seed=1, runtime="native_int8")
    np.testing.assert_array_equal(first, generated(runner_of(model, "int8"), 300, seed=1))
    model.head.weights[-1].assign_add(np.linspace(-3.0, 3.0, 256))
    assert np.any(model.generate(300, seed=1, runtime="native_int8") != first)


def test_a_native_stream_changes_conditions_and_ends(runner_of):
    model = small_model(num_speakers=3)
    stream = model.stream(2, speaker_id=1, seed=2, block_size=50, threads=2, runtime="native")
    assert stream.description.startswith("libwavenet (")
    assert stream.description.endswith("), streams: 2, threads: 2")
    expected = runner_of(model, batch_size=2, block_size=50).stream(speaker_id=1, seed=2)
    for each in (stream, expected):
        each.change_at(50, speaker_id=2)
    for _ in range(3):
        np.testing.assert_array_equal(next(stream), next(expected))
    stream.close()
    with pytest.raises(StopIteration):
        next(stream)


def test_arguments_that_the_native_runtime_does_not_have_are_refused():
    model = small_model(**PLAIN)
    with pytest.raises(InputError, match="runtime must be one of auto, tensorflow, native"):
        model.generate(10, runtime="c")
    for name, value in (("top_k", 5), ("top_p", 0.5), ("jit_compile", True)):
        with pytest.raises(
            InputError, match=f"{name} is for the runtime tensorflow; received native"
        ):
            model.generate(10, runtime="native", **{name: value})
    with pytest.raises(InputError, match="seed must be a whole number"):
        model.generate(10, runtime="native", seed=-1)
    with pytest.raises(InputError, match=r"prompt must be audio of shape \[1 or 1, samples\]"):
        model.generate(10, prompt=np.zeros(10), runtime="native")


def test_auto_takes_the_native_runtime_where_it_can():
    model = small_model(**PLAIN)
    assert model.stream(runtime="auto").description.startswith("libwavenet (")
    assert "on CPU:0" in model.stream(runtime="auto", top_k=3).description
    assert "on CPU:0" in model.stream(16, runtime="auto").description


def save_model(model, folder):
    model.compile("adam")
    folder.mkdir()
    runs.save(model, folder / "model.keras")
    return folder


def test_the_model_of_a_run_is_converted_once(tmp_path, monkeypatch):
    run = save_model(small_model(**PLAIN), tmp_path / "run")
    first = generated(runs.native_runner(run), 300, seed=1)
    generated(runs.native_runner(run, precision="int8"), 10, seed=1)
    files = sorted((run / "native").iterdir())
    assert [path.name.partition("-")[0] for path in files] == ["float32", "int8"]
    monkeypatch.setattr(runs.checkpointing, "load_model", None)  # it is not called again
    again = runs.native_runner(run, batch_size=2, threads=1)
    np.testing.assert_array_equal(generated(again, 300, seed=1).shape, [2, 300])
    np.testing.assert_array_equal(generated(runs.native_runner(run), 300, seed=1), first)
    monkeypatch.undo()
    changed = small_model(**PLAIN)
    changed.head.weights[-1].assign_add(np.linspace(-3.0, 3.0, 256))
    changed.compile("adam")
    runs.save(changed, run / "model.keras")
    assert np.any(generated(runs.native_runner(run), 300, seed=1) != first)
    assert len(list((run / "native").iterdir())) == 2


@pytest.mark.slow
def test_generate_starts_without_tensorflow_once_the_model_is_converted(tmp_path, run_without):
    run = save_model(small_model(**PLAIN), tmp_path / "run")
    flags = [f"--model_dir={run}", "--seconds=0.05", "--seed=3", "--temperature=0.9"]
    first, again, exact = (f"{tmp_path / name}.wav" for name in ("first", "again", "exact"))
    result = run_program("generate.py", *flags, f"--output={first}")
    assert result.returncode == 0, result.stderr
    assert "loaded model.keras of step 0" in result.stdout
    assert "libwavenet (" in result.stderr
    program = ROOT / "tools" / "generate.py"
    result = run_without("tensorflow,keras,matplotlib", program, *flags, f"--output={again}")
    assert result.returncode == 0, result.stderr
    np.testing.assert_array_equal(soundfile.read(again)[0], soundfile.read(first)[0])
    result = run_program("generate.py", *flags, f"--output={exact}", "--runtime=tensorflow")
    assert result.returncode == 0, result.stderr
    assert np.mean(soundfile.read(exact)[0] == soundfile.read(first)[0]) > 0.97
