"""The trunk of a WaveNet: everything between the inputs and the output layers."""

import keras
import tensorflow as tf

from wavenet_tf.distributions import Categorical, named_distribution
from wavenet_tf.errors import InputError
from wavenet_tf.layers import (
    CausalConv1D,
    ConditioningUpsampler,
    ContextStack,
    ContextState,
    DilatedStack,
    LearnedUpsampler,
    OneHotCausalConv1D,
    RepeatUpsampler,
    StretchUpsampler,
    TrunkState,
    WaveformCausalConv1D,
    slice_time,
)
from wavenet_tf.models.config import WaveNetConfig, stretch_reach


@keras.saving.register_keras_serializable(package="wavenet_tf")
class WaveNetTrunk(keras.layers.Layer):
    """Maps audio and conditions to the gated activations of all blocks (WaveNet, figure 4).

    Its parts are the input convolution, the stack of gated residual blocks, global and local
    conditioning (section 2.5) and context stacks (section 2.6).

    Args:
        config: a `WaveNetConfig`, or its arguments as a dict.

    Input shape:
        As `WaveNet` takes it; optionally a `TrunkState`.

    Output shape:
        `[batch, time, blocks * gate_channels]`, and the next state if a state is given.

    Raises:
        InputError: if an input is missing that conditions the model, or if frames do not fit the
            audio.

    Example:
    >>> trunk = WaveNetTrunk({"num_stacks": 1, "layers_per_stack": 4, "gate_channels": 6})
    >>> trunk(tf.fill([1, 50], 128)).shape
    TensorShape([1, 50, 24])
    """

    def __init__(self, config: WaveNetConfig | dict, **kwargs):
        super().__init__(**{"autocast": False, **kwargs})
        if not isinstance(config, WaveNetConfig):
            config = WaveNetConfig.from_dict(config)
        self.config = config
        self.distribution = named_distribution(
            config.output_distribution,
            config.quantization_channels,
            config.num_mixtures,
            code_table=config.code_table,
            means=config.mixture_means,
            log_scale_floor=config.log_scale_floor,
            rounding=config.round_samples,
        )
        self.input_convolution = self._new_input_convolution()
        self.upsampler = self._new_upsampler()
        # Names of layers in a rematerialization scope mean blocks of the trunk.
        with keras.RematScope(mode=None):
            self.context_stacks = [
                ContextStack(
                    stack.pooling,
                    stack.num_stacks,
                    stack.layers_per_stack,
                    stack.kernel_size,
                    stack.channels,
                    dtype=self.dtype_policy,
                    name=f"context_{index}",
                )
                for index, stack in enumerate(config.context_stacks)
            ]
        speaker_channels = 0
        if config.num_speakers:
            speaker_channels = config.speaker_channels or config.residual_channels
            self.speaker_embedding = keras.layers.Embedding(
                config.num_speakers,
                speaker_channels,
                dtype=self.dtype_policy,
                name="speaker_embedding",
            )
        upsampled_channels = self.upsampler.channels if self.upsampler else 0
        context_channels = sum(stack.channels for stack in self.context_stacks)
        self.stack = DilatedStack(
            config.residual_channels,
            config.gate_channels,
            config.kernel_size,
            config.block_dilations,
            config.residual_scale,
            global_channels=speaker_channels + (config.global_channels or 0) or None,
            local_channels=upsampled_channels + context_channels or None,
            dtype=self.dtype_policy,
            name="stack",
        )

    def _new_input_convolution(self) -> CausalConv1D:
        config, name = self.config, "input_convolution"
        if isinstance(self.distribution, Categorical):
            return OneHotCausalConv1D(
                config.residual_channels,
                config.quantization_channels,
                config.input_taps,
                self.distribution.silence,
                dtype=self.dtype_policy,
                name=name,
            )
        # Half precision would round away the low bits of a 16-bit waveform.
        return WaveformCausalConv1D(
            config.residual_channels,
            config.input_taps,
            config.compand_input,
            dtype="float32",
            name=name,
        )

    def _new_upsampler(self) -> ConditioningUpsampler | None:
        config = self.config
        if config.upsample_factors is None:
            return None
        # Twice as many channels train no better on speech, and cost twice as much per sample.
        channels = config.upsampled_channels or max(1, config.residual_channels // 2)
        factors = config.upsample_factors
        if config.upsampling == "repeat":
            return RepeatUpsampler(channels, factors, dtype=self.dtype_policy, name="upsampler")
        if config.upsampling == "stretch":
            return StretchUpsampler(
                channels,
                factors,
                config.upsampling_context,
                stretch_reach(factors),
                config.upsampling_bands,
                dtype=self.dtype_policy,
                name="upsampler",
            )
        return LearnedUpsampler(
            channels,
            factors,
            config.causal_upsampling,
            config.upsampling_activation,
            dtype=self.dtype_policy,
            name="upsampler",
        )

    def build(self, inputs_shape=None):
        """Makes the weights; every shape follows from the configuration."""
        self.input_convolution.build((None, None))
        if self.config.num_speakers:
            self.speaker_embedding.build((None,))
        if self.upsampler:
            self.upsampler.build((None, None, self.config.local_channels))
        for stack in self.context_stacks:
            stack.build()
        self.stack.build()
        self.built = True

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The layers, which `summary(expand_nested=True)` lists."""
        parts = [self.input_convolution, self.upsampler, *self.context_stacks]
        if self.config.num_speakers:
            parts.append(self.speaker_embedding)
        return [part for part in parts if part is not None] + [self.stack]

    @property
    def receptive_field(self) -> int:
        """Samples that an output depends on, the current one included."""
        contexts = [stack.context for stack in self.context_stacks]
        return self.config.trunk_receptive_field + max(contexts, default=0)

    def adapt(self, frames) -> None:
        """Computes the mean and the deviation of local conditioning, which are saved as weights.

        Args:
            frames: float `[..., local_channels]`, frames of the training set or a sample of them.

        Raises:
            InputError: for frames of another width, or a model without local conditioning.
        """
        if self.upsampler is None:
            raise InputError("adapt is for models with local_channels; this one has none")
        self.upsampler.adapt(frames)

    def initial_state(self, batch_size) -> TrunkState:
        """Returns the state before the first sample.

        Args:
            batch_size: int or scalar tensor.
        """
        return TrunkState(
            self.input_convolution.initial_state(batch_size),
            tuple(stack.initial_state(batch_size) for stack in self.context_stacks),
            self.stack.initial_state(batch_size),
        )

    def global_conditioning(self, inputs) -> tf.Tensor | None:
        """Returns the conditioning that every gate gets at all times.

        It is the speaker's embedding and the global conditioning vector side by side.

        Args:
            inputs: as the model takes them.

        Returns:
            `[batch, 1, channels]`; None for a model without.

        Raises:
            InputError: if an input is missing.
        """
        parts = []
        if self.config.num_speakers:
            parts.append(self.speaker_embedding(_condition(inputs, "speaker_id")))
        if self.config.global_channels:
            parts.append(_condition(inputs, "global_conditioning"))
        parts = [tf.cast(part, self.compute_dtype) for part in parts]
        return tf.concat(parts, axis=-1)[:, None] if parts else None

    def local_conditioning(self, inputs, first=None, length=None) -> tf.Tensor | None:
        """Returns the conditioning that every gate gets sample by sample: the upsampled frames.

        Args:
            inputs: as the model takes them.
            first: index of the first sample, counted from the first frame; may be negative.
            length: number of samples; None takes the samples of the audio, which frames must fit.

        Returns:
            `[batch, length, channels]`; None for a model without.

        Raises:
            InputError: if the input is missing, or does not fit the audio.
        """
        if self.upsampler is None:
            return None
        frames = _condition(inputs, "local_conditioning")
        if length is not None:
            return self.upsampler.samples(frames, first, length)
        samples, num_frames = inputs["audio"].shape[1], frames.shape[1]
        hop_length = self.upsampler.hop_length
        if None not in (samples, num_frames) and num_frames * hop_length != samples:
            raise InputError(
                f"local_conditioning must have a frame for each {hop_length} samples: "
                f"received {num_frames} frames ({num_frames * hop_length} samples) and "
                f"{samples} samples of audio"
            )
        return self.upsampler(frames)

    def call(self, inputs, state=None, local_conditioning=None):
        """Computes the gated activations.

        Args:
            inputs: as the model takes them.
            state: state after the samples before; None for digital silence.
            local_conditioning: as the method `local_conditioning` returns it, for a part of a
                signal; None computes it from the frames in `inputs`.
        """
        values = self.distribution.checked(audio_of(inputs), "audio")
        global_conditioning = self.global_conditioning(inputs)
        if local_conditioning is None:
            local_conditioning = self.local_conditioning(inputs)
        parts = [] if local_conditioning is None else [local_conditioning]
        contexts, context_states = self._run_contexts(inputs, values, state)
        parts += contexts
        joined = tf.concat(parts, axis=-1) if parts else None
        if state is None:
            signal = self.input_convolution(values)
        else:
            signal, input_state = self.input_convolution(values, state=state.inputs)
        signal = tf.cast(signal, self.compute_dtype)
        if state is None:
            return self.stack(signal, global_conditioning, joined)
        gated, block_states = self.stack(
            signal, global_conditioning, joined, state=tuple(state.blocks)
        )
        return gated, TrunkState(input_state, tuple(context_states), block_states)

    def _run_contexts(self, inputs, values, state) -> tuple[list, list[ContextState]]:
        """Computes the outputs of the context stacks, and their next states if there is a state."""
        if not self.context_stacks:
            return [], []
        signal, time = values, tf.shape(values)[1]
        if isinstance(inputs, dict) and "context_audio" in inputs:
            before = self.distribution.checked(inputs["context_audio"], "context_audio")
            signal = tf.concat([before, values], axis=1)
        companded = tf.cast(self.distribution.compand(signal), self.compute_dtype)
        outputs, states = [], []
        for index, stack in enumerate(self.context_stacks):
            if state is None:
                output = stack(companded)
            else:
                output, after = stack(companded, state=state.contexts[index])
                states.append(after)
            outputs.append(slice_time(output, tf.shape(signal)[1] - time, time))
        return outputs, states

    def compute_output_shape(self, inputs_shape, state_shape=None):
        shape = inputs_shape["audio"] if isinstance(inputs_shape, dict) else inputs_shape
        channels = len(self.stack.blocks) * self.config.gate_channels
        return (*shape, channels) if state_shape is None else ((*shape, channels), state_shape)

    def get_config(self):
        return {**super().get_config(), "config": self.config.to_dict()}


def audio_of(inputs):
    """Returns the audio among the inputs of a model."""
    return inputs["audio"] if isinstance(inputs, dict) else inputs


def _condition(inputs, name: str):
    if not isinstance(inputs, dict) or name not in inputs:
        raise InputError(
            f"the model is conditioned on {name}: expected a dict with 'audio' and {name!r}"
        )
    return inputs[name]
