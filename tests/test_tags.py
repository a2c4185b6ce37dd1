"""Tags condition a model from the corpus to the exported file."""

import json
import sys

import command_line
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, randomise, run_program, small_model, tone
from oracles import uniforms_of

import wavenet_tf as wt
from wavenet_tf import data, deployment, evaluation, lite, runs
from wavenet_tf.conditioning import parse_tags_at
from wavenet_tf.errors import InputError
from wavenet_tf.recognition import Recognizer

sys.path.insert(0, str(ROOT / "export"))
import inputs

TAGS = {"low": 200.0, "high": 900.0}
TINY = {"num_stacks": 1, "layers_per_stack": 3, "residual_channels": 8, "gate_channels": 8}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Low and high tones, tagged in a manifest; one clip has no tags, and one a tag of its own."""
    folder, rows = tmp_path_factory.mktemp("tagged"), []
    for index in range(8):
        tag = list(TAGS)[index % 2]
        name = f"{index}.wav"
        wt.write_audio(folder / name, tone(0.5, frequency=TAGS[tag] + 5 * index), 8000)
        rows.append(
            {"path": name, "tags": [tag, "tone"] if index < 6 else [["odd"], []][index - 6]}
        )
    lines = "\n".join(json.dumps(row) for row in rows)
    (folder / "manifest.jsonl").write_text(lines + "\n")
    return folder


@pytest.fixture(scope="module")
def model_dir(corpus, tmp_path_factory):
    """A model that the program has trained on the corpus."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    result = run_program(
        "train.py",
        f"--data_dir={corpus}",
        f"--model_dir={folder}",
        "--preset=tiny",
        "--tags=high,low",
        *(f"--set={name}={value}" for name, value in TINY.items()),
        "--steps=30",
        "--steps_per_validation=15",
        "--crop_seconds=0.1",
        "--learning_rate=0.02",
        "--seed=1",
    )
    assert result.returncode == 0, result.stderr
    assert "2 tags: high, low" in result.stdout
    assert "--tags high" in result.stdout.splitlines()[-1]
    return folder


def test_batches_hold_the_tags_of_their_clips(corpus):
    recordings = data.read_recordings(corpus, 8000)
    model = wt.WaveNet(**TINY, global_channels=2, tag_names=["high", "low"], sample_rate=8000)
    with pytest.warns(UserWarning, match="no input for the tags odd, tone: they are ignored"):
        batches = data.evaluation_batches(recordings, model.crop_spec, 8, 1.0)
    ((inputs_of_batch, _, _),) = list(batches)
    expected = [[index % 2, 1 - index % 2] for index in range(6)] + [[0, 0], [0, 0]]
    np.testing.assert_array_equal(inputs_of_batch["global_conditioning"], expected)


@pytest.mark.slow
@pytest.mark.once
def test_the_names_are_kept_with_the_model_and_say_what_it_generates(model_dir, tmp_path):
    model = runs.load_model(model_dir)
    assert model.config.tag_names == ("high", "low")
    generated = {}
    for tags in ("high", "low", "low,high", ""):
        output = tmp_path / f"{tags or 'none'}.wav"
        result = run_program(
            "generate.py",
            f"--model_dir={model_dir}",
            f"--output={output}",
            f"--tags={tags}",
            "--seconds=0.1",
            "--seed=2",
        )
        assert result.returncode == 0, result.stderr
        generated[tags], _ = wt.read_audio(output)
    vector = [[0.0, 1.0]]
    expected = model.generate(800, global_conditioning=vector, seed=2)[0]
    np.testing.assert_allclose(generated["low"], expected, atol=2**-15)
    assert len({audio.tobytes() for audio in generated.values()}) == 4


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--tags=high,loud", "unknown tag 'loud': the model has high, low"),
        ("--tags=high:1.5", "strengths of tags must be from 0 to 1; received high:1.5"),
        (None, "--tags must be some of high, low; --tags= sets none"),
    ],
)
def test_wrong_tags_are_named(model_dir, flag, message, tmp_path):
    words = [f"--model_dir={model_dir}", f"--output={tmp_path / 'out.wav'}"]
    result = run_program("generate.py", *words, *([flag] if flag else []))
    assert (result.returncode, result.stderr) == (1, f"generate.py: {message}\n")


def test_changes_over_time_hold_from_the_next_block_on():
    model = small_model(global_channels=2, tag_names=["high", "low"])
    first, second = [[1.0, 0.0]], [[0.0, 0.5]]
    stream = model.stream(2, global_conditioning=first, seed=3, block_size=64)
    stream.change_at(100, global_conditioning=second)
    audio = np.concatenate([next(stream) for _ in range(5)], axis=1)
    stream.close()
    unchanged = model.generate(128, 2, global_conditioning=first, seed=3)
    np.testing.assert_array_equal(audio[:, :128], unchanged)
    # After a receptive field the samples are those of the whole network with the second tags.
    start, uniforms = 128 + model.receptive_field, uniforms_of(3, 320, 2)
    values = model.distribution.encode(audio).numpy()

    def share_drawn(conditions):
        vectors = np.repeat(np.float32(conditions), 2, axis=0)
        logits = model({"audio": values[:, :-1], "global_conditioning": vectors})
        passed = tf.cumsum(tf.nn.softmax(logits), axis=-1) <= uniforms[:, 1:, None]
        drawn = np.minimum(passed.numpy().sum(axis=-1), 255)
        return np.mean(drawn[:, start:] == values[:, 1 + start :])

    assert share_drawn(second) > 0.98
    assert share_drawn(first) < 0.9


