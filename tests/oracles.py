"""What a model is held against when it generates: itself, run once over what it made."""

import numpy as np
import tensorflow as tf


def teacher_forced_values(model, audio, uniforms, prompt=None, temperature=1.0, conditions=None):
    """What the whole network, run once over the audio made, draws at every step."""
    batch, conditions = len(audio), conditions or {}
    before = np.zeros(batch, np.float32)
    if prompt is not None and prompt.shape[1]:
        before = np.repeat(prompt[:, -1], batch // len(prompt))
    values = values_of(model, audio, before)
    silence = tf.fill([batch, model.receptive_field], model.distribution.silence)
    given = tf.zeros([batch, 0], values.dtype)
    if prompt is not None:
        prompt = np.repeat(prompt, batch // len(prompt), axis=0)
        if model.emphasis is not None:
            prompt = model.emphasis.analyze(tf.constant(prompt), tf.zeros([batch]))
        given = model.distribution.encode(prompt)
    # Context stacks count their frames from where priming begins.
    context = tf.concat([silence, given], axis=1)[:, -model.receptive_field :]
    inputs = {"audio": tf.concat([context, values], axis=1), **conditions}
    # A position sees the frame of the sample that it predicts; frames begin with the prompt.
    first = given.shape[1] + 1 - model.receptive_field
    local_conditioning = model.trunk.local_conditioning(inputs, first, inputs["audio"].shape[1])
    parameters = model(inputs, local_conditioning=local_conditioning)
    parameters = parameters[:, model.receptive_field - 1 : -1]
    drawn = model.distribution.sample(
        tf.reshape(parameters, [-1, parameters.shape[-1]]),
        tf.reshape(uniforms, [-1, *uniforms.shape[2:]]),
        temperature,
    )
    return values.numpy(), np.reshape(drawn, values.shape)


def values_of(model, audio, before) -> tf.Tensor:
    """The values that the model decoded to this audio; not all code tables encode it so."""
    if model.emphasis is not None:
        audio = model.emphasis.analyze(tf.constant(audio), tf.constant(before))
    if model.config.output_distribution != "categorical":
        return model.distribution.encode(audio)
    decoded = model.distribution.decode(np.arange(model.config.quantization_channels)).numpy()
    return tf.constant(np.searchsorted((decoded[1:] + decoded[:-1]) / 2.0, audio), tf.int32)


def assert_same_draws(values, expected, below, above):
    """Codes are equal; 16-bit values too, but for a step where rounding decides otherwise."""
    if values.dtype == np.int32:
        # Each of 256 boundaries lies within the 2e-5 of some uniforms: 0.5% are expected.
        assert np.mean(below == above) > 0.98
        assert ((below <= values) & (values <= above)).all()
        return
    # 16-bit values are equal; values that are not rounded differ by the rounding of float32.
    assert np.mean(np.abs(values - expected) < 1e-5) > 0.95
    # The draws are some 0.02 apart: so near is no accident.
    np.testing.assert_allclose(values, expected, atol=3 * 2.0**-15)


def uniforms_of(seed, samples, batch, model=None):
    shape = model.distribution.uniforms_shape if model else ()
    return np.random.default_rng(seed).random([samples, batch, *shape], np.float32).swapaxes(0, 1)


def random_conditions(model, batch, samples):
    """A row of its own for each stream."""
    generator = np.random.default_rng(0)
    conditions = {}
    if model.config.num_speakers:
        conditions["speaker_id"] = np.arange(batch, dtype=np.int32) % model.config.num_speakers
    if model.config.global_channels:
        vectors = generator.normal(size=(batch, model.config.global_channels))
        conditions["global_conditioning"] = vectors.astype(np.float32)
    if model.config.local_channels:
        frames = generator.normal(
            size=(batch, samples // model.hop_length, model.config.local_channels)
        )
        conditions["local_conditioning"] = frames.astype(np.float32)
    return conditions


def assert_drawn_from(model, audio, uniforms, prompt=None, conditions=None, temperature=1.0):
    """Asserts that each sample of `audio` is what the model draws after those before it.

    `uniforms` are these numbers, or the seed of them.
    """
    if isinstance(uniforms, int):
        uniforms = uniforms_of(uniforms, audio.shape[1], audio.shape[0], model)
    draws = [
        teacher_forced_values(model, audio, moved, prompt, temperature, conditions)
        for moved in (uniforms, np.maximum(uniforms - 1e-5, 0.0), uniforms + 1e-5)
    ]
    assert len(np.unique(audio)) > 20
    assert_same_draws(*draws[0], draws[1][1], draws[2][1])


def frames_of(conditions: dict, metadata: dict, block: int) -> dict[str, np.ndarray]:
    """Returns the conditions of a block, in which the first and last frame of the signal repeat."""
    conditions = dict(conditions)
    if "local_conditioning" in conditions:
        frames = conditions["local_conditioning"]
        whole = metadata["block_size"] // metadata["hop_length"]
        first = block * whole
        indices = np.arange(
            first - metadata["frames_before"], first + whole + metadata["frames_after"]
        )
        conditions["local_conditioning"] = frames[:, np.clip(indices, 0, frames.shape[1] - 1)]
    return conditions
