"""Exported TFLite recognizers against the classifier that they were made of, and their client."""

import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, SMALL, TENSORFLOW, small_model, tone
from registry import CLASSIFIERS, small_classifier

import wavenet_tf as wt
from wavenet_tf import deployment, recognition
from wavenet_tf.errors import InputError
from wavenet_tf.options import QUANTIZATIONS

lite = pytest.importorskip("wavenet_tf.lite", exc_type=ImportError)

FRAME = 80  # samples, 10 ms at 8 kHz
PROGRAM = ROOT / "export" / "recognize_tflite.py"


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, shape).astype(np.float32)


def export(path, model, quantization="none", **arguments):
    signatures = deployment.TFLiteRecognizerSignatures(model, **arguments)
    path.write_bytes(deployment.convert(signatures, quantization))
    return path


@pytest.fixture(scope="module", params=CLASSIFIERS)
def exported(request, tmp_path_factory):
    """A classifier, and the recognizer of its file; of frames with two streams."""
    model = small_classifier(request.param, **CLASSIFIERS[request.param])
    path = tmp_path_factory.mktemp("lite") / f"{request.param}.tflite"
    streams = 2 if request.param == "frames" else 1
    export(path, model, block_size=3 * FRAME, batch_size=streams)
    return model, lite.Recognizer(path)


@pytest.fixture(scope="module")
def clip_file(tmp_path_factory):
    """The file of a classifier of clips."""
    model = small_classifier("clip", class_names=["yes", "no", "maybe"])
    return export(tmp_path_factory.mktemp("clip") / "clip.tflite", model)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [[1, 79, 81, 0, 2300], [30]])
