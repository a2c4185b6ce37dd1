"""Pooling of samples to frames."""

import keras
import tensorflow as tf

from wavenet_tf.errors import InputError, positive_integer


@keras.saving.register_keras_serializable(package="wavenet_tf")
class FramePooling(keras.layers.Layer):
    """The mean over each frame of samples (WaveNet, section 3.4).

    Args:
        frame_length: samples per frame.

    Input shape:
        `[batch, time, channels]`, where time is a multiple of `frame_length`.

    Output shape:
        `[batch, time / frame_length, channels]`.

    Raises:
        InputError: if the samples are no whole frames.

    Example:
    >>> FramePooling(frame_length=2)(tf.constant([[[1.0], [3.0], [5.0], [9.0]]])).numpy().tolist()
    [[[2.0], [7.0]]]
    """

    def __init__(self, frame_length: int, **kwargs):
        super().__init__(**kwargs)
        self.frame_length = positive_integer("frame_length", frame_length)

    def call(self, inputs):
        time = inputs.shape[1]
        if time is not None and time % self.frame_length:
            raise InputError(
                f"audio must have whole frames of {self.frame_length} samples; received {time} "
                "samples"
            )
        batch, channels = tf.shape(inputs)[0], inputs.shape[-1]
        frames = tf.reshape(inputs, [batch, -1, self.frame_length, channels])
        return tf.reduce_mean(frames, axis=2)

    def compute_output_shape(self, inputs_shape):
        batch, time, channels = inputs_shape
        return batch, None if time is None else time // self.frame_length, channels

    def get_config(self):
        return {**super().get_config(), "frame_length": self.frame_length}