def test_conditions_that_cannot_change_are_refused():
    model = small_model(global_channels=2, local_channels=5, upsample_factors=(4, 5))
    frames = np.zeros([1, 50, 5])
    stream = model.stream(global_conditioning=[[0.0, 1.0]], local_conditioning=frames)
    with pytest.raises(InputError, match="local_conditioning cannot be changed"):
        stream.change_at(5, local_conditioning=frames)
    with pytest.raises(InputError, match=r"shape \[1 or 1, 2\]; received shape \[1, 3\]"):
        stream.change_at(5, global_conditioning=[[0.0, 1.0, 0.0]])
    with pytest.raises(InputError, match="speaker_id must not be given"):
        stream.change_at(5, speaker_id=0)
    stream.close()


@pytest.mark.parametrize("text", ["guitar", "-1 guitar", "inf guitar", ""])
def test_changes_without_a_time_are_refused(text):
    with pytest.raises(InputError, match="tags_at must be seconds and tags"):
        parse_tags_at(text)


@pytest.mark.slow
def test_exports_take_tags_by_name(model_dir, tmp_path):
    model = runs.load_model(model_dir)
    path = tmp_path / "model.tflite"
    path.write_bytes(deployment.convert(deployment.TFLiteSignatures(model)))
    runner = lite.Runner(path)
    values = inputs.conditions(runner.metadata, None, ["low"], None)
    audio = next(runner.stream(seed=2, **values))
    expected = model.generate(audio.shape[1], global_conditioning=[[0.0, 1.0]], seed=2)
    np.testing.assert_allclose(audio, expected, atol=1e-5)
    streams = [
        runner.stream(seed=2, global_conditioning=[[1.0, 0.25]]),
        model.stream(seed=2, global_conditioning=[[1.0, 0.25]], block_size=256),
    ]
    for stream in streams:
        command_line.change_tags(stream, ["high", "low"], 8000, ["0.03 low", "0.08 high:0.5"])
    exported, expected = (np.concatenate([next(s) for _ in range(5)], axis=1) for s in streams)
    np.testing.assert_allclose(exported, expected, atol=1e-5)
    with pytest.raises(InputError, match="unknown tag 'low': the model has no tags"):
        command_line.change_tags(streams[0], None, 8000, ["0 low"])
    metadata = deployment.SavedModelSignatures(model).metadata
    np.testing.assert_array_equal(
        inputs.conditions(metadata, None, ["low", "high"], None)["global_conditioning"], [[1, 1]]
    )
    with pytest.raises(InputError, match="unknown tag 'loud': the model has high, low"):
        inputs.conditions(metadata, None, ["loud"], None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ("all", None),
        ("piano", "tags must be some of high, low, odd, tone, or all; received 'piano'"),
    ],
)
def test_training_chooses_among_the_tags_of_the_corpus(corpus, tags, message):
    settings = runs.Settings(str(corpus), preset="tiny", overrides=TINY, tags=tags)
    if message is None:
        assert "4 tags: high, low, odd, tone" in runs.estimate(settings)
        return
    with pytest.raises(InputError, match=message):
        runs.estimate(settings)


def test_recordings_without_tags_are_refused(recordings_dir):
    settings = runs.Settings(str(recordings_dir), preset="tiny", overrides=TINY, tags="all")
    with pytest.raises(InputError, match=r"tags need recordings with tags, .* these have none"):
        runs.estimate(settings)


def test_wrong_tags_are_counted(corpus):
    recordings = data.read_recordings(corpus, 8000)
    names = ["high", "low", "tone"]
    model = wt.WaveNetClassifier(
        {"num_stacks": 1, "layers_per_stack": 3, "sample_rate": 8000},
        num_classes=3,
        targets="tags",
        class_names=names,
        next_sample=False,
    )
    randomise(model)
    source = data.TagSource(names, name=data.CLASSES)
    with pytest.warns(UserWarning, match="odd"):
        report = evaluation.evaluate_classifier(Recognizer(model), recordings, source)
    errors = {}
    for index, name in enumerate(recordings.names):
        waveform = recordings.waveform(index)
        padded = np.pad(waveform, (0, -len(waveform) % model.frame_length))
        logits = model(model.distribution.encode(padded[None])).numpy()[0]
        tags = [tag in recordings.metadata[index].tags for tag in names]
        errors[name] = int(np.sum((logits > 0.0) != tags))
    assert 0 < sum(errors.values()) < 3 * len(errors)
    assert report.files == errors
    assert report.error_rate.value == pytest.approx(sum(errors.values()) / report.labels)
    assert report.labels == 3 * len(errors)
    known = {label for name in names for label in (name, f"no {name}")}
    assert {part for right, wrong, _ in report.confusions for part in (right, wrong)} <= known
