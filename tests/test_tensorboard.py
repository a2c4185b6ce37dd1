"""TensorBoard: the contents of the files that the callbacks write."""

import io
import subprocess
import sys

import keras
import matplotlib.image
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from conftest import ROOT, small_model, tone

from wavenet_tf import data, evaluation, training
from wavenet_tf.errors import InputError
from wavenet_tf.training.spectrogram_image import spectrogram_image

SAMPLES = 2000  # generated, at 8 kHz
MEL = {"features": ["mel"], "local_channels": 80, "upsample_factors": (10, 10)}
SPEAKERS = {"num_speakers": 3, "speaker_names": ["a", "b", "c"]}


def read_events(folder):
    """Returns the values of the only file in a folder, by tag and step."""
    (path,) = folder.iterdir()
    found = {}
    for event in tf.compat.v1.train.summary_iterator(str(path)):
        for value in event.summary.value:
            found.setdefault(value.tag, {})[event.step] = tf.make_ndarray(value.tensor)
    return found


class Store(keras.callbacks.Callback):
    """Stores what a function of the model returns at the end of each epoch, by step."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.values = {}

    def on_epoch_end(self, epoch, logs=None):
        self.values[int(self.model.optimizer.iterations.numpy())] = self.function(self.model)


def compiled_model(optimizer=None, **overrides):
    model = small_model(**overrides)
    if model.config.features:
        model.trunk.upsampler.adapt(np.random.default_rng(0).normal(-6.0, 2.0, [50, 80]))
    metrics = [training.BitsPerSample(model.distribution), training.NextSampleAccuracy()]
    model.compile(optimizer or keras.optimizers.Adam(0.05), weighted_metrics=metrics)
    return model


def fit(model, recordings, *callbacks, epochs=2, **kwargs):
    """Trains a model further, three steps per epoch."""
    batches = data.training_batches(recordings, model.crop_spec, batch_size=2, crop_seconds=0.05)
    return model.fit(
        batches,
        steps_per_epoch=3,
        epochs=epochs,
        callbacks=list(callbacks),
        verbose=0,
        validation_data=data.evaluation_batches(recordings, model.crop_spec, 2, 0.05).take(2),
        **kwargs,
    ).history


def recordings_for(recordings_dir, model):
    recordings = data.read_recordings(recordings_dir, 8000)
    if model.config.num_speakers:
        # Five of one speaker, then two of another, then one of the third.
        ids = np.array([2, 2, 2, 2, 2, 0, 0, 1], np.int32)
        recordings = data.Recordings(
            recordings.directory,
            recordings.names,
            recordings.clips,
            recordings.lengths,
            8000,
            speaker_names=model.config.speaker_names,
            speaker_ids=ids,
        )
    return recordings.with_features(["mel"], 100) if model.config.features else recordings


def decoded(audio_summary):
    samples, rate = soundfile.read(io.BytesIO(audio_summary[0, 0]), dtype="float32")
    assert rate == 8000
    return samples


@pytest.mark.slow
@pytest.mark.once
def test_scalars_are_written_at_their_steps(recordings_dir, tmp_path):
    model = compiled_model()
    norm = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(gradient_norm=0.25 + epoch)
    )
    rates = Store(lambda model: float(model.optimizer.learning_rate))
    scalars = training.TensorBoardScalars(tmp_path / "events")
    early = Store(lambda model: read_events(tmp_path / "events" / "validation"))
    history = fit(
        model,
        recordings_for(recordings_dir, model),
        training.LogStep(),
        norm,
        rates,
        scalars,
        early,
    )
    train = read_events(tmp_path / "events" / "train")
    validation = read_events(tmp_path / "events" / "validation")
    assert set(train) == {"loss", "bits_per_sample", "accuracy", "learning_rate", "gradient_norm"}
    assert set(validation) == {"loss", "bits_per_sample", "accuracy"}
    for name in validation:
        for found, key in ((train, name), (validation, f"val_{name}")):
            assert list(found[name]) == [3, 6]
            np.testing.assert_allclose(list(found[name].values()), history[key], rtol=1e-6)
    assert list(train["gradient_norm"].values()) == [0.25, 1.25]
    np.testing.assert_allclose(list(train["learning_rate"].values()), list(rates.values.values()))
    # The file has the values as soon as the epoch is over.
    assert list(early.values[3]["bits_per_sample"]) == [3]


def test_accuracy_is_the_share_of_scored_samples_that_are_likeliest():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=[2, 3, 50, 16]).astype(np.float32)
    targets = logits.argmax(axis=-1)
    targets[generator.random(targets.shape) < 0.4] = 7
    weights = (generator.random(targets.shape) < 0.5).astype(np.float32)
    right = weights * (logits.argmax(axis=-1) == targets)
    metric = training.NextSampleAccuracy()
    for batch in range(2):
        metric.update_state(targets[batch], logits[batch], weights[batch])
    np.testing.assert_allclose(metric.result(), right.sum() / weights.sum(), rtol=1e-6)
    assert 0.4 < right.sum() / weights.sum() < 0.8


@pytest.mark.slow
def test_a_model_is_saved_with_its_accuracy(tmp_path):
    compiled_model().save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    codes = np.zeros([1, 5], np.int32)
    assert "accuracy" in loaded.evaluate(codes, codes, verbose=0, return_dict=True)


def generated(model):
    return model.generate(SAMPLES, batch_size=3, seed=5)


def spoken(model):
    return model.generate(SAMPLES, batch_size=3, seed=5, speaker_id=[2, 0, 1])


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize(
    ("overrides", "function", "labels", "clips"),
    [
        ({}, generated, ["1", "2", "3"], [0, 1, 2]),
        (SPEAKERS, spoken, ["1 c", "2 a", "3 b"], [0, 5, 7]),
        (MEL, None, ["1", "2", "3"], [0, 1, 2]),
    ],
)
def test_audio_comes_from_the_current_weights(
    recordings_dir, tmp_path, overrides, function, labels, clips
):
    model = compiled_model(**overrides)
    recordings = recordings_for(recordings_dir, model)
    if function is None:

        def function(model):
            chosen = recordings.select(clips)
            return [clip[:SAMPLES] for clip in evaluation.copy_synthesis(model, chosen, seed=5)]

    kept = Store(function)
    audio = training.TensorBoardAudio(tmp_path, recordings, SAMPLES / 8000, seed=5)
    fit(model, recordings, audio, kept)
    found = read_events(tmp_path / "audio")
    assert {tag for tag in found if tag.startswith("gen")} == {f"generated/{x}" for x in labels}
    for index, label in enumerate(labels):
        summaries = found[f"generated/{label}"]
        assert list(summaries) == [3, 6]
        for step, summary in summaries.items():
            expected = kept.values[step][index]
            np.testing.assert_allclose(decoded(summary), expected, atol=2 / 32768)
        assert np.abs(decoded(summaries[3]) - decoded(summaries[6])).max() > 0.01
        recorded = recordings.waveform(clips[index])[:SAMPLES]
        (step,) = found[f"recorded/{label}"]
        assert step == 0
        np.testing.assert_allclose(decoded(found[f"recorded/{label}"][0]), recorded, atol=2 / 32768)
        width, height, png = found[f"spectrogram/{label}"][6]
        picture = matplotlib.image.imread(io.BytesIO(png)) * 255
        assert picture.shape == (int(height), int(width), 3)
        expected = spectrogram_image([kept.values[6][index], recorded], 8000)
        np.testing.assert_allclose(picture, expected, atol=0.5)


@pytest.mark.slow
@pytest.mark.once
def test_audio_comes_from_the_ema_weights_and_training_is_unchanged(recordings_dir, tmp_path):
    weights, audio = [], []
    for folder in (None, tmp_path):
        optimizer = keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.5)
        model = compiled_model(optimizer)
        recordings = recordings_for(recordings_dir, model)
        callbacks = [training.TensorBoardAudio(folder, recordings, 0.25, 1)] if folder else []
        last = Store(lambda model: [weight.numpy() for weight in model.weights])
        fit(model, recordings, *callbacks, last)
        weights.append(last.values[6])
        audio.append(model.generate(SAMPLES, seed=0)[0])  # Keras ends with the EMA weights
    for alone, beside in zip(*weights, strict=True):
        np.testing.assert_array_equal(alone, beside)
    found = decoded(read_events(tmp_path / "audio")["generated/1"][6])
    np.testing.assert_allclose(found, audio[1], atol=2 / 32768)
    for weight, value in zip(model.weights, weights[1], strict=True):
        weight.assign(value)
    assert np.abs(model.generate(SAMPLES, seed=0)[0] - found).max() > 0.01


@pytest.mark.slow
def test_audio_is_generated_every_few_epochs_up_to_a_time_limit(recordings_dir, tmp_path):
    model = compiled_model()
    recordings = recordings_for(recordings_dir, model)
    fit(
        model,
        recordings,
        training.TensorBoardAudio(tmp_path, recordings, 0.5, streams=9, every=2, most_seconds=0.0),
        epochs=5,
    )
    found = read_events(tmp_path / "audio")
    assert list(found["generated/8"]) == [6, 12]
    assert "generated/9" not in found  # there are eight recordings
    assert len(decoded(found["generated/8"][6])) == 1024  # the first block
    assert len(decoded(found["recorded/8"][0])) == 4000
    with pytest.raises(InputError, match="at least one sample; received 0"):
        training.TensorBoardAudio(tmp_path, recordings, 0.0)
    with pytest.raises(InputError, match="every must be"):
        training.TensorBoardAudio(tmp_path, recordings, every=0)


@pytest.mark.slow
def test_audio_skips_recordings_that_are_corrupted(recordings_dir, tmp_path):
    model = compiled_model()
    recordings = data.read_recordings(recordings_dir, 8000, in_memory_bytes=0)
    corrupted = recordings_dir / recordings.names[0]
    corrupted.write_bytes(corrupted.read_bytes()[:60])
    with pytest.warns(UserWarning, match=f"left out: .*{corrupted.name}"):
        callback = training.TensorBoardAudio(tmp_path, recordings, 0.05, streams=3)
    assert list(callback.recordings.names) == list(recordings.names)[1:4]
    one = recordings.select([0])
    with pytest.warns(UserWarning, match="left out"):
        callback = training.TensorBoardAudio(tmp_path, one, 0.05)
    fit(model, data.read_recordings(recordings_dir, 8000), callback, epochs=1)
    assert read_events(tmp_path / "audio") == {}


def test_spectrograms_share_a_scale_on_which_silence_is_black():
    silence, loud = np.zeros(4000, np.float32), tone(0.5, 8000, frequency=1000.0)
    picture = spectrogram_image([silence, loud, 0.01 * loud], 8000)
    frames = 4000 // 40
    height, width, _ = picture.shape
    assert (height, width) == (257, 3 * frames + 2 * 8)
    assert (picture[:, :frames] == [0, 0, 4]).all()
    assert (picture[:, frames : frames + 8] == 255).all()
    brightness = picture.astype(int).sum(axis=-1)
    middle = brightness[:, frames + 8 + frames // 2]
    assert height - 1 - middle.argmax() == 1000 / 4000 * (height - 1)
    assert middle.max() > 600  # -6 dB
    assert 150 < brightness[:, -frames // 2].max() < 400  # -46 dB


@pytest.mark.slow
def test_histograms_hold_weights_and_gradients(recordings_dir, tmp_path):
    model = compiled_model(**SPEAKERS)  # an embedding's gradients are sparse
    recordings = recordings_for(recordings_dir, model)
    batch = next(iter(data.training_batches(recordings, model.crop_spec, 2, 0.05, seed=9)))
    inputs, targets, scored = batch

    def name_of(variable):
        return variable.path.partition("/")[2]

    def gradients(model):
        with tf.GradientTape() as tape:
            log_likelihood = model.distribution.log_likelihood(model(inputs), targets)
            loss = -tf.reduce_sum(log_likelihood * scored) / tf.reduce_sum(scored)
        variables = model.trainable_weights
        parts = tape.gradient(loss, [variable.value for variable in variables])
        return {
            f"gradients/{name_of(variable)}": tf.convert_to_tensor(part).numpy()
            for variable, part in zip(variables, parts, strict=True)
        }

    def weights(model):
        return {f"weights/{name_of(part)}": part.numpy() for part in model.weights}

    kept = Store(lambda model: gradients(model) | weights(model))
    fit(model, recordings, training.TensorBoardHistograms(tmp_path, batch), kept)
    found = read_events(tmp_path / "histograms")
    assert set(found) == set(kept.values[6])
    for tag, steps in found.items():
        assert list(steps) == [3, 6]
        for step, buckets in steps.items():
            values = kept.values[step][tag]
            assert buckets[:, 2].sum() == values.size
            limits = buckets[0, 0], buckets[-1, 1]
            np.testing.assert_allclose(limits, (values.min(), values.max()), rtol=1e-3, atol=1e-6)
    changing = found["weights/trunk/speaker_embedding/embeddings"]
    assert not np.array_equal(changing[3], changing[6])


@pytest.mark.slow
@pytest.mark.once
def test_two_replicas_write_what_one_writes(recordings_dir, tmp_path):
    """Runs in a subprocess, because logical devices must be created before any other use."""
    program = """if True:
        import sys
        import numpy as np
        import tensorflow as tf
        cpu = tf.config.list_physical_devices("CPU")[0]
        halves = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, halves)
        sys.path.insert(0, "tests")
        from test_tensorboard import *
        strategies = {
            "one": tf.distribute.get_strategy(),
            "two": tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]),
        }
        for name, strategy in strategies.items():
            with strategy.scope():
                model = compiled_model()
            recordings = recordings_for(sys.argv[1], model)
            batch = next(iter(data.training_batches(recordings, model.crop_spec, 2, 0.05)))
            callbacks = [
                training.TensorBoardScalars(f"{sys.argv[2]}/{name}"),
                training.TensorBoardHistograms(f"{sys.argv[2]}/{name}", batch),
                training.TensorBoardAudio(f"{sys.argv[2]}/{name}", recordings, 0.1, 1),
            ]
            fit(model, recordings, *callbacks, epochs=1)
    """
    result = subprocess.run(
        [sys.executable, "-c", program, recordings_dir, tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    one, two = (read_events(tmp_path / name / "histograms") for name in ("one", "two"))
    assert set(one) == set(two)
    for tag, steps in one.items():
        limits = [(part[3][0, 0], part[3][-1, 1]) for part in (steps, two[tag])]
        np.testing.assert_allclose(*limits, rtol=1e-3, atol=1e-4)
    for name in ("one", "two"):
        assert len(decoded(read_events(tmp_path / name / "audio")["generated/1"][3])) == 800


def test_the_configuration_is_a_table(tmp_path):
    model = compiled_model()
    model.optimizer.iterations.assign(7)
    settings = {"speakers": "(a|b)_", "features": None, "steps": 12}
    training.write_configuration(tmp_path, settings, model)
    found = read_events(tmp_path / "configuration")
    table = found["settings"][7].item().decode().splitlines()
    assert table == ["| | |", "|---|---|", r"| speakers | (a\|b)_ |", "| steps | 12 |"]
    rows = found["model"][7].item().decode().splitlines()
    parameters = sum(np.prod(weight.shape) for weight in model.weights)
    assert f"| parameters | {parameters:,} |" in rows
    assert f"| receptive field | {model.receptive_field} samples (2 ms) |" in rows
    assert "| residual_channels | 8 |" in rows
    assert "| dtype | float32 |" in rows


@pytest.mark.slow
def test_a_second_training_adds_files(recordings_dir, tmp_path):
    model = compiled_model()
    scalars = training.TensorBoardScalars(tmp_path)
    recordings = recordings_for(recordings_dir, model)
    fit(model, recordings, scalars, epochs=1)
    with pytest.raises(RuntimeError), scalars.writers["train"].as_default(0):
        pass  # closed
    fit(model, recordings, scalars, epochs=1)
    assert len(list((tmp_path / "train").iterdir())) == 2
