"""A recognizer as a SavedModel, which any TensorFlow runtime loads without this package."""

from typing import Any

import tensorflow as tf

from wavenet_tf.deployment import checks
from wavenet_tf.deployment.recognizer_signatures import RecognizerSignatures
from wavenet_tf.deployment.signatures import checked_max_samples


class SavedModelRecognizerSignatures(RecognizerSignatures):
    """The functions of a recognizer's SavedModel; see `save`.

    Args:
        model: a `WaveNetClassifier`; of half precision, its export computes in float32.
        max_seconds: longest audio of one request, in seconds.

    Raises:
        InputError: for `max_seconds` out of range.

    Example:
    >>> from wavenet_tf.models import WaveNetClassifier
    >>> model = WaveNetClassifier({"num_stacks": 1, "layers_per_stack": 4}, num_classes=3)
    >>> signatures = SavedModelRecognizerSignatures(model)
    >>> signatures.recognize(tf.zeros([2, 1600]), tf.constant([1600, 900]))["probabilities"].shape
    TensorShape([2, 10, 3])
    """

    def __init__(self, model, max_seconds: float = 60.0):
        super().__init__(model)
        block_samples = self.recognizer.block_frames * model.frame_length
        self.max_samples = checked_max_samples(max_seconds, model.sample_rate, block_samples)

    @property
    def metadata(self) -> dict[str, Any]:
        """What clients need besides the signatures, as JSON holds it."""
        return {**super().metadata, "max_samples": self.max_samples}

    def concrete_functions(self) -> dict[str, Any]:
        """Returns the signatures by name, traced for any number of streams."""
        audio = tf.TensorSpec([None, None], tf.float32, "audio")
        num_samples = tf.TensorSpec([None], tf.int32, "num_samples")
        frame_mask = tf.TensorSpec([None, None], tf.float32, "frame_mask")
        streams = {"streams": tf.TensorSpec([None], tf.int32, "streams")}
        clips = {"audio": audio, "num_samples": num_samples}
        block = {"audio": audio, "frame_mask": frame_mask, **self.state_specs()}
        inputs = {
            "serving_default": clips,
            "recognize": clips,
            "initial_state": streams,
            "recognize_block": block,
            "metadata": streams,
        }
        functions = {
            "serving_default": self.recognize,
            "recognize": self.recognize,
            "initial_state": self.initial_state,
            "recognize_block": self.recognize_checked_block,
            "metadata": self.metadata_text,
        }
        return checks.traced_with_checks(functions, inputs, self._limits)

    def recognize(self, audio, num_samples) -> dict[str, tf.Tensor]:
        """Returns the probabilities of the classes of whole clips, or of their frames.

        Clips of different lengths may be in one batch: what is beyond `num_samples` of a clip
        changes nothing, and its frames have the probability 0.
        """
        most = tf.minimum(tf.shape(audio)[1], self.max_samples)
        wrong = f"num_samples must be from 1 to the samples of audio, at most {self.max_samples}"
        valid = (num_samples >= 1) & (num_samples <= most)
        with tf.control_dependencies([checks.check(valid, f"{wrong}; received", num_samples)]):
            num_samples = tf.identity(num_samples)
        frames = -(-num_samples // self.model.frame_length)
        mask = tf.sequence_mask(frames, dtype=tf.float32)
        in_clip = tf.sequence_mask(num_samples, tf.shape(audio)[1])
        logits = self._frame_logits(tf.where(in_clip, audio, 0.0), mask)
        classes = self.model.class_logits(logits, mask)
        vector = self.model.class_targets.vector
        probabilities = tf.sigmoid(classes) if vector else tf.nn.softmax(classes)
        if self.model.class_targets.per_frame:
            probabilities *= mask[:, :, None]
        return {"probabilities": probabilities}

    def _frame_logits(self, audio, mask):
        """Returns the logits of all frames, computed block by block in constant memory."""
        model, recognizer = self.model, self.recognizer
        batch, frames = tf.shape(mask)[0], tf.shape(mask)[1]
        # Blocks of equal length over the frames and the look-ahead after them.
        late = frames + model.look_ahead
        num_blocks = -(-late // recognizer.block_frames)
        size = -(-late // num_blocks)
        mask = tf.pad(mask, [[0, 0], [0, num_blocks * size - frames]])
        samples = num_blocks * size * model.frame_length
        audio = audio[:, : frames * model.frame_length]
        audio = tf.pad(audio, [[0, 0], [0, samples - tf.shape(audio)[1]]])
        state = recognizer.initial_state(batch)

        def add_block(index, state, blocks):
            first = index * size
            start, end = first * model.frame_length, (first + size) * model.frame_length
            logits, state = recognizer.process(
                audio[:, start:end], mask[:, first : first + size], state
            )
            return index + 1, state, blocks.write(index, tf.transpose(logits, [1, 0, 2]))

        classes = model.class_layer.units
        blocks = tf.TensorArray(tf.float32, num_blocks, element_shape=[None, None, classes])
        _, _, blocks = tf.while_loop(
            lambda index, *_: index < num_blocks,
            add_block,
            [0, state, blocks],
            shape_invariants=[
                tf.TensorShape([]),
                tf.nest.map_structure(lambda part: tf.TensorShape([None, *part.shape[1:]]), state),
                tf.TensorShape(None),
            ],
        )
        logits = tf.transpose(blocks.concat(), [1, 0, 2])
        return logits[:, model.look_ahead : late]

    def initial_state(self, streams) -> dict[str, tf.Tensor]:
        """Returns the state before the first sample, a row for each row of the input."""
        return self.state_tensors(self.recognizer.initial_state(tf.shape(streams)[0]))

    def recognize_checked_block(self, audio, frame_mask, **state) -> dict[str, tf.Tensor]:
        """Returns what `recognize_block` returns for a block of whole frames."""
        samples = tf.shape(frame_mask)[1] * self.model.frame_length
        wrong = f"audio must have {self.model.frame_length} samples for each frame of frame_mask"
        valid = tf.shape(audio)[1] == samples
        with tf.control_dependencies([checks.check(valid, f"{wrong}; received", tf.shape(audio))]):
            audio = tf.identity(audio)
        return self.recognize_block(audio, frame_mask, **state)

    def _limits(self, name: str, tensor: tf.Tensor) -> checks.Limits:
        """Returns pairs of a condition on an input, and its description."""
        if name == "audio":
            return [(tf.shape(tensor)[1] > 0, "have at least one sample")]
        if name.endswith("frame_mask"):
            return [((tensor == 0.0) | (tensor == 1.0), "hold 0 and 1 only")]
        return checks.state_limits(self.model.trunk, name, tensor)
