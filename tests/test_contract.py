"""What holds for every model: shapes, chunks, saving and loading, training in every precision."""

import keras
import numpy as np
import pytest
from registry import MODELS, new_model, random_inputs

from wavenet_tf.options import DISTRIBUTIONS, PRECISIONS

SAMPLES = 280  # whole frames of 20 and of 7 samples


def outputs_for(index: int) -> str:
    """Every distribution has its turn."""
    return DISTRIBUTIONS[index % len(DISTRIBUTIONS)]


CASES = [(name, outputs_for(index)) for index, name in enumerate(MODELS)]


@pytest.mark.parametrize(("name", "output"), CASES)
def test_chunks_with_a_state_give_the_outputs_of_the_whole(name, output):
    model = new_model(name, output_distribution=output)
    inputs = random_inputs(model, 2, SAMPLES)
    whole = model(inputs)
    assert whole.shape == (2, SAMPLES, model.distribution.parameter_channels)
    local = model.trunk.local_conditioning(inputs)
    state, parts, start = model.trunk.initial_state(2), [], 0
    for end in (1, 20, 21, 150, SAMPLES):
        chunk = {**inputs, "audio": inputs["audio"][:, start:end]}
        part, state = model(chunk, state, None if local is None else local[:, start:end])
        parts.append(part)
        start = end
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "output"), CASES)
def test_a_saved_model_loads_as_the_same_function(name, output, tmp_path):
    model = new_model(name, output_distribution=output)
    model.compile("adam")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.config == model.config
    inputs = random_inputs(model, 2, SAMPLES)
    np.testing.assert_array_equal(loaded(inputs), model(inputs))


@pytest.mark.slow
@pytest.mark.parametrize(("output", "precision"), zip(DISTRIBUTIONS, PRECISIONS, strict=True))
def test_a_model_with_every_condition_trains_in_every_precision(output, precision):
    model = new_model("all", output_distribution=output, dtype=precision)
    inputs = random_inputs(model, 2, SAMPLES)
    model.compile("adam")
    losses = model.fit(inputs, inputs["audio"], epochs=3, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert model(inputs).dtype == "float32"
