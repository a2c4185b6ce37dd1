"""The base classes of condition sources: each computes one input of a model from recordings.

A model that is conditioned on something new needs a new subclass of `ConditionSource`, or of
`FrameSource` for an input with one vector per frame, and nothing else in this package.
"""

import abc
from typing import Any

import numpy as np

from wavenet_tf.data.features import sample_frames
from wavenet_tf.data.lazy import Mapped
from wavenet_tf.data.recordings import Recordings


class ConditionSource(abc.ABC):
    """Computes one input of a model from recordings: one value per clip.

    Subclasses set the attributes and `shape`, and implement `check` and `clip_value`.

    Attributes:
        name: name of the model input: the key of the value in a batch's dict of inputs.
        dtype: numpy type of the value.

    Example: conditioning a model with `global_channels=1` on the duration of a clip.

    >>> class DurationSource(ConditionSource):
    ...     name, shape, dtype = "global_conditioning", (1,), np.float32
    ...
    ...     def check(self, recordings):
    ...         pass
    ...
    ...     def clip_value(self, recordings, index):
    ...         return [recordings.lengths[index] / recordings.sample_rate]
    """

    name: str
    dtype: Any

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of a clip's value, without the batch; for frames, of one frame: `(channels,)`."""

    def prepare(self, recordings: Recordings) -> Recordings:
        """Returns the recordings with what this source needs and can compute, such as features.

        Args:
            recordings: the clips, as they were read or split.
        """
        return recordings

    @abc.abstractmethod
    def check(self, recordings: Recordings) -> None:
        """Raises InputError unless the recordings have what this source needs.

        Args:
            recordings: the clips. The error names the first clip that lacks something.
        """

    @abc.abstractmethod
    def clip_value(self, recordings: Recordings, index: int):
        """Returns the value of a clip, an array of shape `shape`.

        Args:
            recordings: the clips.
            index: index of the clip.

        Raises:
            InputError: if the value cannot be read.
        """

    def crop_shape(self, num_frames: int) -> tuple[int, ...]:
        """Returns the shape of the value of a crop.

        Args:
            num_frames: number of frames of the crop; 0 for a model without frames.
        """
        return self.shape

    def crop_value(self, recordings: Recordings, index: int, first_frame: int, num_frames: int):
        """Returns the value of a crop of a clip, an array of shape `crop_shape(num_frames)`.

        Args:
            recordings: the clips.
            index: index of the clip.
            first_frame: index of the crop's first frame, counted from the clip's; may be negative.
            num_frames: number of frames; the crop may end after the clip.

        Raises:
            InputError: if the value cannot be read.
        """
        return self.clip_value(recordings, index)


class FrameSource(ConditionSource):
    """Computes an input with one vector per frame; before and after a clip, edge frames repeat.

    Subclasses set the attributes and `shape`, and implement `check` and `clip_value`, which returns
    all frames of a clip, float `[frames, *shape]` with a frame for each `hop_length` samples, the
    last one for the rest. Instead of an array it may be an object that reads only the requested
    slice.

    Attributes:
        hop_length: samples per frame.
    """

    dtype: Any = np.float32
    hop_length: int

    def crop_shape(self, num_frames: int) -> tuple[int, ...]:
        return (num_frames, *self.shape)

    def crop_value(self, recordings: Recordings, index: int, first_frame: int, num_frames: int):
        frames = self.clip_value(recordings, index)
        indices = np.arange(first_frame, first_frame + num_frames)
        indices = np.clip(indices, 0, len(frames) - 1)
        return frames[indices[0] : indices[-1] + 1][indices - indices[0]]

    def sample_frames(self, recordings: Recordings) -> np.ndarray:
        """Returns frames to compute mean and deviation from, `[frames, *shape]`.

        Args:
            recordings: the clips.

        Raises:
            InputError: if no clip can be read.
        """
        clips = range(len(recordings.names))
        frames = Mapped(lambda index: self.clip_value(recordings, index), clips)
        return sample_frames(recordings, frames, self.hop_length)
