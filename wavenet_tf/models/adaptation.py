"""A further speaker of a trained model."""

import numpy as np

from wavenet_tf.errors import InputError
from wavenet_tf.models.wavenet import WaveNet


def add_speaker(model: WaveNet, name: str) -> WaveNet:
    """Returns a copy of a model with one speaker more, whose embedding is the mean of the others'.

    `trained` of the copy is "speaker_embedding": `fit` on recordings of the new speaker changes the
    row of this speaker and nothing else, so that the other speakers sound as before.

    Args:
        model: with named speakers.
        name: of the new speaker.

    Raises:
        InputError: for a model without named speakers, or a name that it has already.

    Example:
    >>> small = {"num_stacks": 1, "layers_per_stack": 2}
    >>> model = add_speaker(WaveNet(**small, num_speakers=2, speaker_names=["ana", "bo"]), "cy")
    >>> model.config.speaker_names, len(model.trainable_weights)
    (('ana', 'bo', 'cy'), 1)
    """
    names = model.config.speaker_names
    if not names:
        raise InputError(
            "the model has no named speakers: only one that was trained with speakers can learn "
            "a further one"
        )
    if name in names:
        raise InputError(f"the model has a speaker {name!r} already, of {', '.join(names)}")
    arguments = {"num_speakers": len(names) + 1, "speaker_names": [*names, name]}
    policy = model.dtype_policy
    copy = WaveNet(dtype=policy, **{**model.config.to_dict(), **arguments})
    for old, new in zip(model.weights, copy.weights, strict=True):
        values = old.numpy()
        if new.shape != old.shape:  # the embedding
            values = np.concatenate([values, values.mean(axis=0, keepdims=True)])
        new.assign(values)
    copy.trained = "speaker_embedding"
    return copy
