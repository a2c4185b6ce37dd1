"""Exported recognizers against the classifier that they were made of: SavedModels."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from registry import CLASSIFIERS, small_classifier

from wavenet_tf import deployment
from wavenet_tf.errors import InputError
from wavenet_tf.recognition import LogitStream, Recognizer, RecognizerSpec
from wavenet_tf.recognition.logit_stream import process_with_signatures

pytestmark = pytest.mark.slow

FRAME = 80  # samples, 10 ms at 8 kHz
RATE = 8000
TOLERANCE = 1e-5


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, shape).astype(np.float32)


def probabilities_of(model, waveform) -> np.ndarray:
    """Returns what the whole network gives for one waveform: of frames, or of the clip."""
    padded = np.pad(waveform, [(0, -len(waveform) % FRAME)])[None]
    outputs = model(model.distribution.encode(padded))
    logits = outputs["classes"] if isinstance(outputs, dict) else outputs
    activation = tf.sigmoid if model.targets == "tags" else tf.nn.softmax
    return activation(logits).numpy()[0]


@pytest.fixture(scope="module", params=CLASSIFIERS)
def exported(request, tmp_path_factory):
    """A classifier, the loaded signatures of its SavedModel, and its metadata."""
    model = small_classifier(request.param, **CLASSIFIERS[request.param])
    directory = tmp_path_factory.mktemp("served") / "1"
    signatures = deployment.SavedModelRecognizerSignatures(model, max_seconds=2.5)
    deployment.save(signatures, directory)
    loaded = tf.saved_model.load(str(directory)).signatures
    asset = Path(directory, "assets", deployment.saved_model.METADATA_FILE)
    assert json.loads(asset.read_text()) == signatures.metadata
    requests = deployment.run_small_requests(directory)
    assert [name for name, _ in requests] == ["serving_default", "initial_state", "recognize_block"]
    return model, loaded, signatures.metadata


def call_with(signatures):
    def call_signature(name, **inputs):
        answer = signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        return {key: tensor.numpy() for key, tensor in answer.items()}

    return call_signature


def test_clips_of_any_length_in_one_batch_are_as_alone(exported):
    model, signatures, _ = exported
    lengths = [1, FRAME, 1234, 20000]  # the last is longer than a block of the graph
    audio = noise(len(lengths), max(lengths))
    answer = signatures["recognize"](audio=audio, num_samples=np.array(lengths, np.int32))
    for row, (waveform, length) in enumerate(zip(audio, lengths, strict=True)):
        expected = probabilities_of(model, waveform[:length])
        probabilities = answer["probabilities"][row].numpy()
        if model.class_targets.per_frame:
            assert not probabilities[len(expected) :].any()
            probabilities = probabilities[: len(expected)]
        np.testing.assert_allclose(probabilities, expected, atol=TOLERANCE)


@pytest.mark.parametrize("sizes", [[1, 79, 81, 0, 2300], [30]])
def test_a_stream_gives_the_logits_of_the_whole_with_the_declared_delay(exported, sizes):
    model, signatures, metadata = exported
    spec = RecognizerSpec.from_metadata(metadata)
    assert spec == RecognizerSpec.from_model(model)
    audio = noise(2, sum(sizes))
    blocks = np.split(audio, np.cumsum(sizes)[:-1], axis=1)
    streams = {"streams": np.zeros(2, np.int32)}
    stream = LogitStream(process_with_signatures(call_with(signatures), streams), spec, blocks)
    parts = list(stream)
    np.testing.assert_allclose(
        np.concatenate(parts, axis=1), Recognizer(model).logits(audio), atol=1e-4, rtol=1e-4
    )
    whole, frames = np.cumsum(sizes) // FRAME, np.cumsum([part.shape[1] for part in parts])
    called = whole[np.diff(whole, prepend=0) > 0]  # a block without a whole frame gives nothing
    np.testing.assert_array_equal(frames[:-1], np.maximum(0, called - spec.look_ahead))
    assert stream.real_time_factor > 0.0


def test_the_metadata_is_that_of_the_model(exported):
    model, signatures, metadata = exported
    rows = signatures["metadata"](streams=np.zeros(2, np.int32))["json"].numpy()
    assert [json.loads(row) for row in rows] == [metadata, metadata]
    assert metadata["task"] == "recognition"
    assert metadata["max_samples"] == 20000
    for name in ("sample_rate", "frame_length", "look_ahead", "targets", "class_names"):
        assert metadata[name] == getattr(model, name)


def test_errors_name_the_input(exported):
    _, signatures, metadata = exported
    audio, ones = noise(2, 2 * FRAME), np.ones([2, 2], np.float32)
    state = {
        name: tensor
        for name, tensor in signatures["initial_state"](streams=np.zeros(2, np.int32)).items()
    }
    clips = {"audio": audio, "num_samples": np.array([3, 4], np.int32)}
    block = {"audio": audio, "frame_mask": ones, **state}
    long = np.zeros([1, metadata["max_samples"] + 1], np.float32)
    for name, request, message in (
        ("recognize", {**clips, "audio": audio[:, :0]}, "audio must have at least one sample"),
        ("recognize", {**clips, "audio": audio * np.nan}, "audio holds NaN or infinity"),
        ("recognize", {**clips, "audio": audio[:1]}, "as many rows as the other inputs"),
        ("recognize", {**clips, "num_samples": np.array([0, 4], np.int32)}, "from 1 to the samp"),
        ("recognize", {**clips, "num_samples": np.array([3, 161], np.int32)}, "from 1 to the sam"),
        (
            "serving_default",
            {"audio": long, "num_samples": np.array([long.shape[1]], np.int32)},
            "at most 20000; received",
        ),
        ("recognize_block", {**block, "audio": audio[:, 1:]}, "80 samples for each frame"),
        ("recognize_block", {**block, "frame_mask": 0.5 * ones}, "frame_mask must hold 0 and 1"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            signatures[name](**{key: tf.constant(value) for key, value in request.items()})


def test_a_model_of_half_precision_is_exported_in_float32():
    model = small_classifier("frames", dtype="mixed_bfloat16")
    signatures = deployment.SavedModelRecognizerSignatures(model)
    assert signatures.model.compute_dtype == "float32"
    audio = noise(1, 800)
    ours = signatures.recognize(tf.constant(audio), tf.constant([800]))["probabilities"][0]
    np.testing.assert_allclose(ours, probabilities_of(model, audio[0]), atol=0.05)


def test_arguments_out_of_range_are_refused():
    with pytest.raises(InputError, match="max_seconds must be above 0"):
        deployment.SavedModelRecognizerSignatures(small_classifier(), max_seconds=0.0)
