"""The WaveNet as a Keras model."""

import contextlib
import inspect
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf import audio, data, generation, training
from wavenet_tf.distributions import Categorical, named_distribution
from wavenet_tf.errors import InputError, optional_positive_integer, positive_integer
from wavenet_tf.layers import (
    CausalConv1D,
    ConditioningUpsampler,
    ContextStack,
    GatedResidualBlock,
    OneHotCausalConv1D,
    WaveformCausalConv1D,
    slice_time,
)
from wavenet_tf.layers.convolutions import with_state_shape
from wavenet_tf.options import PRECISIONS
from wavenet_tf.presets import PRESETS
from wavenet_tf.training.distribution import share_of_mean

# In TensorFlow's errors of look-ups and of the loss.
_OUT_OF_RANGE = re.compile(r"is not in \[0, |outside the valid range of \[0, ")
_CONTEXT_ARGUMENTS = ("pooling", "num_stacks", "layers_per_stack", "kernel_size", "channels")


@keras.saving.register_keras_serializable(package="wavenet_tf")
class WaveNet(keras.Model):
    """An autoregressive model of raw audio (van den Oord et al. 2016, arXiv 1609.03499).

    `outputs[:, t]` parameterises the distribution of sample `t + 1`, given samples up to `t`: a
    causal convolution, `num_stacks` times `layers_per_stack` gated residual blocks with dilations
    1, 2, 4 and so on in each stack, the sum of their skip connections, then ReLU, 1x1, ReLU, 1x1
    (figure 4).

    Args:
        num_stacks: how often the dilations repeat.
        layers_per_stack: blocks in a stack; the last one's dilation is
            `2 ** (layers_per_stack - 1)`.
        kernel_size: taps of each causal convolution.
        residual_channels: of the signal that runs through the blocks.
        gate_channels: of the filter and of the gate, each.
        skip_channels: of the sum of the skip connections.
        head_channels: between the two last 1x1 convolutions.
        output_distribution: of the next sample: "categorical" over mu-law codes, or
            "logistic_mixture" or "gaussian_mixture" over 16-bit samples.
        quantization_channels: number of mu-law codes, of the categorical distribution.
        num_mixtures: components of a mixture.
        num_speakers: the model is conditioned on one of so many ids, by a learned embedding
            (global conditioning, section 2.5).
        speaker_names: of the ids, in their order, if they have names; kept with the model.
        global_channels: the model is conditioned on a vector of this length, such as binary tags.
        local_channels: the model is conditioned on a series of vectors of this length, such as the
            frames of a mel spectrogram (local conditioning, section 2.5).
        upsample_factors: of the transposed convolutions that bring such frames to the sample rate;
            their product is the hop length, in samples.
        upsampling: "learned", or "repeat", which is cheaper and slightly worse; see
            `ConditioningUpsampler`.
        causal_upsampling: whether a sample may see no frame after its own.
        features: names of the features of recordings that `local_conditioning` holds, see
            `audio.FEATURES`, if it is such features; kept with the model.
        context_stacks: arguments of a `ContextStack` each: smaller networks that hear far more of
            the signal and condition this one (section 2.6).
        sample_rate: of the audio, in Hz.

    Input shape:
        The audio `[batch, time]`: int32 mu-law codes for the categorical distribution, float32 in
        [-1, 1] for the mixtures. Or a dict with it as `audio`, and, where the model is conditioned
        on them, `speaker_id`, int32 `[batch]`, `global_conditioning`, float32
        `[batch, global_channels]`, and `local_conditioning`, float32
        `[batch, frames, local_channels]` with frames * hop_length = time, the frames being those of
        the samples that are predicted, one later than the audio's; optionally
        `context_audio`, `[batch, context]`, the samples before `audio`, which only context stacks
        hear. Optionally also the state of the samples before, as `initial_state` makes it.

    Output shape:
        float32 parameters of the distribution `[batch, time, parameters]`, such as logits, and the
        next state where a state was given.

    Raises:
        InputError: for an argument that is not a positive whole number, and when called without
            an input that the model is conditioned on, or with frames that do not fit the audio.

    Example:
    >>> model = WaveNet(num_stacks=1, layers_per_stack=4, residual_channels=8, gate_channels=8,
    ...                 skip_channels=16, head_channels=16)
    >>> model.receptive_field
    17
    >>> model(tf.fill([1, 50], 128)).shape
    TensorShape([1, 50, 256])
    >>> model.compile("adam")
    >>> history = model.fit(tf.fill([4, 50], 128), tf.fill([4, 50], 128), verbose=0)
    >>> sorted(history.history)
    ['accuracy', 'bits_per_sample', 'gradient_norm', 'loss']
    >>> model.generate(num_samples=100, seed=0).shape
    (1, 100)
    """

    def __init__(
        self,
        num_stacks: int = 3,
        layers_per_stack: int = 10,
        kernel_size: int = 2,
        residual_channels: int = 64,
        gate_channels: int = 64,
        skip_channels: int = 256,
        head_channels: int = 256,
        output_distribution: str = "categorical",
        quantization_channels: int = 256,
        num_mixtures: int = 10,
        num_speakers: int | None = None,
        speaker_names: Sequence[str] | None = None,
        global_channels: int | None = None,
        local_channels: int | None = None,
        upsample_factors: Sequence[int] | None = None,
        upsampling: str = "learned",
        causal_upsampling: bool = False,
        features: Sequence[str] | None = None,
        context_stacks: Sequence[dict] | None = None,
        sample_rate: int = 16000,
        **kwargs,
    ):
        _check_keras_settings()
        # Layers choose their precision themselves: half would spoil a 16-bit waveform.
        super().__init__(**{"autocast": False, **kwargs})
        if self.dtype_policy.name not in PRECISIONS:
            raise InputError(
                f"dtype must be one of {', '.join(PRECISIONS)}; received {self.dtype_policy.name!r}"
            )
        self.num_stacks = positive_integer("num_stacks", num_stacks)
        self.layers_per_stack = positive_integer("layers_per_stack", layers_per_stack)
        self.kernel_size = positive_integer("kernel_size", kernel_size)
        self.residual_channels = positive_integer("residual_channels", residual_channels)
        self.gate_channels = positive_integer("gate_channels", gate_channels)
        self.skip_channels = positive_integer("skip_channels", skip_channels)
        self.head_channels = positive_integer("head_channels", head_channels)
        self.num_speakers = optional_positive_integer("num_speakers", num_speakers)
        self.speaker_names = None if speaker_names is None else list(speaker_names)
        if self.speaker_names is not None and len(set(self.speaker_names)) != self.num_speakers:
            raise InputError(
                f"speaker_names must have a name for each of num_speakers {num_speakers}; "
                f"received {self.speaker_names}"
            )
        self.global_channels = optional_positive_integer("global_channels", global_channels)
        self.local_channels = optional_positive_integer("local_channels", local_channels)
        if (local_channels is None) != (upsample_factors is None):
            raise InputError(
                "local_channels and upsample_factors must be given together; received "
                f"{local_channels} and {upsample_factors}"
            )
        self.upsampling = upsampling
        self.causal_upsampling = causal_upsampling
        self.features = None if features is None else list(features)
        if features is not None and audio.feature_channels(features) != self.local_channels:
            raise InputError(
                f"local_channels must be {audio.feature_channels(features)} for the features "
                f"{', '.join(features)}; received {local_channels}"
            )
        self.sample_rate = positive_integer("sample_rate", sample_rate)
        self.output_distribution = output_distribution
        self.quantization_channels = positive_integer(
            "quantization_channels", quantization_channels
        )
        self.num_mixtures = positive_integer("num_mixtures", num_mixtures)
        self.distribution = named_distribution(
            output_distribution, self.quantization_channels, self.num_mixtures
        )

        policy = self.dtype_policy
        self.input_convolution: CausalConv1D
        if isinstance(self.distribution, Categorical):
            self.input_convolution = OneHotCausalConv1D(
                self.residual_channels,
                self.quantization_channels,
                self.kernel_size,
                dtype=policy,
                name="input_convolution",
            )
        else:
            self.input_convolution = WaveformCausalConv1D(
                self.residual_channels, self.kernel_size, dtype="float32", name="input_convolution"
            )
        self.upsampler = None
        if upsample_factors is not None:
            # Twice as many train no better on speech, and cost a sample twice as much.
            self.upsampler = ConditioningUpsampler(
                max(1, self.residual_channels // 2),
                upsample_factors,
                upsampling,
                causal_upsampling,
                dtype=policy,
                name="upsampler",
            )
        # A scope that names layers means those of this network, not the same names in the stacks.
        with keras.RematScope(mode=None):
            self.context_stacks = [
                ContextStack(**_context_arguments(arguments), dtype=policy, name=f"context_{index}")
                for index, arguments in enumerate(context_stacks or [])
            ]
        if self.num_speakers:
            self.speaker_embedding = keras.layers.Embedding(
                self.num_speakers, self.residual_channels, dtype=policy, name="speaker_embedding"
            )
        num_blocks = self.num_stacks * self.layers_per_stack
        self.blocks = [
            GatedResidualBlock(
                self.gate_channels,
                self.kernel_size,
                dilation_rate=2 ** (index % self.layers_per_stack),
                residual=index < num_blocks - 1,
                global_channels=self._joint_global_channels,
                local_channels=self._joint_local_channels,
                dtype=policy,
                name=f"block_{index}",
            )
            for index in range(num_blocks)
        ]
        self.skip_convolution = CausalConv1D(
            self.skip_channels, kernel_size=1, dtype=policy, name="skip_convolution"
        )
        self.head_convolution = CausalConv1D(
            self.head_channels, kernel_size=1, dtype=policy, name="head_convolution"
        )
        # Logits in float32 whatever the policy: half precision ruins the softmax's tails.
        self.output_convolution = CausalConv1D(
            self.distribution.parameter_channels,
            kernel_size=1,
            dtype="float32",
            name="output_convolution",
        )
        self.gradient_norm = keras.metrics.Mean(name="gradient_norm")
        self._evaluating = False
        self.build()

    def build(self, inputs_shape=None):
        """Makes the weights; every shape follows from the configuration."""
        self.input_convolution.build((None, None))
        if self.num_speakers:
            self.speaker_embedding.build((None,))
        if self.upsampler:
            self.upsampler.build((None, None, self.local_channels))
        for stack in self.context_stacks:
            stack.build((None, None))
        for block in self.blocks:
            block.build((None, None, self.residual_channels))
        self.skip_convolution.build((None, None, len(self.blocks) * self.gate_channels))
        self.head_convolution.build((None, None, self.skip_channels))
        self.output_convolution.build((None, None, self.head_channels))
        self.built = True

    @classmethod
    def from_preset(cls, name: str, **overrides) -> "WaveNet":
        """Makes an untrained model of a named configuration.

        Args:
            name: "tiny" (a laptop demo), "small", "music", "medium" or "paper".
            **overrides: arguments of the constructor that take the place of the preset's.

        Raises:
            InputError: for an unknown name, of a preset or of an argument.
        """
        if name not in PRESETS:
            raise InputError(f"unknown preset {name!r}: expected one of {', '.join(PRESETS)}")
        known = sorted({*inspect.signature(cls).parameters, "dtype", "name"} - {"kwargs"})
        for override in overrides:
            if override not in known:
                raise InputError(
                    f"WaveNet has no argument {override!r}: expected one of {', '.join(known)}"
                )
        return cls(**{**PRESETS[name], **overrides})

    @property
    def receptive_field(self) -> int:
        """Samples that an output depends on, the current one included."""
        contexts = [stack.context for stack in self.context_stacks]
        return self.main_receptive_field + max(contexts, default=0)

    @property
    def main_receptive_field(self) -> int:
        """Samples that an output depends on, but through context stacks."""
        convolutions = [self.input_convolution, *(b.dilated_convolution for b in self.blocks)]
        return 1 + sum(convolution.context for convolution in convolutions)

    def speaker_id(self, speaker: str) -> int:
        """The id of a speaker's name.

        Raises:
            InputError: if the model knows no such name.
        """
        names = self.speaker_names or []
        if speaker not in names:
            known = ", ".join(names) or "none by name"
            raise InputError(f"unknown speaker {speaker!r}: the model knows {known}")
        return names.index(speaker)

    @property
    def hop_length(self) -> int | None:
        """Samples a frame of local conditioning; None for a model without."""
        return self.upsampler and self.upsampler.hop_length

    @property
    def crop_spec(self) -> data.CropSpec:
        """What batches of crops hold for this model, see `data.training_batches`."""
        poolings = (stack.pooling for stack in self.context_stacks)
        return data.CropSpec(
            sample_rate=self.sample_rate,
            receptive_field=self.main_receptive_field,
            distribution=self.distribution,
            context_samples=self.receptive_field - self.main_receptive_field,
            hop_length=self.hop_length,
            frames_before=self.upsampler.frames_before if self.upsampler else 0,
            frames_after=self.upsampler.frames_after if self.upsampler else 0,
            crop_multiple=math.lcm(self.hop_length or 1, *poolings),
            drift=self.output_distribution != "categorical",
            conditions=data.condition_sources(
                num_speakers=self.num_speakers,
                global_channels=self.global_channels,
                local_channels=self.local_channels,
                hop_length=self.hop_length,
                features=self.features,
            ),
        )

    @property
    def conditioning_names(self) -> list[str]:
        """The inputs that the model is conditioned on."""
        wanted = {
            "speaker_id": self.num_speakers,
            "global_conditioning": self.global_channels,
            "local_conditioning": self.local_channels,
        }
        return [name for name, size in wanted.items() if size]

    @property
    def _joint_global_channels(self) -> int | None:
        speaker_channels = self.residual_channels if self.num_speakers else 0
        return speaker_channels + (self.global_channels or 0) or None

    @property
    def _joint_local_channels(self) -> int | None:
        upsampled_channels = self.upsampler.channels if self.upsampler else 0
        return upsampled_channels + sum(stack.channels for stack in self.context_stacks) or None

    def global_conditioning(self, inputs) -> tf.Tensor | None:
        """What joins every gate at all times: the speaker's embedding and the vector side by side.

        Args:
            inputs: as the model takes them.

        Returns:
            `[batch, 1, channels]`; None for a model without.

        Raises:
            InputError: if an input is missing.
        """
        parts = []
        if self.num_speakers:
            parts.append(self.speaker_embedding(self._condition(inputs, "speaker_id")))
        if self.global_channels:
            parts.append(self._condition(inputs, "global_conditioning"))
        parts = [tf.cast(part, self.compute_dtype) for part in parts]
        return tf.concat(parts, axis=-1)[:, None] if parts else None

    def local_conditioning(self, inputs, first=None, length=None) -> tf.Tensor | None:
        """What joins every gate sample by sample: the upsampled frames.

        Args:
            inputs: as the model takes them.
            first: the first sample, counted from the first frame; may be negative.
            length: number of samples. None takes those of the audio, which the frames must fit.

        Returns:
            `[batch, length, channels]`; None for a model without.

        Raises:
            InputError: if the input is missing, or does not fit the audio.
        """
        if self.upsampler is None:
            return None
        frames = self._condition(inputs, "local_conditioning")
        if length is not None:
            return self.upsampler.samples(frames, first, length)
        samples, num_frames = inputs["audio"].shape[1], frames.shape[1]
        if None not in (samples, num_frames) and num_frames * self.hop_length != samples:
            raise InputError(
                f"local_conditioning must have a frame for each {self.hop_length} samples: "
                f"received {num_frames} frames ({num_frames * self.hop_length} samples) and "
                f"{samples} samples of audio"
            )
        return self.upsampler(frames)

    def _condition(self, inputs, name: str):
        if not isinstance(inputs, dict) or name not in inputs:
            raise InputError(
                f"the model is conditioned on {name}: expected a dict with 'audio' and {name!r}"
            )
        return inputs[name]

    def adapt(self, frames) -> None:
        """Takes the mean and deviation of local conditioning, which then are kept with the model.

        Args:
            frames: float `[..., local_channels]`, those of the training set or a fair part of them.

        Raises:
            InputError: for frames of another width, or a model without local conditioning.
        """
        if self.upsampler is None:
            raise InputError("adapt is for models with local_channels; this one has none")
        self.upsampler.adapt(frames)

    def initial_state(self, batch_size) -> dict[str, Any]:
        """The state before the first sample: a tensor a causal convolution, a dict a context stack.

        Args:
            batch_size: int or scalar tensor.
        """
        return {
            self.input_convolution.name: self.input_convolution.initial_state(batch_size),
            **{stack.name: stack.initial_state(batch_size) for stack in self.context_stacks},
            **{block.name: block.initial_state(batch_size) for block in self.blocks},
        }

    def call(self, inputs, state=None, local_conditioning=None):
        with _named_codes(self.distribution):
            gated, next_state = self.run_blocks(inputs, state, local_conditioning)
        values = _audio(inputs)
        outputs = self.head(tf.concat(gated, axis=-1))
        parameters = self.distribution.parameters(outputs, values)
        return parameters if state is None else (parameters, next_state)

    def run_blocks(
        self, inputs, state=None, local_conditioning=None
    ) -> tuple[list[tf.Tensor], dict[str, Any]]:
        """From the inputs to the blocks' gated activations.

        Args:
            inputs: as the model takes them.
            state: of the samples before, as `initial_state` makes it; None for digital silence.
            local_conditioning: of the method of that name, where it is known already: for a part of
                a signal, cut from that of the whole.

        Returns:
            A tensor `[batch, time, gate_channels]` a block, and the next state, empty where no
            state was given.
        """
        values = self.distribution.checked(_audio(inputs), "audio")
        global_conditioning = self.global_conditioning(inputs)
        if local_conditioning is None:
            local_conditioning = self.local_conditioning(inputs)
        next_state: dict[str, Any] = {}

        def run(layer, signal, *conditions):
            if state is None:
                return layer(signal, *conditions)
            *outputs, next_state[layer.name] = layer(signal, *conditions, state=state[layer.name])
            return outputs if len(outputs) > 1 else outputs[0]

        parts = [] if local_conditioning is None else [local_conditioning]
        if self.context_stacks:
            heard, time = values, tf.shape(values)[1]
            if isinstance(inputs, dict) and "context_audio" in inputs:
                before = self.distribution.checked(inputs["context_audio"], "context_audio")
                heard = tf.concat([before, values], axis=1)
            companded = self.distribution.compand(heard)
            for stack in self.context_stacks:
                held = run(stack, tf.cast(companded, self.compute_dtype))
                parts.append(slice_time(held, tf.shape(heard)[1] - time, time))
        joined = tf.concat(parts, axis=-1) if parts else None
        signal = tf.cast(run(self.input_convolution, values), self.compute_dtype)
        # Rematerialized blocks take neither None nor keywords.
        conditions = [] if global_conditioning is None else [global_conditioning]
        if joined is not None:
            conditions = [*(conditions or [tf.zeros([1, 1, 0], joined.dtype)]), joined]
        gated = []
        for block in self.blocks:
            signal, activation = run(block, signal, *conditions)
            gated.append(activation)
        return gated, next_state

    def head(self, gated) -> tf.Tensor:
        """From the blocks' gated activations to what tells the parameters of the distribution.

        Args:
            gated: `[..., blocks * gate_channels]`, the blocks' activations side by side.

        Returns:
            float32 `[..., parameters]`, as the method `parameters` of the distribution takes them.
        """
        skip_sum = self.skip_convolution(gated)
        return self.output_convolution(tf.nn.relu(self.head_convolution(tf.nn.relu(skip_sum))))

    def compute_output_shape(self, inputs_shape, state_shape=None):
        shape = inputs_shape["audio"] if isinstance(inputs_shape, dict) else inputs_shape
        return with_state_shape((*shape, self.distribution.parameter_channels), state_shape)

    def compile(self, optimizer="adam", loss=None, weighted_metrics=None, **kwargs):
        """Configures training as `keras.Model.compile` does, with what a WaveNet needs.

        Args:
            optimizer: an optimizer, or the name of one, which then clips the gradients' global
                norm.
            loss: None for the negative log-likelihood, in nats a sample.
            weighted_metrics: None for `bits_per_sample` and, of the categorical distribution,
                `accuracy`.
            **kwargs: as `keras.Model.compile` takes them.
        """
        if isinstance(optimizer, str):
            optimizer = training.named_optimizer(optimizer)
        if weighted_metrics is None:
            weighted_metrics = [training.BitsPerSample(self.distribution)]
            if isinstance(self.distribution, Categorical):
                weighted_metrics.append(training.NextSampleAccuracy())
        if self._replicas > 1:
            training.check_distributable(optimizer)
        self._chooses_xla = "jit_compile" not in kwargs
        if self._chooses_xla:
            # XLA compiles no sums over several replicas, and nothing that runs eagerly.
            eager = kwargs.get("run_eagerly") or tf.config.functions_run_eagerly()
            compiles = training.compile_with_xla() and self._replicas == 1
            kwargs["jit_compile"] = compiles and not eager
        super().compile(
            optimizer=optimizer,
            loss=loss or training.NegativeLogLikelihood(self.distribution),
            weighted_metrics=weighted_metrics,
            **kwargs,
        )
        # Left to the first step, its variables would have the step traced twice.
        self.optimizer.build(self.trainable_variables)
        if tf.distribute.has_strategy():
            self.build_metrics()

    def build_metrics(self) -> None:
        """Makes the variables of the loss and the metrics, which else the first step makes."""
        targets, weights = tf.zeros([1, 1]), tf.ones([1, 1])
        outputs = tf.zeros([1, 1, self.distribution.parameter_channels])
        with keras.StatelessScope():  # the metrics keep their state
            self.compute_loss(None, targets, outputs, weights)
            self.compute_metrics(None, targets, outputs, weights)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing is left to build: `compile` does it.

        Keras would do it here, from the mean of a first batch over the replicas, which fails for a
        dict (keras-team/keras#20585), and would be hidden by no public method.
        """

    def get_compile_config(self):
        """The arguments of `compile`; an automatic choice of XLA is left out: loading chooses."""
        config = super().get_compile_config()
        if config and self._chooses_xla:
            config.pop("jit_compile", None)
        return config

    def compile_from_config(self, config):
        """Compiles a loaded model as it was saved, the optimizer's state included."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    @property
    def _replicas(self) -> int:
        return self.distribute_strategy.num_replicas_in_sync

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss of a batch; of several replicas, each has its summand of the whole batch's."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if self._replicas == 1 or not hasattr(self.loss, "reduction"):
            return loss
        if self.loss.reduction != "mean_with_sample_weight":
            return loss
        # Keras takes their means for equally heavy; but with more padding, a crop weighs less.
        weight = tf.size(y) if sample_weight is None else tf.reduce_sum(sample_weight)
        return share_of_mean(loss * self._replicas, tf.cast(weight, loss.dtype))

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            outputs = self(x)
            loss = self.compute_loss(x, y, outputs, sample_weight)
            scaled_loss = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, self.trainable_weights)
        # Of the rows of an embedding that come twice, Keras would clip each by itself.
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        if self._replicas > 1:
            gradients, loss = training.sum_over_replicas((gradients, loss))
        self._track_norm(gradients)
        if self._replicas > 1:
            # The optimizer clips, and then sums over replicas: now equal shares.
            gradients = [gradient / self._replicas for gradient in gradients]
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        return self._logs(x, y, outputs, sample_weight, loss)

    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        outputs = self(x)
        loss = self.compute_loss(x, y, outputs, sample_weight, training=False)
        logs = self._logs(x, y, outputs, sample_weight, training.sum_over_replicas(loss))
        logs.pop(self.gradient_norm.name, None)
        return logs

    def _track_norm(self, gradients) -> None:
        scale = self.optimizer.scale_loss(1.0)
        norm = tf.linalg.global_norm([gradient / scale for gradient in gradients])
        # An optimizer that scales losses leaves out a step whose gradients overflow.
        finite = tf.math.is_finite(norm)
        self.gradient_norm.update_state(tf.where(finite, norm, 0.0), sample_weight=finite)

    def _logs(self, x, y, outputs, sample_weight, loss) -> dict[str, tf.Tensor]:
        tracker = next(metric for metric in self.metrics if metric.name == "loss")
        tracker.update_state(loss, sample_weight=tf.shape(y)[0])
        logs = self.compute_metrics(x, y, outputs, sample_weight)
        if training.num_workers(self.distribute_strategy) > 1:
            # Keras takes the mean over an axis that a scalar lacks: keras-team/keras#20585.
            logs = {name: tf.convert_to_tensor(value)[None] for name, value in logs.items()}
        return logs

    def get_metrics_result(self):
        """The metrics' values; the gradients' norm is of training only."""
        results = super().get_metrics_result()
        if self._evaluating:
            results.pop(self.gradient_norm.name, None)
        return results

    def make_train_function(self, force=False):
        made = self.train_function
        super().make_train_function(force)
        if self._replicas > 1 and self.train_function is not made:
            clipping = training.clipping_shares(self.optimizer, self._replicas)
            self.train_function = clipping(self.train_function)

    def fit(self, x=None, *args, callbacks=None, validation_data=None, **kwargs):
        """Trains as `keras.Model.fit` does, and stops with a clear error when the loss is NaN.

        Under the scope of a `tf.distribute` strategy it trains as one replica does on the whole
        batch, up to rounding; see `training.named_strategy` and `training.distribute`.

        Raises:
            InputError: when the loss is no finite number any more; it says what to do. And where
                no sample of an epoch, or of its validation, has a weight; for audio or targets that
                are not what the distribution models; and where no weight is trainable.
        """
        if self.compiled and not self.trainable_variables:
            raise InputError(
                "no weight is trainable: set trainable = True for some layer, and call compile"
            )
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            if isinstance(callbacks, keras.callbacks.Callback):
                callbacks = [callbacks]
            callbacks = [
                training.StopOnNothingScored(),  # before a checkpoint is written
                *(callbacks or []),
                training.StopOnNonFiniteLoss(),
            ]
        if isinstance(x, tf.data.Dataset | tf.distribute.DistributedDataset):
            kwargs.setdefault("shuffle", False)  # or Keras warns that it leaves it to the dataset
        self._check_data(x, *args[:1], **kwargs)
        is_tuple = isinstance(validation_data, list | tuple)
        self._check_data(*(validation_data[:2] if is_tuple else [validation_data]))
        with _named_codes(self.distribution):
            return super().fit(
                training.shard_by_element(x),
                *args,
                callbacks=callbacks,
                validation_data=training.shard_by_element(validation_data),
                **kwargs,
            )

    def _check_data(self, x, y=None, **_) -> None:
        """Raises InputError unless inputs and targets are what the distribution models.

        Args:
            x: as `fit` takes it; of a dataset, its types and shapes are checked.
            y: targets.
        """
        if isinstance(x, tf.data.Dataset):
            spec = x.element_spec
            x, y = spec[:2] if isinstance(spec, tuple) and len(spec) > 1 else (spec, None)
        inputs = x.get("audio") if isinstance(x, dict) else x
        for name, values in (("x", inputs), ("y", y)):
            if isinstance(values, tf.TensorSpec):
                self.distribution.check_type(values, name)
            elif isinstance(values, np.ndarray | tf.Tensor | list) or hasattr(values, "to_numpy"):
                self.distribution.check_values(np.asarray(values), name)

    def evaluate(self, x=None, *args, **kwargs):
        """Scores as `keras.Model.evaluate` does."""
        if not kwargs.get("_use_cached_eval_dataset"):  # `fit` has checked it
            self._check_data(x, *args[:1], **kwargs)
        self._evaluating = True
        try:
            with _named_codes(self.distribution):
                return super().evaluate(training.shard_by_element(x), *args, **kwargs)
        finally:
            self._evaluating = False

    def save(self, filepath, *args, **kwargs):
        """Saves the model as `keras.Model.save` does, in a `.keras` file.

        Raises:
            InputError: for another kind of file.
        """
        if not str(filepath).endswith(".keras"):
            raise InputError(f"a WaveNet is saved as a .keras file; received {str(filepath)!r}")
        return super().save(filepath, *args, **kwargs)

    def export(self, filepath, *args, input_signature=None, **kwargs):
        """Exports the network as `keras.Model.export` does: from audio to parameters.

        Use `serving` and `on_device` to export the sampling loop, which generates audio.

        Args:
            filepath: folder of the SavedModel.
            *args: as `keras.Model.export` takes them.
            input_signature: None takes batches of any size and length, with all conditions.
            **kwargs: as `keras.Model.export` takes them.
        """
        if input_signature is None:
            input_signature = [self._input_signature()]
        return super().export(filepath, *args, input_signature=input_signature, **kwargs)

    def _input_signature(self):
        codes = isinstance(self.distribution, Categorical)
        shapes = {
            "audio": ([None, None], tf.int32 if codes else tf.float32),
            "speaker_id": ([None], tf.int32),
            "global_conditioning": ([None, self.global_channels], tf.float32),
            "local_conditioning": ([None, None, self.local_channels], tf.float32),
        }
        specs = {
            name: tf.TensorSpec(*shapes[name], name) for name in ("audio", *self.conditioning_names)
        }
        return specs if self.conditioning_names else specs["audio"]

    def generate(
        self,
        num_samples: int,
        batch_size: int = 1,
        prompt=None,
        speaker_id=None,
        global_conditioning=None,
        local_conditioning=None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        progress: bool = False,
        jit_compile: bool | None = None,
    ) -> np.ndarray:
        """Samples audio, one sample after the other, at a cost that grows with the layers only.

        Args:
            num_samples: to make, in samples.
            batch_size: independent streams.
            prompt: audio to continue, float `[batch or 1, samples]` in [-1, 1]; None starts from
                digital silence.
            speaker_id: int, or one for each stream, where the model is conditioned on speakers.
            global_conditioning: float `[batch or 1, global_channels]`, where the model is
                conditioned on a vector.
            local_conditioning: float `[batch or 1, frames, local_channels]`, where the model is
                conditioned on such; frames * hop_length = samples of the prompt + num_samples.
            temperature: below 1 is more careful, above 1 wilder; 0 always takes the most likely
                code, or the mean of the likeliest component, which tends to fall silent.
            top_k: draw among the `top_k` most likely codes only.
            top_p: draw among the most likely codes that together reach this probability.
            seed: from 0 to 2**32 - 1; the same seed gives the same audio; None takes a new one
                each time.
            progress: show how it is sampled, and a progress bar with samples/s and the real-time
                factor.
            jit_compile: True compiles with XLA, False makes a plain graph, which is ready sooner
                and several times slower; None takes XLA where TensorFlow has it.

        Returns:
            float32 `[batch_size, num_samples]` in [-1, 1], without the prompt.

        Raises:
            InputError: for an argument out of range or a prompt of the wrong shape.
        """
        num_samples = positive_integer("num_samples", num_samples)
        stream = self.stream(
            batch_size,
            prompt,
            speaker_id,
            global_conditioning,
            local_conditioning,
            temperature,
            top_k,
            top_p,
            seed,
            jit_compile=jit_compile,
        )
        if stream.num_samples not in (None, num_samples):
            raise InputError(
                f"num_samples must be {stream.num_samples}, which the frames of local_conditioning "
                f"are for, {self.hop_length} samples each, after the prompt; received {num_samples}"
            )
        return generation.collect(stream, num_samples, self.sample_rate, progress)

    def stream(
        self,
        batch_size: int = 1,
        prompt=None,
        speaker_id=None,
        global_conditioning=None,
        local_conditioning=None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        block_size: int | None = None,
        threads: int | None = None,
        jit_compile: bool | None = None,
        device: str | None = None,
    ) -> generation.AudioStream:
        """Samples audio without end, or to the end of its frames, in blocks and constant memory.

        Args:
            batch_size: independent streams.
            prompt: audio to continue, as `generate` takes it.
            speaker_id: as `generate` takes it.
            global_conditioning: as `generate` takes it.
            local_conditioning: as `generate` takes it; the stream ends with its frames.
            temperature: as `generate` takes it.
            top_k: as `generate` takes it.
            top_p: as `generate` takes it.
            seed: as `generate` takes it.
            block_size: samples of a block; None takes `generation.BLOCK_SIZE`.
            threads: the most to use; None uses every core.
            jit_compile: as `generate` takes it.
            device: as `tf.device` takes it; None takes a GPU if there is one and enough streams to
                fill it.

        Returns:
            An iterator of float32 `[batch_size, block_size]` in [-1, 1], with `close()`; its
            `plan` tells the choices made. All blocks joined are what `generate` returns for the
            same arguments.

        Raises:
            InputError: for an argument out of range or a prompt of the wrong shape.
        """
        return generation.AudioStream(
            self,
            batch_size,
            prompt,
            {
                "speaker_id": speaker_id,
                "global_conditioning": global_conditioning,
                "local_conditioning": local_conditioning,
            },
            temperature,
            top_k,
            top_p,
            seed,
            block_size,
            threads=threads,
            jit_compile=jit_compile,
            device=device,
        )

    def get_config(self):
        return {
            **super().get_config(),
            "num_stacks": self.num_stacks,
            "layers_per_stack": self.layers_per_stack,
            "kernel_size": self.kernel_size,
            "residual_channels": self.residual_channels,
            "gate_channels": self.gate_channels,
            "skip_channels": self.skip_channels,
            "head_channels": self.head_channels,
            "output_distribution": self.output_distribution,
            "quantization_channels": self.quantization_channels,
            "num_mixtures": self.num_mixtures,
            "num_speakers": self.num_speakers,
            "speaker_names": self.speaker_names,
            "global_channels": self.global_channels,
            "local_channels": self.local_channels,
            "upsample_factors": self.upsampler and self.upsampler.upsample_factors,
            "upsampling": self.upsampling,
            "causal_upsampling": self.causal_upsampling,
            "features": self.features,
            "context_stacks": [
                {name: getattr(stack, name) for name in _CONTEXT_ARGUMENTS}
                for stack in self.context_stacks
            ]
            or None,
            "sample_rate": self.sample_rate,
        }


def _audio(inputs):
    """The audio of the inputs of a model."""
    return inputs["audio"] if isinstance(inputs, dict) else inputs


def _check_keras_settings() -> None:
    """Raises InputError unless Keras runs on TensorFlow and in float32."""
    if keras.config.backend() != "tensorflow":
        raise InputError(
            f"Keras runs on {keras.config.backend()}, and a WaveNet runs on TensorFlow: set the "
            "environment variable KERAS_BACKEND=tensorflow before Python starts"
        )
    if keras.config.floatx() != "float32":
        raise InputError(
            f"floatx of Keras is {keras.config.floatx()}: call keras.config.set_floatx('float32'), "
            'or set "floatx": "float32" in ~/.keras/keras.json; for half precision use '
            "dtype='mixed_bfloat16' (--precision)"
        )


@contextlib.contextmanager
def _named_codes(distribution) -> Iterator[None]:
    """Within it, TensorFlow's error of a code out of range becomes one that names the codes."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if isinstance(distribution, Categorical) and _OUT_OF_RANGE.search(error.message):
            raise InputError(
                "the data holds values that are no mu-law codes, which are whole numbers from 0 to "
                f"{distribution.quantization_channels - 1}"
            ) from error
        raise


def _context_arguments(arguments: dict) -> dict:
    """The arguments of a context stack, where they are such."""
    unknown = sorted(set(arguments) - set(_CONTEXT_ARGUMENTS))
    if unknown or "pooling" not in arguments:
        raise InputError(
            f"context_stacks take pooling and, if need be, {', '.join(_CONTEXT_ARGUMENTS[1:])}; "
            f"received {arguments}"
        )
    return arguments
