"""A second task on the trunk, in a few lines, without a change anywhere else."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import SMALL, randomise, tone

import wavenet_tf as wt
from wavenet_tf.models import TrainableModel, WaveNetTrunk


@keras.saving.register_keras_serializable(package="tests")
class ClipClassifier(TrainableModel):
    """Classes of whole clips, from the mean over time of a trunk's activations."""

    def __init__(self, trunk, num_classes, **kwargs):
        super().__init__(**kwargs)
        self.trunk, self.num_classes = trunk, num_classes
        self.projection = keras.layers.Dense(num_classes)
        self.build()

    def build(self, inputs_shape=None):
        if not self.trunk.built:
            self.trunk.build()
        self.projection.build(self.trunk.compute_output_shape((None, None))[::2])
        self.built = True

    def call(self, inputs):
        return self.projection(tf.reduce_mean(self.trunk(inputs), axis=1))

    def default_loss(self):
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def default_weighted_metrics(self):
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def example_batch(self):
        return tf.zeros([1], tf.int32), tf.zeros([1, self.num_classes]), tf.ones([1])

    def get_config(self):
        trunk = keras.saving.serialize_keras_object(self.trunk)
        return {**super().get_config(), "trunk": trunk, "num_classes": self.num_classes}

    @classmethod
    def from_config(cls, config):
        trunk = keras.saving.deserialize_keras_object(config.pop("trunk"))
        return cls(trunk, **config)


@pytest.fixture(scope="module")
def clips():
    """Low and high tones as mu-law codes, and which is which."""
    labels = np.arange(16) % 2
    waveforms = [tone(0.02, frequency=[300.0, 900.0][k] + 10 * i) for i, k in enumerate(labels)]
    return wt.mu_law_encode(np.stack(waveforms)), labels


@pytest.mark.slow
def test_a_classifier_on_the_trunk_trains_saves_and_loads(clips, tmp_path):
    codes, labels = clips
    keras.utils.set_random_seed(0)
    model = ClipClassifier(WaveNetTrunk(SMALL), num_classes=2)
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(codes, labels, epochs=30, verbose=0).history
    assert set(history) == {"accuracy", "gradient_norm", "loss"}
    assert history["accuracy"][-1] == 1.0
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    model.save(tmp_path / "classifier.keras")
    loaded = keras.models.load_model(tmp_path / "classifier.keras")
    np.testing.assert_array_equal(loaded(codes), model(codes))


@pytest.mark.slow
def test_a_task_shares_the_trunk_of_a_generator(clips):
    codes, labels = clips
    generator = wt.WaveNet(**SMALL)
    randomise(generator)
    model = ClipClassifier(generator.trunk, num_classes=2)
    model.trunk.trainable = False
    before = [weight.numpy() for weight in generator.weights]
    model.compile("adam")
    model.fit(codes, labels, verbose=0)
    for weight, value in zip(generator.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_a_state_continues_the_trunk():
    trunk = WaveNetTrunk(SMALL)
    codes = np.random.default_rng(0).integers(0, 256, [2, 60])
    whole = trunk(codes)
    randomise(trunk)
    whole, state, parts = trunk(codes), trunk.initial_state(2), []
    for chunk in np.split(codes, [1, 20, 21], axis=1):
        outputs, state = trunk(chunk, state=state)
        parts.append(outputs)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)
