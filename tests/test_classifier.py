"""Classifiers on the trunk: shapes, losses, labels, batches, and recognition block by block."""

import dataclasses

import keras
import numpy as np
import pytest
import scipy.signal
import tensorflow as tf
from conftest import SMALL, small_model, tone
from registry import small_classifier

import wavenet_tf as wt
from wavenet_tf import data, training
from wavenet_tf.data.augmentation import (
    FILTER_LEVELS,
    FILTER_TAPS,
    MASKS,
    MAX_GAIN_DB,
    MAX_MASK_SECONDS,
    MAX_SPEED_CHANGE,
    MAX_TILT,
    Variation,
    draw_variation,
    vary_frames,
    vary_waveform,
)
from wavenet_tf.data.manifest import Clip
from wavenet_tf.errors import InputError
from wavenet_tf.models.class_targets import CLASS_TARGETS
from wavenet_tf.recognition import Recognizer

FRAME = 80  # samples, 10 ms at 8 kHz


def random_codes(batch: int, frames: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, [batch, frames * FRAME])


def numpy_frame_logits(model, gated, mask):
    """The classifier in numpy: skip sum, mean, normalization, convolutions, classes."""

    def affine(layer, values):
        return values @ layer.kernel.numpy().reshape(-1, layer.bias.shape[0]) + layer.bias.numpy()

    skip_sum = np.maximum(affine(model.skip_convolution, gated), 0.0)
    frames = skip_sum.reshape(len(gated), -1, FRAME, skip_sum.shape[-1]).mean(axis=2)
    centered = frames - frames.mean(axis=-1, keepdims=True)
    frames = centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-3)
    frames = frames * model.normalization.gamma.numpy() + model.normalization.beta.numpy()
    frames = np.maximum(affine(model.projection, frames), 0.0)
    for convolution in model.convolutions:
        frames = np.pad(frames * mask[:, :, None], [(0, 0), (2, 2), (0, 0)])
        windows = np.stack([frames[:, k : frames.shape[1] - 4 + k] for k in range(5)], axis=2)
        kernel, bias = convolution.kernel.numpy(), convolution.bias.numpy()
        frames = np.maximum(np.einsum("btkc,kcd->btd", windows, kernel) + bias, 0.0)
    return affine(model.class_layer, frames * mask[:, :, None])


@pytest.mark.parametrize("targets", CLASS_TARGETS)
def test_logits_are_those_of_numpy(targets):
    model = small_classifier(targets)
    codes, mask = random_codes(2, 9), np.ones([2, 9], np.float32)
    mask[1, 6:] = 0.0
    outputs = model({"audio": codes, "frame_mask": mask})
    gated = model.trunk(codes).numpy()
    expected = numpy_frame_logits(model, gated, mask)
    if targets in ("clip", "tags"):
        expected = (expected * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1)[:, None]
    assert expected.shape[-1] == (4 if targets == "sequence" else 3)
    np.testing.assert_allclose(outputs["classes"], expected, atol=1e-4)
    assert outputs["next_sample"].shape == (2, 9 * FRAME, 256)
    shapes = model.compute_output_shape({"audio": codes.shape, "frame_mask": mask.shape})
    assert shapes == {name: tuple(value.shape) for name, value in outputs.items()}


def test_frames_outside_the_clip_change_nothing_inside():
    model = small_classifier(next_sample=False)
    codes, mask = random_codes(1, 12), np.ones([1, 12], np.float32)
    mask[:, 7:] = 0.0
    padded = model({"audio": codes, "frame_mask": mask})
    np.testing.assert_allclose(padded[:, :7], model(codes[:, : 7 * FRAME]), atol=1e-5)


def test_frames_have_10_ms_at_every_rate():
    for rate, length in ((8000, 80), (16000, 160), (22050, 220), (44100, 441)):
        model = small_classifier()
        model = wt.WaveNetClassifier({**SMALL, "sample_rate": rate}, num_classes=2)
        assert model.frame_length == length
    assert (model.look_ahead, small_classifier(num_convolutions=1).look_ahead) == (6, 2)


