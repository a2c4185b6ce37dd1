"""The WaveNet as a Keras model."""

import contextlib
import functools
import inspect
import re
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf import audio_blocks, clients, data, native, sampling, training
from wavenet_tf.audio import Emphasis
from wavenet_tf.conditioning import ConditioningSpec, speaker_index
from wavenet_tf.distributions import Categorical
from wavenet_tf.errors import InputError, positive_integer
from wavenet_tf.layers.convolutions import with_state_shape
from wavenet_tf.models.config import PRESETS, WaveNetConfig
from wavenet_tf.models.heads import OutputHead
from wavenet_tf.models.loading import load_pretrained
from wavenet_tf.models.trainer import TrainableModel
from wavenet_tf.models.trunk import WaveNetTrunk, audio_of
from wavenet_tf.options import PRECISIONS

# The weights that `fit` changes.
TRAINED = ("all", "speaker_embedding")
# In TensorFlow's errors of look-ups and of the loss.
_OUT_OF_RANGE = re.compile(r"is not in \[0, |outside the valid range of \[0, ")


@keras.saving.register_keras_serializable(package="wavenet_tf")
class WaveNet(TrainableModel):
    """An autoregressive model of raw audio (van den Oord et al. 2016, arXiv 1609.03499).

    `outputs[:, t]` holds the parameters of the distribution of sample `t + 1`, given samples up to
    `t`. The trunk is a causal convolution and `num_stacks` times `layers_per_stack` gated residual
    blocks with dilations 1, 2, 4 and so on in each stack; the head is the sum of their skip
    connections, then ReLU, 1x1, ReLU, 1x1 (figure 4).

    Args:
        dtype: "float32", "mixed_bfloat16" or "mixed_float16".
        name: name of the model.
        trained: the weights that `fit` changes: "all", or "speaker_embedding" for a further speaker
            of a trained model, see `models.add_speaker`. After a change, call `compile`.
        **arguments: the attributes of `WaveNetConfig`.

    Attributes:
        config: the `WaveNetConfig`.
        trunk: the `WaveNetTrunk`, from the inputs to the gated activations of all blocks.
        head: the `OutputHead`, from gated activations to outputs.
        distribution: maps outputs to parameters, and samples from them.

    Input shape:
        The audio `[batch, time]`: int32 mu-law codes for the categorical distribution, float32 in
        [-1, 1] for the mixtures. A model with conditions takes a dict of the audio as `audio` and
        its conditions: `speaker_id`, int32 `[batch]`; `global_conditioning`, float32
        `[batch, global_channels]`; `local_conditioning`, float32
        `[batch, frames, local_channels]` with frames * hop_length = time, the frames of the
        predicted samples, which are one sample later than `audio`. A model with context stacks
        takes `context_audio` too, `[batch, context]`, the samples before `audio`, which only the
        context stacks process. Optionally also the state after earlier samples, a `TrunkState`.

    Output shape:
        float32 parameters of the distribution `[batch, time, parameters]`, such as logits, and the
        next state if a state is given.

    Raises:
        InputError: for an argument out of its range; when called without an input that conditions
            the model, or with frames that do not fit the audio.

    Example:
    >>> model = WaveNet(num_stacks=1, layers_per_stack=4, residual_channels=8, gate_channels=8,
    ...                 skip_channels=16, head_channels=16)
    >>> model.receptive_field  # samples
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

    # `help` and editors show the arguments of the configuration.
    __signature__ = inspect.Signature(
        [
            *(
                parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
                for parameter in inspect.signature(WaveNetConfig).parameters.values()
            ),
            inspect.Parameter("dtype", inspect.Parameter.KEYWORD_ONLY, default=None),
            inspect.Parameter("name", inspect.Parameter.KEYWORD_ONLY, default=None),
            inspect.Parameter("trained", inspect.Parameter.KEYWORD_ONLY, default="all"),
        ]
    )

    def __init__(self, *, dtype=None, name=None, trainable=True, trained="all", **arguments):
        _check_keras_settings()
        # Layers choose their precision themselves: half would corrupt a 16-bit waveform.
        super().__init__(dtype=dtype, name=name, trainable=trainable, autocast=False)
        if self.dtype_policy.name not in PRECISIONS:
            raise InputError(
                f"dtype must be one of {', '.join(PRECISIONS)}; received {self.dtype_policy.name!r}"
            )
        self.config = WaveNetConfig.from_dict(arguments)
        self.trunk = WaveNetTrunk(self.config, dtype=self.dtype_policy, name="trunk")
        self.distribution = self.trunk.distribution
        self.head = OutputHead(
            self.config.skip_channels,
            self.config.head_channels,
            self.distribution.parameter_channels,
            dtype=self.dtype_policy,
            name="head",
        )
        self.build()
        self._trained = "all"
        self.trained = trained

    def build(self, inputs_shape=None):
        """Makes the weights; every shape follows from the configuration."""
        self.trunk.build()
        gated_channels = len(self.trunk.stack.blocks) * self.config.gate_channels
        self.head.build((None, None, gated_channels))
        self.built = True

    @classmethod
    def from_preset(cls, name: str, *, dtype=None, **overrides) -> "WaveNet":
        """Makes an untrained model of a named configuration, or loads a trained model.

        Args:
            name: a configuration: "tiny" (a laptop demo), "small", "music", "medium" or "paper";
                or a trained model: one of the package, see `list_presets`, a model directory, or a
                `.keras` file.
            dtype: as the constructor takes it; None for float32, or for that of a trained model.
            **overrides: arguments that replace those of the configuration; none for a trained
                model.

        Raises:
            InputError: for an unknown name or an unknown argument; for arguments of a trained
                model.

        Example:
        >>> WaveNet.from_preset("tiny", sample_rate=8000).sample_rate
        8000
        """
        if name in PRESETS:
            return cls(dtype=dtype, **WaveNetConfig.from_preset(name, **overrides).to_dict())
        if overrides:
            raise InputError(
                f"the trained model {name} takes no other arguments; received "
                f"{', '.join(overrides)}"
            )
        return load_pretrained(name, cls, dtype)

    @property
    def trained(self) -> str:
        """The weights that `fit` changes: "all" or "speaker_embedding"."""
        return self._trained

    @trained.setter
    def trained(self, part: str) -> None:
        if part not in TRAINED or (part != "all" and not self.config.num_speakers):
            raise InputError(
                f"trained must be one of {', '.join(TRAINED)}, and the latter takes a model with "
                f"speakers; received {part!r}"
            )
        if part != self._trained:
            for layer in (*self.trunk.layers, self.head):
                layer.trainable = part in ("all", layer.name)
        self._trained = part

    @property
    def receptive_field(self) -> int:
        """Samples that an output depends on, the current one included."""
        return self.trunk.receptive_field

    @property
    def sample_rate(self) -> int:
        """Sample rate of the audio, in Hz."""
        return self.config.sample_rate

    @property
    def emphasis(self) -> Emphasis | None:
        """Filter between audio and the waveform that the network takes; None for none."""
        config = self.config
        if (config.pre_emphasis, config.gain) == (0.0, 1.0):
            return None
        return Emphasis(config.pre_emphasis, config.gain)

    @property
    def codec(self) -> sampling.AudioCodec:
        """Maps audio to values of the distribution, and back."""
        return sampling.AudioCodec(self.distribution, self.emphasis)

    @property
    def hop_length(self) -> int | None:
        """Samples per frame of local conditioning; None for a model without."""
        return self.config.hop_length

    @property
    def conditioning(self) -> ConditioningSpec:
        """The inputs that condition the model."""
        return self.config.conditioning

    @property
    def crop_spec(self) -> data.CropSpec:
        """What batches of crops hold for this model, see `data.training_batches`."""
        config, spec = self.config, self.conditioning
        return data.CropSpec(
            sample_rate=config.sample_rate,
            receptive_field=config.trunk_receptive_field,
            distribution=self.distribution,
            context_samples=self.receptive_field - config.trunk_receptive_field,
            hop_length=spec.hop_length,
            frames_before=spec.frames_before,
            frames_after=spec.frames_after,
            crop_multiple=config.frame_unit,
            drift=config.output_distribution != "categorical",
            emphasis=self.emphasis,
            conditions=data.condition_sources(spec),
        )

    def speaker_index(self, name: str) -> int:
        """Returns the id of a speaker's name.

        Raises:
            InputError: if the model has no such speaker.
        """
        return speaker_index(self.config.speaker_names, name)

    @functools.cached_property
    def sampler(self) -> sampling.Sampler:
        """The sampler of this model, which keeps what does not change between streams."""
        return sampling.Sampler(self)

    @functools.cached_property
    def native_sampler(self) -> sampling.NativeSampler:
        """The sampler of this model in libwavenet."""
        return sampling.NativeSampler(self)

    def call(self, inputs, state=None, local_conditioning=None):
        with self.explained_errors():
            if state is None:
                gated = self.trunk(inputs, local_conditioning=local_conditioning)
            else:
                gated, next_state = self.trunk(inputs, state, local_conditioning)
        parameters = self.distribution.parameters(self.head(gated), audio_of(inputs))
        return parameters if state is None else (parameters, next_state)

    def compute_output_shape(self, inputs_shape, state_shape=None):
        shape = inputs_shape["audio"] if isinstance(inputs_shape, dict) else inputs_shape
        return with_state_shape((*shape, self.distribution.parameter_channels), state_shape)

    def default_loss(self) -> training.NegativeLogLikelihood:
        """Returns the negative log-likelihood, in nats per sample."""
        return training.NegativeLogLikelihood(self.distribution)

    def default_weighted_metrics(self) -> list[keras.metrics.Metric]:
        """Returns bits per sample and, for the categorical distribution, the accuracy."""
        metrics = [training.BitsPerSample(self.distribution)]
        if isinstance(self.distribution, Categorical):
            metrics.append(training.NextSampleAccuracy())
        return metrics

    def example_batch(self):
        """Returns targets, outputs and weights of one sample."""
        outputs = tf.zeros([1, 1, self.distribution.parameter_channels])
        return tf.zeros([1, 1]), outputs, tf.ones([1, 1])

    def check_data(self, x, y=None) -> None:
        """Raises InputError unless inputs and targets are what the distribution models.

        Args:
            x: as `fit` takes it; for a dataset, its types and shapes are checked.
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

    @contextlib.contextmanager
    def explained_errors(self) -> Iterator[None]:
        """Turns TensorFlow's error of a code out of range into one that names mu-law codes."""
        try:
            yield
        except tf.errors.InvalidArgumentError as error:
            categorical = isinstance(self.distribution, Categorical)
            if categorical and _OUT_OF_RANGE.search(error.message):
                raise InputError(
                    "the data holds values that are no mu-law codes, which are whole numbers from "
                    f"0 to {self.config.quantization_channels - 1}"
                ) from error
            raise

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

        `wavenet_tf.deployment` exports the sampling loop, which generates audio.

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
        dtype = tf.int32 if codes else tf.float32
        specs = {"audio": tf.TensorSpec([None, None], dtype, "audio")}
        for name, shape in self.conditioning.shapes().items():
            dtype = tf.int32 if name == "speaker_id" else tf.float32
            specs[name] = tf.TensorSpec([None, *shape], dtype, name)
        return specs if len(specs) > 1 else specs["audio"]

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
        runtime: str = "tensorflow",
    ) -> np.ndarray:
        """Samples audio, one sample after the other, at a cost of O(layers) per sample.

        Args:
            num_samples: number of samples to generate in each stream.
            batch_size: number of independent streams.
            prompt: audio to continue, float `[batch or 1, samples]` in [-1, 1]; None starts from
                digital silence.
            speaker_id: int, or one per stream, for a model conditioned on speakers.
            global_conditioning: float `[batch or 1, global_channels]`, for a model conditioned on
                a vector.
            local_conditioning: float `[batch or 1, frames, local_channels]`, for a model
                conditioned on frames; frames * hop_length = samples of the prompt + num_samples.
            temperature: divides the logits (and multiplies the scales of a mixture): below 1
                likely values get likelier. 0 always takes the most likely code, or the mean of the
                likeliest component; such audio tends to fall silent.
            top_k: sample among the `top_k` most likely codes only.
            top_p: sample among the most likely codes that together reach this probability.
            seed: from 0 to 2**32 - 1; the same seed gives the same audio; None takes a new one
                each time.
            progress: whether to show a progress bar with samples/s and the real-time factor.
            jit_compile: True compiles with XLA; False makes a plain graph, which starts sooner and
                samples several times slower; None takes XLA where TensorFlow has it.
            runtime: "tensorflow"; "native" for the C library libwavenet, which is faster on CPUs,
                starts at once and draws the same samples up to rounding; "native_int8" for weights
                in int8 there; or "auto" for "native" where it can, see `native.choose_runtime`.

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
            runtime=runtime,
        )
        if stream.num_samples not in (None, num_samples):
            raise InputError(
                f"num_samples must be {stream.num_samples}, which the frames of local_conditioning "
                f"are for, {self.hop_length} samples each, after the prompt; received {num_samples}"
            )
        return audio_blocks.collect(stream, num_samples, self.sample_rate, progress)

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
        runtime: str = "tensorflow",
    ) -> sampling.AudioStream | clients.AudioStream:
        """Samples audio without end, or to the end of its frames, in blocks and constant memory.

        Args:
            batch_size: number of independent streams.
            prompt: audio to continue, as `generate` takes it.
            speaker_id: as `generate` takes it.
            global_conditioning: as `generate` takes it.
            local_conditioning: as `generate` takes it; the stream ends with its frames.
            temperature: as `generate` takes it.
            top_k: as `generate` takes it.
            top_p: as `generate` takes it.
            seed: as `generate` takes it.
            block_size: samples per block; None takes `sampling.BLOCK_SIZE`, or about 1024 in a
                native runtime, which needs whole frames.
            threads: largest number of threads; None uses every core.
            jit_compile: as `generate` takes it.
            device: as `tf.device` takes it; None takes a GPU if there is one and enough streams to
                keep it busy.
            runtime: as `generate` takes it.

        Returns:
            An iterator of float32 `[batch_size, block_size]` in [-1, 1], with `close()`; its
            `description` names the choices made. All blocks joined are what `generate` returns
            for the same arguments.

        Raises:
            InputError: for an argument out of range or a prompt of the wrong shape.
        """
        conditions = {
            "speaker_id": speaker_id,
            "global_conditioning": global_conditioning,
            "local_conditioning": local_conditioning,
        }
        batch_size = positive_integer("batch_size", batch_size)
        tensorflow_only = {
            "top_k": top_k,
            "top_p": top_p,
            "jit_compile": jit_compile,
            "device": device,
        }
        runtime = native.choose_runtime(runtime, batch_size, tensorflow_only)
        if runtime != "tensorflow":
            return self.native_sampler.stream(
                runtime, batch_size, prompt, conditions, temperature, seed, block_size, threads
            )
        return self.sampler.stream(
            batch_size,
            prompt,
            conditions,
            temperature,
            top_k,
            top_p,
            seed,
            block_size,
            sampling.plan(batch_size, threads, jit_compile, device),
        )

    def get_config(self):
        return {**super().get_config(), **self.config.to_dict(), "trained": self.trained}


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
