"""The likelihood of audio under a model, chunk by chunk, in graphs too."""

import tensorflow as tf

# Samples scored in one pass: enough to keep the processor busy, few enough for memory.
CHUNK_SIZE = 8192


def log_likelihood(model, audio, conditions) -> tf.Tensor:
    """Returns the log-likelihood of each sample given digital silence and the samples before it.

    Args:
        model: a `WaveNet`.
        audio: float32 in [-1, 1], `[batch, time]`.
        conditions: the model's other inputs; frames * hop_length = time.

    Returns:
        float32 `[batch, time]`, in nats.
    """
    return _teacher_forced(model, audio, conditions, model.distribution.log_likelihood, [])


def distribution_parameters(model, audio, conditions) -> tf.Tensor:
    """Returns the parameters of each sample's distribution, given the samples before it.

    Args:
        model: a `WaveNet`.
        audio: as `log_likelihood` takes it.
        conditions: as `log_likelihood` takes them.

    Returns:
        float32 `[batch, time, parameters]`.
    """
    shape = [model.distribution.parameter_channels]
    return _teacher_forced(model, audio, conditions, lambda parameters, _: parameters, shape)


def _teacher_forced(model, audio, conditions, compute, shape: list[int]) -> tf.Tensor:
    """Returns `compute(parameters, values)` for each sample, `[batch, time, *shape]`."""
    batch, before = tf.shape(audio)[0], model.receptive_field
    silence = tf.fill([batch, before], model.distribution.silence)
    encoded, _ = model.codec.encode(audio, model.codec.initial_memory(batch))
    values = tf.concat([silence, encoded], axis=1)
    steps = tf.shape(values)[1] - 1
    state = model.trunk.initial_state(batch)

    def compute_chunk(start, state, results):
        count = tf.minimum(CHUNK_SIZE, steps - start)
        inputs = {"audio": values[:, start : start + count], **conditions}
        targets = values[:, start + 1 : start + 1 + count]
        # A position is conditioned on the frame of the sample that it predicts.
        local = model.trunk.local_conditioning(conditions, start + 1 - before, count)
        parameters, state = model(inputs, state, local)
        results = tf.concat([results, compute(parameters, targets)], axis=1)
        return start + count, state, results

    _, _, results = tf.while_loop(
        lambda start, *_: start < steps,
        compute_chunk,
        [0, state, tf.zeros([batch, 0, *shape])],
        shape_invariants=[
            tf.TensorShape([]),
            tf.nest.map_structure(lambda part: tf.TensorShape([None, *part.shape[1:]]), state),
            tf.TensorShape([None, None, *shape]),
        ],
    )
    return results[:, before - 1 :]