@pytest.mark.slow
@pytest.mark.parametrize("targets", CLASS_TARGETS)
@pytest.mark.parametrize("next_sample", [True, False])
def test_a_classifier_trains_saves_and_loads(targets, next_sample, tmp_path):
    model = small_classifier(targets, next_sample=next_sample, class_names=["a", "b", "c"])
    codes = random_codes(4, 8)
    generator = np.random.default_rng(1)
    classes = {
        "frames": generator.integers(0, 3, [4, 8]),
        "clip": np.arange(4) % 3,
        "tags": generator.integers(0, 2, [4, 3]),
        "sequence": np.array([[8, 1, 2, 0], [8, 3, 0, 0], [8, 2, 2, 1], [8, 0, 0, 0]]),
    }[targets]
    y = {"classes": classes, "next_sample": codes} if next_sample else classes
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(codes, y, epochs=8, verbose=0, batch_size=4).history
    assert history["loss"][-1] < history["loss"][0]
    if next_sample:
        assert {"classes_loss", "next_sample_loss", "next_sample_bits_per_sample"} <= set(history)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (loaded.targets, loaded.class_names) == (targets, ["a", "b", "c"])
    for one, other in zip(
        tf.nest.flatten(loaded(codes)), tf.nest.flatten(model(codes)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_the_loss_is_the_weighted_sum_of_two():
    model = small_classifier()
    codes = random_codes(2, 5)
    y = {"classes": np.zeros([2, 5], np.int32), "next_sample": codes}
    model.compile("adam", loss_weights={"classes": 2.0, "next_sample": 0.25})
    logs = model.evaluate(codes, y, verbose=0, return_dict=True)
    outputs = model(codes)
    logits = outputs["classes"].numpy()
    nats = np.log(np.exp(logits).sum(axis=-1)) - logits[..., 0]
    np.testing.assert_allclose(logs["classes_loss"], nats.mean(), rtol=1e-5)
    likelihood = model.distribution.log_likelihood(outputs["next_sample"], codes)
    np.testing.assert_allclose(logs["next_sample_loss"], -np.mean(likelihood), rtol=1e-5)
    expected = 2.0 * logs["classes_loss"] + 0.25 * logs["next_sample_loss"]
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)


def test_a_frame_without_a_class_has_no_loss():
    loss = wt.training.ClassCrossEntropy()
    value = loss([-1, 1], tf.zeros([2, 4]), sample_weight=tf.constant([0.0, 1.0]))
    np.testing.assert_allclose(value, np.log(4), rtol=1e-6)


def brute_force_ctc(logits, labels):
    """Sums the probability of every path of frames that collapses to the labels."""
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    frames, classes = logits.shape
    total = 0.0
    for path in np.ndindex(*[classes] * frames):
        collapsed = [k for i, k in enumerate(path) if k and (i == 0 or path[i - 1] != k)]
        if collapsed == list(labels):
            total += np.prod(probabilities[np.arange(frames), path])
    return -np.log(total)


def test_the_sequence_loss_sums_over_all_alignments():
    logits = np.random.default_rng(0).normal(size=[2, 5, 3]).astype(np.float32)
    targets = np.array([[5, 1, 1, 2], [3, 2, 0, 0]])
    loss = training.SequenceLoss()(targets, logits)
    first = brute_force_ctc(logits[0], [1, 1, 2]) / 3
    second = brute_force_ctc(logits[1, :3], [2])
    np.testing.assert_allclose(loss, (first + second) / 2, rtol=1e-4)


def test_a_classifier_shares_the_trunk_and_the_head_of_a_generator():
    generator = small_model()
    model = wt.WaveNetClassifier.from_wavenet(generator, num_classes=3)
    assert model.trunk is generator.trunk
    codes = random_codes(2, 4)
    np.testing.assert_array_equal(model(codes)["next_sample"], generator(codes))


@pytest.mark.slow
def test_a_frozen_generator_does_not_change():
    generator = small_model()
    before = [weight.numpy() for weight in generator.weights]
    model = wt.WaveNetClassifier.from_wavenet(generator, num_classes=3, frozen=True)
    model.compile("adam")
    model.fit(random_codes(2, 4), np.zeros([2, 4], np.int32), verbose=0)
    for weight, value in zip(generator.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": "words"}, "targets must be one of frames, clip, tags, sequence"),
        ({"kernel_size": 4}, "kernel_size must be odd; received 4"),
        ({"num_classes": 0}, "num_classes must be a whole number of at least 1"),
        ({"class_names": ["a", "a", "b"]}, "class_names must have a different name for each"),
        ({"frame_seconds": 0.0}, "frame_seconds must be a finite number above 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        small_classifier(**arguments)


def test_a_trunk_with_conditions_is_refused():
    with pytest.raises(InputError, match="has no conditions; received speaker_id"):
        wt.WaveNetClassifier({**SMALL, "num_speakers": 3}, num_classes=2)


def test_audio_without_whole_frames_is_refused():
    with pytest.raises(InputError, match="whole frames of 80 samples; received 85 samples"):
        small_classifier()(random_codes(1, 2)[:, :85])


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [[4000], [1] * 7 + [33, 2000, 1959], [79, 2, 3919], [30]])
def test_blocks_give_the_logits_of_the_whole(sizes):
    model = small_classifier(next_sample=False)
    waveform = np.random.default_rng(0).uniform(-1, 1, [2, sum(sizes)]).astype(np.float32)
    blocks = np.split(waveform, np.cumsum(sizes)[:-1], axis=1)
    streamed = np.concatenate(list(Recognizer(model).stream(blocks)), axis=1)
    padded = np.pad(waveform, [(0, 0), (0, -waveform.shape[1] % FRAME)])
    whole = model(model.distribution.encode(padded))
    np.testing.assert_allclose(streamed, whole, atol=1e-5)
    np.testing.assert_allclose(Recognizer(model).logits(waveform), whole, atol=1e-5)


def test_logits_come_look_ahead_frames_late():
    model = small_classifier(next_sample=False)
    blocks = np.zeros([20, 1, FRAME], np.float32)
    frames = [part.shape[1] for part in Recognizer(model).stream(blocks)]
    assert frames == [0] * model.look_ahead + [1] * 14 + [6]


def test_empty_audio_is_refused():
    with pytest.raises(InputError, match=r"at least one sample; received \[1, 0\]"):
        Recognizer(small_classifier()).logits(np.zeros([1, 0]))


@pytest.fixture
def labelled(tmp_path):
    """Tones named after their class, with an alignment in a manifest."""
    clips = []
    for index in range(6):
        label = ["high", "low"][index % 2]
        waveform = tone(0.2 + 0.01 * index, frequency={"high": 900.0, "low": 300.0}[label])
        wt.write_audio(tmp_path / f"{label}_{index}.wav", waveform, 8000)
        alignment = {"phones": [(0.0, 0.1, "sil"), (0.1, 0.2, label)]}
        clips.append(Clip(f"{label}_{index}.wav", alignment=alignment, other={"word": label}))
    data.write_manifest(tmp_path / "manifest.jsonl", clips)
    return tmp_path


@pytest.mark.filterwarnings("ignore:.*columns 'word' are kept")
def test_classes_of_clips_reach_the_batches(labelled):
    model = small_classifier("clip", num_classes=2)
    recordings = data.read_recordings(labelled, 8000, "manifest")
    rows = [f"{name},{name.split('_')[0]}" for name in recordings.names]
    (labelled / "labels.csv").write_text("\n".join(["path,word", *rows]))
    for rule in (r"^([a-z]+)_", "column:word", "labels.csv:word"):
        assert data.find_clip_classes(rule, recordings) == ["high", "low"]
        spec = model.crop_spec.with_sources(data.ClipClassSource(rule, ["high", "low"]))
        batches = list(data.evaluation_batches(recordings, spec, 4, crop_seconds=0.3))
        inputs, targets, weights = batches[0]
        assert inputs["audio"].shape == (4, 30 * FRAME)
        names = [recordings.names[index][:1] for index in range(6)]
        classes = np.concatenate([batch[1]["classes"] for batch in batches])
        np.testing.assert_array_equal(classes, [name == "l" for name in names])
        np.testing.assert_array_equal(weights["classes"], np.ones(4))
        frames = -(-recordings.lengths[:4] // FRAME)
        np.testing.assert_array_equal(inputs["frame_mask"].numpy().sum(axis=1), frames)
        np.testing.assert_array_equal(weights["next_sample"].numpy().sum(1), recordings.lengths[:4])
        np.testing.assert_array_equal(targets["next_sample"][:, :-1], inputs["audio"][:, 1:])


@pytest.mark.filterwarnings("ignore:.*columns 'word' are kept")
def test_classes_of_frames_are_those_at_their_centers(labelled):
    model = small_classifier("frames")
    recordings = data.read_recordings(labelled, 8000, "manifest")
    names = data.find_frame_classes("phones", recordings)
    assert names == ["high", "low", "sil"]
    spec = model.crop_spec.with_sources(data.FrameClassSource(names, FRAME))
    before = spec.samples_before // FRAME
    for inputs, targets, weights in data.evaluation_batches(recordings, spec, 1, crop_seconds=1.0):
        mask = inputs["frame_mask"][0].numpy()
        labels, weight = targets["classes"][0].numpy(), weights["classes"][0].numpy()
        assert not mask[:before].any()
        assert mask[before : before + 20].all()
        assert (labels[before : before + 10] == 2).all()
        assert set(labels[before + 10 : before + 20]) <= {0, 1}
        assert weight[:before].sum() == 0
        # After 0.2 s there is audio without a label.
        assert weight[before : before + 20].all()
        assert not weight[before + 20 :].any()


def variation(gain: float, speed: float, shift: float, taps=(0.0,) * FILTER_TAPS) -> Variation:
    """A variation without noise and silences."""
    return Variation(
        tf.constant(gain),
        tf.constant(speed),
        tf.constant(shift),
        tf.constant(taps),
        tf.constant(200.0),
        tf.zeros([2, MASKS]),
        tf.constant([0, 0], tf.int64),
    )


CHANGES = [(0.5, 0.92, 0.01), (1.6, 1.08, 0.0), (1.0, 0.96, 0.02)]


@pytest.mark.parametrize("change", CHANGES)
def test_augmentation_changes_gain_speed_and_start(change):
    waveform = 0.5 * tone(0.1) * np.linspace(0.2, 1.0, 800, dtype=np.float32)
    changed = vary_waveform(variation(*change), tf.constant(waveform), 8000)
    gain, speed, shift = change
    times = speed * (np.arange(800) - 8000 * shift)
    expected = np.interp(times, np.arange(801), np.append(waveform, 0.0), left=0.0, right=0.0)
    np.testing.assert_allclose(changed, gain * expected, atol=2e-4)


def test_augmentation_filters_as_scipy_does():
    waveform = np.random.default_rng(0).uniform(-0.2, 0.2, 300).astype(np.float32)
    taps = [0.3, -0.2, 0.1, 0.05, 0.0, -0.1, 0.02, 0.04]
    changed = vary_waveform(variation(1.0, 1.0, 0.0, taps), tf.constant(waveform), 8000)
    expected = scipy.signal.lfilter([1.0, *taps], [1.0], waveform)
    expected *= np.sqrt(np.mean(waveform**2) / np.mean(expected**2))
    np.testing.assert_allclose(changed, expected, atol=1e-6)


@pytest.mark.parametrize("change", CHANGES)
def test_labels_of_frames_follow_the_speed_and_the_start_of_their_audio(change):
    # Each frame of the waveform is as loud as the number of its label.
    labels = np.repeat([1, 3, 2, 5, 4], 4).astype(np.int32)
    waveform = np.repeat(labels / 10, 80).astype(np.float32)
    _, speed, shift = change
    varied = vary_frames(variation(*change), tf.constant(labels), 80, 0, 8000, outside=-1)
    audio = vary_waveform(variation(1.0, speed, shift), tf.constant(waveform), 8000)
    centers = np.asarray(audio).reshape(-1, 80)[:, 40]
    known = np.asarray(varied) >= 0
    assert known.sum() > 15
    np.testing.assert_allclose(10 * centers[known], np.asarray(varied)[known], atol=0.2)
    assert np.abs(centers[~known]).max(initial=0.0) < 0.02


def test_variations_are_within_their_ranges():
    seeds = np.stack([np.full(200, 3), np.arange(200)], axis=1)
    drawn = [draw_variation(seed) for seed in seeds]
    decibels = 20 * np.log10([float(part.gain) for part in drawn])
    speeds = np.array([float(part.speed) for part in drawn])
    for values, limit in ((decibels, MAX_GAIN_DB), (speeds - 1, MAX_SPEED_CHANGE)):
        assert -limit <= values.min() < -0.9 * limit
        assert 0.9 * limit < values.max() <= limit
    taps = np.array([part.filter for part in drawn])
    tilts = [MAX_TILT / np.sqrt(3.0), *[0.0] * (len(FILTER_LEVELS) - 1)]  # uniform
    np.testing.assert_allclose(taps.std(axis=0), np.hypot(FILTER_LEVELS, tilts), rtol=0.2)


def test_augmentation_adds_noise_and_short_silences():
    waveform = 0.1 * tone(1.0)
    seeds = np.stack([np.full(60, 7), np.arange(60)], axis=1)
    augmented = np.array([vary_waveform(draw_variation(seed), waveform, 8000) for seed in seeds])
    assert np.abs(augmented).max() <= 1.0
    # What is left without the tone is noise, 30 to 60 dB below it.
    level = np.sqrt(np.mean(augmented[:, 1000:] ** 2, axis=1))
    frames = np.sqrt(np.mean(augmented[:, 1000:-1000].reshape(60, -1, 80) ** 2, axis=2))
    silent = frames < 0.1 * level[:, None]
    assert 0.3 < silent.any(axis=1).mean() < 0.8
    assert silent.mean(axis=1).max() <= MASKS * MAX_MASK_SECONDS / 0.75
    noise = np.array([frames[k][silent[k]].min() / level[k] for k in range(60) if silent[k].any()])
    decibels = -20 * np.log10(noise)
    assert 29 < decibels.min() < 38 and 50 < decibels.max() < 63


@pytest.mark.filterwarnings("ignore:.*columns 'word' are kept")
def test_only_training_crops_are_augmented(labelled):
    recordings = data.read_recordings(labelled, 8000, "manifest")
    plain = small_classifier("clip").crop_spec.with_sources(data.ClipClassSource("^(.)", "hl"))
    spec = dataclasses.replace(plain, augment=True)
    batches = [
        next(iter(data.training_batches(recordings, part, 6, 0.3, seed=1)))
        for part in (spec, spec, plain)
    ]
    audio = [batch[0]["audio"].numpy() for batch in batches]
    np.testing.assert_array_equal(audio[0], audio[1])
    assert all((one != other).any() for one, other in zip(audio[0], audio[2], strict=True))
    np.testing.assert_array_equal(batches[0][1]["classes"], batches[2][1]["classes"])
    evaluated = [next(iter(data.evaluation_batches(recordings, s, 6, 0.3))) for s in (spec, plain)]
    np.testing.assert_array_equal(evaluated[0][0]["audio"], evaluated[1][0]["audio"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (data.ClipClassSource(r"^(high)", ["high"]), "low_1.wav has no class"),
        (data.ClipClassSource(r"^(.)", ["h"]), "low_1.wav is of class 'l'; known are h"),
        (data.FrameClassSource(["sil"], FRAME), "high_0.wav has the unknown label 'high' at 0.100"),
        (data.FrameClassSource(["sil"], FRAME, "words"), "have no alignment 'words'"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*columns 'word' are kept")
def test_missing_and_unknown_classes_are_named(labelled, source, message):
    recordings = data.read_recordings(labelled, 8000, "manifest")
    with pytest.raises(InputError, match=message):
        source.check(recordings)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*columns 'word' are kept")
def test_a_classifier_learns_tones(labelled):
    keras.utils.set_random_seed(0)
    trunk = {**SMALL, "output_distribution": "logistic_mixture"}
    model = wt.WaveNetClassifier(trunk, num_classes=2, targets="clip", class_names=["high", "low"])
    source = data.ClipClassSource(r"^([a-z]+)_", model.class_names)
    train, validation = wt.audio_datasets(labelled, model, 4, 0.25, 0.3, sources=[source])
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(train, steps_per_epoch=20, epochs=2, validation_data=validation, verbose=0)
    assert history.history["val_classes_error_rate"][-1] == 0.0
