"""Recognition: classes of frames or of clips, from raw audio (WaveNet, section 3.4)."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from wavenet_tf import data, training
from wavenet_tf.data.crops import NEXT_SAMPLE
from wavenet_tf.data.targets import CLASSES
from wavenet_tf.errors import InputError, positive_integer, positive_number
from wavenet_tf.layers import CausalConv1D, FramePooling, observe
from wavenet_tf.models.class_targets import CLASS_TARGETS, ClassTargets
from wavenet_tf.models.config import NEXT_SAMPLE_LOSS_WEIGHT, WaveNetConfig
from wavenet_tf.models.heads import OutputHead
from wavenet_tf.models.loading import load_pretrained
from wavenet_tf.models.trainer import TrainableModel
from wavenet_tf.models.trunk import WaveNetTrunk, audio_of
from wavenet_tf.models.wavenet import WaveNet


@keras.saving.register_keras_serializable(package="wavenet_tf")
class WaveNetClassifier(TrainableModel):
    """Recognizes classes in raw audio: of frames, of whole clips, or a sequence of them.

    The sum of the skip connections, after its ReLU, is averaged over frames of 10 ms, normalized
    and projected, and goes through a few non-causal convolutions, which see `look_ahead` frames
    before and after their own (WaveNet, section 3.4). A second output predicts the next sample, as
    a generator does.

    Args:
        trunk: a `WaveNetTrunk` without conditions, a `WaveNetConfig`, or its arguments as a dict.
        num_classes: number of classes.
        targets: "frames" for a class per frame; "clip" for a class per clip; "tags" for any number
            of classes per clip; "sequence" for a sequence of classes per clip, which is aligned
            with the frames by connectionist temporal classification (CTC) and needs no times.
        class_names: the name of each class.
        frame_seconds: length of a frame, in seconds; rounded to whole samples.
        channels: channels of the convolutions over frames.
        num_convolutions: number of the convolutions over frames.
        kernel_size: taps of the convolutions over frames; odd.
        next_sample: whether there is an output that predicts the next sample.
        head: the `OutputHead` of that output; without that output only its skip convolution is
            used. None creates it.
        dtype: "float32", "mixed_bfloat16" or "mixed_float16".
        name: name of the model.

    Attributes:
        frame_length: samples per frame.
        look_ahead: frames after its own that the class of a frame depends on.

    Input shape:
        Audio `[batch, time]` as the trunk takes it, in whole frames; or a dict of it as `audio` and
        `frame_mask`, float32 `[batch, frames]`: 1 for frames of the clip, 0 for padding.

    Output shape:
        Logits of the classes: `[batch, frames, num_classes]` for targets "frames";
        `[batch, frames, 1 + num_classes]` for "sequence", where index 0 is the blank;
        `[batch, num_classes]` for "clip" and "tags". With `next_sample` a dict of these as
        `classes` and of the parameters of the next sample's distribution as `next_sample`.

    Raises:
        InputError: for an argument out of its range, a trunk with conditions, or audio that has no
            whole frames.

    Example:
    >>> model = WaveNetClassifier({"num_stacks": 1, "layers_per_stack": 4, "sample_rate": 8000},
    ...                           num_classes=10, targets="clip", next_sample=False)
    >>> model.frame_length, model.look_ahead  # samples, frames
    (80, 6)
    >>> model(tf.fill([2, 800], 128)).shape
    TensorShape([2, 10])
    """

    def __init__(
        self,
        trunk: WaveNetTrunk | Any,
        num_classes: int,
        targets: str = "frames",
        class_names: Sequence[str] | None = None,
        frame_seconds: float = 0.01,
        channels: int = 128,
        num_convolutions: int = 3,
        kernel_size: int = 5,
        next_sample: bool = True,
        head: OutputHead | None = None,
        dtype=None,
        name=None,
        trainable=True,
    ):
        super().__init__(dtype=dtype, name=name, trainable=trainable, autocast=False)
        if not isinstance(trunk, WaveNetTrunk):
            trunk = WaveNetTrunk(trunk, dtype=self.dtype_policy, name="trunk")
        if trunk.config.conditioning.shapes():
            conditions = ", ".join(trunk.config.conditioning.shapes())
            raise InputError(f"the trunk of a classifier has no conditions; received {conditions}")
        if (trunk.config.pre_emphasis, trunk.config.gain) != (0.0, 1.0):
            raise InputError(
                "the trunk of a classifier has no pre_emphasis and gain; received "
                f"{trunk.config.pre_emphasis} and {trunk.config.gain}"
            )
        if targets not in CLASS_TARGETS:
            raise InputError(
                f"targets must be one of {', '.join(CLASS_TARGETS)}; received {targets!r}"
            )
        self.trunk, self.targets = trunk, targets
        self.distribution = trunk.distribution
        self.num_classes = positive_integer("num_classes", num_classes)
        self.class_names = _checked_names(class_names, self.num_classes)
        self.frame_seconds = positive_number("frame_seconds", frame_seconds)
        self.channels = positive_integer("channels", channels)
        self.kernel_size = positive_integer("kernel_size", kernel_size)
        if self.kernel_size % 2 == 0:
            raise InputError(f"kernel_size must be odd; received {self.kernel_size}")
        self.num_convolutions = positive_integer("num_convolutions", num_convolutions)
        policy = {"dtype": self.dtype_policy}
        if head is None and next_sample:
            head = OutputHead(
                trunk.config.skip_channels,
                trunk.config.head_channels,
                self.distribution.parameter_channels,
                name="head",
                **policy,
            )
        self.head = head if next_sample else None
        self.skip_convolution = (
            CausalConv1D(
                trunk.config.skip_channels, kernel_size=1, name="skip_convolution", **policy
            )
            if head is None
            else head.skip_convolution
        )
        self.pooling = FramePooling(self.frame_length, name="pooling", **policy)
        self.normalization = keras.layers.LayerNormalization(name="normalization", **policy)
        self.projection = keras.layers.Dense(
            self.channels, activation="relu", name="projection", **policy
        )
        self.convolutions = [
            keras.layers.Conv1D(
                self.channels,
                self.kernel_size,
                padding="same",
                activation="relu",
                name=f"convolution_{index}",
                **policy,
            )
            for index in range(self.num_convolutions)
        ]
        self.class_layer = keras.layers.Dense(
            self.class_targets.num_outputs(self.num_classes), dtype="float32", name="class_layer"
        )
        self.build()

    @classmethod
    def from_wavenet(
        cls, model: WaveNet, num_classes: int, frozen: bool = False, **arguments
    ) -> "WaveNetClassifier":
        """Makes a classifier that shares the trunk, and the head, of a trained generator.

        Args:
            model: a `WaveNet` without conditions. Training the classifier changes its weights,
                unless `frozen`.
            num_classes: number of classes.
            frozen: whether the weights of the generator stay as they are; the next sample is then
                not predicted. They are also no longer trainable in `model`.
            **arguments: as the constructor takes them.

        Example:
        >>> generator = WaveNet(num_stacks=1, layers_per_stack=4)
        >>> model = WaveNetClassifier.from_wavenet(generator, num_classes=2, frozen=True)
        >>> model.trunk is generator.trunk, len(model.trainable_weights)
        (True, 12)
        """
        arguments.setdefault("dtype", model.dtype_policy)
        if frozen:
            model.trunk.trainable = model.head.trainable = False
            arguments.setdefault("next_sample", False)
        return cls(model.trunk, num_classes, head=model.head, **arguments)

    @classmethod
    def from_preset(cls, name: str, *, dtype: str | None = None) -> "WaveNetClassifier":
        """Loads a trained classifier.

        Args:
            name: of a trained model of the package, see `list_presets`, of a model directory, or
                of a `.keras` file.
            dtype: as the constructor takes it; None for that of the trained model.

        Raises:
            InputError: for an unknown name, or a model that is no classifier.
        """
        return load_pretrained(name, cls, dtype)

    def build(self, inputs_shape=None):
        """Makes the weights; every shape follows from the arguments."""
        if not self.trunk.built:
            self.trunk.build()
        gated_channels = len(self.trunk.stack.blocks) * self.trunk.config.gate_channels
        skip_shape = (None, None, self.trunk.config.skip_channels)
        if self.head is not None and not self.head.built:
            self.head.build((None, None, gated_channels))
        if not self.skip_convolution.built:
            self.skip_convolution.build((None, None, gated_channels))
        self.normalization.build(skip_shape)
        self.projection.build(skip_shape)
        for convolution in self.convolutions:
            convolution.build((None, None, self.channels))
        self.class_layer.build((None, None, self.channels))
        self.built = True

    @property
    def sample_rate(self) -> int:
        """Sample rate of the audio, in Hz."""
        return self.trunk.config.sample_rate

    @property
    def frame_length(self) -> int:
        """Samples per frame."""
        return max(1, round(self.frame_seconds * self.sample_rate))

    @property
    def look_ahead(self) -> int:
        """Frames after its own, and as many before it, that the class of a frame depends on.

        Before these the trunk sees as many samples more as its receptive field has.
        """
        return self.num_convolutions * (self.kernel_size // 2)

    @property
    def class_targets(self) -> ClassTargets:
        """Shapes, losses and metrics of the classes."""
        return CLASS_TARGETS[self.targets]

    @property
    def receptive_field(self) -> int:
        """Samples that the class of a frame depends on."""
        frames = 1 + 2 * self.look_ahead
        return self.trunk.receptive_field - 1 + frames * self.frame_length

    @property
    def config(self) -> WaveNetConfig:
        """The configuration of the trunk."""
        return self.trunk.config

    @property
    def crop_spec(self) -> data.CropSpec:
        """What batches of crops hold for this model, see `data.training_batches`.

        The source of the classes is given to `CropSpec.with_sources`.
        """
        whole = self.targets != "frames"
        shape = (self.num_classes,) if self.class_targets.vector else ()
        return data.CropSpec(
            sample_rate=self.sample_rate,
            # The classes of whole crops depend on nothing else.
            receptive_field=1 if whole else self.trunk.receptive_field,
            distribution=self.distribution,
            hop_length=self.frame_length,
            frames_before=0 if whole else self.look_ahead,
            frames_after=0 if whole else self.look_ahead,
            crop_multiple=self.frame_length,
            conditions=(data.ClipMaskSource(self.frame_length),),
            targets=(data.MissingSource(CLASSES, shape),),
            next_sample=self.head is not None,
        )

    def call(self, inputs):
        audio = audio_of(inputs)
        mask = inputs.get("frame_mask") if isinstance(inputs, dict) else None
        skip_sum = self.rectified_skip_sum(self.trunk(audio))
        classes = self.class_logits(self.frame_logits(self.frames(skip_sum), mask), mask)
        if self.head is None:
            return classes
        parameters = self.distribution.parameters(self.head.outputs(skip_sum), audio)
        return {CLASSES: classes, NEXT_SAMPLE: parameters}

    def rectified_skip_sum(self, gated):
        """Returns the sum of the skip connections after its ReLU, `[batch, time, channels]`.

        Args:
            gated: the output of the trunk, `[batch, time, channels]`.
        """
        return observe(self, "skips", tf.nn.relu(self.skip_convolution(gated)))

    def frames(self, skip_sum):
        """Returns the normalized and projected frames, `[batch, frames, channels]`.

        Args:
            skip_sum: output of the method `rectified_skip_sum`.
        """
        normalized = observe(self, "normalized", self.normalization(self.pooling(skip_sum)))
        return observe(self, "projected", self.projection(normalized))

    def frame_logits(self, frames, mask=None):
        """Returns the logits of each frame, `[batch, frames, classes]`.

        Args:
            frames: output of the method `frames`.
            mask: `[batch, frames]`, 0 for frames outside the clip, which are set to zero before
                each convolution; None for none.
        """
        return self.class_layer(self.embeddings(frames, mask))

    def embeddings(self, frames, mask=None):
        """Returns the frames that the logits are a linear map of, `[batch, frames, channels]`.

        Args:
            frames: output of the method `frames`.
            mask: as `frame_logits` takes it.
        """
        mask = None if mask is None else tf.cast(mask, frames.dtype)[:, :, None]
        for convolution in self.convolutions:
            frames = observe(convolution, "inputs", frames if mask is None else frames * mask)
            frames = observe(convolution, "outputs", convolution(frames))
        return frames if mask is None else frames * mask

    def class_logits(self, frame_logits, mask=None):
        """Returns the logits of the targets: those of frames, or their mean over each clip.

        Args:
            frame_logits: output of the method `frame_logits`.
            mask: `[batch, frames]`, 0 for frames outside the clip; None for none.
        """
        if self.class_targets.per_frame:
            return frame_logits
        return _masked_mean(frame_logits, mask)

    def compute_output_shape(self, inputs_shape):
        shape = inputs_shape["audio"] if isinstance(inputs_shape, dict) else inputs_shape
        batch, time = shape
        frames = None if time is None else time // self.frame_length
        frames = (frames,) if self.class_targets.per_frame else ()
        classes = (batch, *frames, self.class_layer.units)
        if self.head is None:
            return classes
        return {
            CLASSES: classes,
            NEXT_SAMPLE: (batch, time, self.distribution.parameter_channels),
        }

    def compile(self, optimizer="adam", loss=None, weighted_metrics=None, **kwargs):
        """Configures training as `TrainableModel.compile` does.

        Args:
            optimizer: an optimizer, or the name of one, which then clips the global norm of the
                gradients.
            loss: None takes the cross-entropy of the targets, and the negative log-likelihood of
                the next sample if there is that output.
            weighted_metrics: None takes the error rate, and bits per sample if the next sample is
                predicted.
            **kwargs: as `keras.Model.compile` takes them. `loss_weights` are 1 for `classes`, in
                nats per frame or clip, and `NEXT_SAMPLE_LOSS_WEIGHT` for `next_sample`, in nats per
                sample, if they are not given.
        """
        if self.head is not None and loss is None:
            kwargs.setdefault("loss_weights", {CLASSES: 1.0, NEXT_SAMPLE: NEXT_SAMPLE_LOSS_WEIGHT})
        if self.class_targets.sequence:
            kwargs.setdefault("jit_compile", False)  # XLA takes no sparse tensors
        super().compile(optimizer, loss, weighted_metrics, **kwargs)

    def default_loss(self):
        """Returns the loss of the classes, and of the next sample if it is predicted."""
        loss = self.class_targets.loss()
        if self.head is None:
            return loss
        return {CLASSES: loss, NEXT_SAMPLE: training.NegativeLogLikelihood(self.distribution)}

    def default_weighted_metrics(self):
        """Returns the error rate of the classes, and bits per sample if there is that output."""
        metrics = [self.class_targets.metric()]
        if self.head is None:
            return metrics
        return {CLASSES: metrics, NEXT_SAMPLE: [training.BitsPerSample(self.distribution)]}

    def example_batch(self):
        """Returns targets, outputs and weights of one frame."""
        classes = self.class_targets.example(self.num_classes)
        if self.head is None:
            return classes
        parameters = tf.zeros([1, 1, self.distribution.parameter_channels])
        next_sample = tf.zeros([1, 1]), parameters, tf.ones([1, 1])
        return tuple(
            {CLASSES: of_classes, NEXT_SAMPLE: of_samples}
            for of_classes, of_samples in zip(classes, next_sample, strict=True)
        )

    def get_config(self):
        return {
            **super().get_config(),
            "trunk": keras.saving.serialize_keras_object(self.trunk),
            "num_classes": self.num_classes,
            "targets": self.targets,
            "class_names": self.class_names,
            "frame_seconds": self.frame_seconds,
            "channels": self.channels,
            "num_convolutions": self.num_convolutions,
            "kernel_size": self.kernel_size,
            "next_sample": self.head is not None,
        }

    @classmethod
    def from_config(cls, config):
        trunk = keras.saving.deserialize_keras_object(config["trunk"])
        return cls(**{**config, "trunk": trunk})


def _checked_names(names: Sequence[str] | None, size: int) -> list[str] | None:
    """Returns the names of classes as a list; raises InputError unless there is one for each."""
    if names is None:
        return None
    names = [str(name) for name in names]
    if len(set(names)) != size or len(names) != size:
        raise InputError(
            f"class_names must have a different name for each of num_classes {size}; received "
            f"{names}"
        )
    return names


def _masked_mean(frames, mask):
    """Returns the mean over the frames of a clip, `[batch, channels]`."""
    if mask is None:
        return tf.reduce_mean(frames, axis=1)
    mask = tf.cast(mask, frames.dtype)[:, :, None]
    total = tf.reduce_sum(frames * mask, axis=1)
    return tf.math.divide_no_nan(total, tf.reduce_sum(mask, axis=1))