def test_a_stream_gives_the_logits_of_the_whole_with_the_declared_delay(exported, sizes):
    model, recognizer = exported
    audio = noise(recognizer.batch_size, sum(sizes))
    stream = recognizer.stream(np.split(audio, np.cumsum(sizes)[:-1], axis=1))
    parts = list(stream)
    expected = recognition.Recognizer(model).logits(audio)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), expected, atol=1e-4, rtol=1e-4)
    calls = 3 * np.arange(1, len(parts) + 1)
    complete = np.minimum(np.maximum(0, calls - model.look_ahead), -(-sum(sizes) // FRAME))
    np.testing.assert_array_equal(np.cumsum([part.shape[1] for part in parts]), complete)
    assert stream.samples_done == 3 * FRAME * len(parts)
    assert 0.0 < stream.real_time_factor == stream.samples_done / 8000 / stream.seconds


@pytest.mark.slow
def test_a_recording_is_recognized_as_by_the_model(exported):
    model, recognizer = exported
    waveform = tone(0.31)
    ours, keras_s = (
        recognition.recognize(one, waveform) for one in (recognizer, recognition.Recognizer(model))
    )
    assert ours.chosen == keras_s.chosen
    assert [name for name, _ in ours.classes] == [name for name, _ in keras_s.classes]
    np.testing.assert_allclose(
        [p for _, p in ours.classes], [p for _, p in keras_s.classes], atol=1e-5
    )
    assert [segment[:3] for segment in ours.segments] == [s[:3] for s in keras_s.segments]
    blocks = np.array_split(waveform, 7)
    assert len(list(recognition.recognize_stream(recognizer, blocks))) > 0


@pytest.mark.slow
def test_the_file_states_its_task_and_has_built_in_operators_only(exported):
    model, recognizer = exported
    metadata = recognizer.metadata
    assert metadata["task"] == "recognition" and metadata["quantization"] == "none"
    assert metadata["block_size"] == 3 * FRAME
    assert recognizer.spec == recognition.RecognizerSpec.from_model(model)
    assert recognizer.spec.per_frame == model.class_targets.per_frame
    flat = lite.schema.ModelT.InitFromObj(lite.schema.Model.GetRootAs(recognizer.interpreters.file))
    assert all(code.customCode is None for code in flat.operatorCodes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A classifier of three tones in noise, recordings with their classes, and files of each kind.

    Recordings of a class differ in frequency, level and noise.
    """
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)

    def recording(label):
        level = 10 ** generator.uniform(-1.0, 0.0)
        octaves = label + generator.normal(scale=0.2)  # some are nearer to another class
        wave = level * tone(0.2, frequency=250 * 2**octaves)
        return wave + generator.normal(scale=0.02, size=len(wave)).astype(np.float32)

    labels = generator.integers(0, 3, 600)
    audio = np.stack([recording(label) for label in labels])
    trunk = {**SMALL, "output_distribution": "logistic_mixture", "residual_channels": 16}
    model = wt.WaveNetClassifier(trunk, num_classes=3, targets="clip", next_sample=False)
    model.compile(keras.optimizers.Adam(0.002, global_clipnorm=1.0))
    model.fit(audio[:300], labels[:300], batch_size=10, epochs=4, verbose=0)
    folder = tmp_path_factory.mktemp("trained")
    files = {}
    for kind in QUANTIZATIONS:
        arguments = {"recordings": audio[:16]} if kind == "int8" else {}
        files[kind] = export(folder / f"{kind}.tflite", model, kind, **arguments)
    return model, audio[300:], labels[300:], files


@pytest.mark.slow
@pytest.mark.once
def test_quantized_files_lose_at_most_1_percent_and_are_smaller(trained):
    model, audio, labels, files = trained
    expected = tf.argmax(model(audio), axis=-1).numpy()
    accuracy = np.mean(expected == labels)
    assert 0.85 < accuracy < 1.0
    recognized = {}
    for kind, path in files.items():
        recognizer = lite.Recognizer(path)
        recognized[kind] = np.stack([recognizer.logits(row[None])[0].mean(axis=0) for row in audio])
        right = np.argmax(recognized[kind], axis=-1) == labels
        assert np.mean(right) >= accuracy - 0.01, kind
    ours, keras_s = (tf.nn.softmax(logits) for logits in (recognized["none"], model(audio)))
    np.testing.assert_allclose(ours, keras_s, atol=1e-4)
    assert np.abs(recognized["int8"] - recognized["none"]).max() > 0.01  # 8 bits change something
    sizes = [files[kind].stat().st_size for kind in ("none", "float16", "dynamic_int8")]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 3
    assert files["int8"].stat().st_size < sizes[0]


@pytest.mark.slow
def test_int8_makes_int8_operators(trained):
    """Of every product with weights but the last, whose logits are float32."""
    schema, names = lite.schema, lite.schema.BuiltinOperator
    content = trained[-1]["int8"].read_bytes()
    flat = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    outputs = [
        graph.tensors[operator.outputs[0]].type
        for graph in flat.subgraphs
        for operator in graph.operators
        if flat.operatorCodes[operator.opcodeIndex].builtinCode
        in (names.FULLY_CONNECTED, names.CONV_2D, names.TANH, names.LOGISTIC)
    ]
    assert outputs.count(schema.TensorType.FLOAT32) == 1
    assert outputs.count(schema.TensorType.INT8) == len(outputs) - 1 > 30


@pytest.mark.slow
def test_each_client_names_the_other_for_its_files(clip_file, tmp_path):
    generator = tmp_path / "generator.tflite"
    generator.write_bytes(deployment.convert(deployment.TFLiteSignatures(small_model())))
    with pytest.raises(InputError, match=r"model of recognition, which wavenet_tf\.lite\.Recogn"):
        lite.Runner(clip_file)
    with pytest.raises(InputError, match=r"model of generation, which wavenet_tf\.lite\.Runner r"):
        lite.Recognizer(generator)


@pytest.mark.slow
def test_what_is_wrong_is_named(clip_file):
    recognizer = lite.Recognizer(clip_file)
    for audio, message in (
        (np.zeros(0), r"at least one sample; received \[1, 0\]"),
        (np.full(100, np.nan), "audio holds numbers that are not finite"),
        (np.zeros([2, 3]), r"received \[1, 2, 3\]"),
        (["sound"], "audio must be an array of numbers"),
    ):
        with pytest.raises(InputError, match=message):
            recognizer.recognize(audio)
    with pytest.raises(InputError, match=r"frame_mask must be float32 of shape \[1, 10\]"):
        recognizer.call_signature(
            "recognize_block",
            audio=np.zeros([1, 800], np.float32),
            frame_mask=np.ones([1, 9], np.float32),
            **recognizer.call_signature("initial_state", streams=np.zeros(1, np.int32)),
        )
    content = clip_file.read_bytes()
    for old, new, message in (
        (b'"targets": "clip"', b'"targets": "clap"', "targets: one of frames, sequence, clip, t"),
        (b'"frame_length": 80', b'"frame_length": 33', "block_size: a multiple of frame_length 33"),
        (b'"num_classes": 3', b'"num_classes": 4', "class_names: null, or a name for each"),
        (b'"look_ahead": 6', b'"look_ahead":-6', "look_ahead: a whole number"),
        (b'"task": "recog', b'"task": "receg', "task: one of generation, recognition"),
    ):
        assert old in content
        bad = clip_file.with_name("bad.tflite")
        bad.write_bytes(lite.with_checksum(content.replace(old, new)))
        with pytest.raises(InputError, match=message):
            lite.Recognizer(bad)


def test_arguments_out_of_range_are_refused():
    model = small_classifier()
    with pytest.raises(InputError, match="block_size must be a multiple of 80, the frames of this"):
        deployment.TFLiteRecognizerSignatures(model, block_size=100)
    with pytest.raises(InputError, match="recordings must have a frame of 80 samples or more"):
        deployment.TFLiteRecognizerSignatures(model, recordings=[noise(79)])
    with pytest.raises(InputError, match="int8 must have the ranges of activations"):
        deployment.convert(deployment.TFLiteRecognizerSignatures(model), "int8")
    with pytest.raises(InputError, match="none must have no ranges"):
        deployment.convert(deployment.TFLiteRecognizerSignatures(model, recordings=[noise(800)]))


@pytest.mark.slow
def test_the_program_recognizes_without_tensorflow(clip_file, run_without, tmp_path):
    wt.write_audio(tmp_path / "a.wav", tone(0.3), 8000)
    wt.write_audio(tmp_path / "b.wav", noise(4000), 8000)
    wt.write_audio(tmp_path / "fast.wav", tone(0.3, 16000), 16000)
    recognizer = lite.Recognizer(clip_file)
    expected = recognizer.recognize(wt.read_audio(tmp_path / "a.wav")[0])
    model = f"--model={clip_file}"
    paths = [f"--input={tmp_path / name}.wav" for name in ("a", "b")]
    ran = run_without(TENSORFLOW, PROGRAM, model, *paths)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == f"{tmp_path / 'a.wav'}\t{expected.to_text().strip()}"
    assert len(lines) == 2
    output = tmp_path / "out.json"
    ran = run_without(TENSORFLOW, PROGRAM, model, paths[0], f"--output={output}")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(output.read_text())["chosen"] == expected.chosen
    ran = run_without(TENSORFLOW, PROGRAM, model, f"--input={tmp_path / 'fast.wav'}")
    assert ran.returncode == 1
    assert "fast.wav must be at 8000 Hz; it is at 16000 Hz" in ran.stderr


@pytest.mark.slow
def test_threads_share_a_recognizer(clip_file):
    recognizer = lite.Recognizer(clip_file)
    audio = noise(2, 1500)
    alone = [recognizer.logits(row[None]) for row in audio]
    streams = [recognizer.stream([row[None]]) for row in audio]
    mixed = list(itertools.zip_longest(*streams))
    for expected, parts in zip(alone, zip(*mixed, strict=True), strict=True):
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), expected)
