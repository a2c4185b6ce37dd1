"""Configuration of a WaveNet; importable without TensorFlow."""

import dataclasses
import fractions
import itertools
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

from wavenet_tf.audio.code_table import checked_code_table
from wavenet_tf.audio.feature_names import feature_channels
from wavenet_tf.conditioning import ConditioningSpec
from wavenet_tf.errors import (
    InputError,
    optional_number,
    optional_positive_integer,
    positive_integer,
    positive_number,
)
from wavenet_tf.options import DISTRIBUTIONS, MIXTURE_MEANS
from wavenet_tf.text.linguistic import LinguisticFeatures

UPSAMPLINGS = ("learned", "repeat", "stretch")
UPSAMPLING_ACTIVATIONS = ("leaky_relu", "relu")
# The state of a layer with this dilation holds a minute of audio at 16 kHz.
LARGEST_DILATION = 2**20


def dilations_of_layers(num_stacks: int, layers_per_stack: int) -> tuple[int, ...]:
    """Returns the dilation of each block: 1, 2, 4 and so on in each stack, in samples.

    Example:
    >>> dilations_of_layers(num_stacks=2, layers_per_stack=3)
    (1, 2, 4, 1, 2, 4)
    """
    if layers_per_stack > LARGEST_DILATION.bit_length():
        raise InputError(
            f"layers_per_stack must be at most {LARGEST_DILATION.bit_length()}, which is a "
            f"dilation of {LARGEST_DILATION} samples; received {layers_per_stack}"
        )
    return tuple(2**layer for layer in range(layers_per_stack)) * num_stacks


@dataclasses.dataclass(frozen=True)
class ContextConfig:
    """Configuration of a context stack, see `layers.ContextStack`.

    Attributes:
        pooling: samples per frame; 1 keeps the sample rate, and makes sampling slow.
        num_stacks: number of repetitions of the dilations.
        layers_per_stack: blocks per repetition.
        kernel_size: taps of the dilated convolutions.
        channels: channels of the frames, the gates and the output.
    """

    pooling: int
    num_stacks: int = 1
    layers_per_stack: int = 8
    kernel_size: int = 2
    channels: int = 32

    def __post_init__(self):
        for field in dataclasses.fields(self):
            _set(self, field.name, positive_integer(field.name, getattr(self, field.name)))
        dilations_of_layers(self.num_stacks, self.layers_per_stack)

    @property
    def dilations(self) -> tuple[int, ...]:
        """Dilation of each block, in frames."""
        return dilations_of_layers(self.num_stacks, self.layers_per_stack)

    @classmethod
    def from_dict(cls, arguments: Mapping[str, Any]) -> "ContextConfig":
        """Returns the configuration with these arguments.

        Raises:
            InputError: if `pooling` is missing or an argument is unknown.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if "pooling" not in arguments or not set(arguments) <= set(names):
            raise InputError(
                f"context_stacks take pooling and optionally {', '.join(names[1:])}; "
                f"received {dict(arguments)}"
            )
        return cls(**arguments)


@dataclasses.dataclass(frozen=True)
class WaveNetConfig:
    """Configuration of a WaveNet: the arguments of `WaveNet`.

    Attributes:
        num_stacks: number of repetitions of the dilations.
        layers_per_stack: blocks per repetition; the dilation of the last one is
            `2 ** (layers_per_stack - 1)`.
        kernel_size: taps of each causal convolution.
        input_kernel_size: taps of the input convolution; None takes `kernel_size`.
        residual_channels: channels of the signal that runs through the blocks.
        gate_channels: channels of the filter and of the gate, each.
        skip_channels: channels of the sum of the skip connections.
        head_channels: channels between the last two 1x1 convolutions.
        dilations: dilation of each block, in samples, instead of those that `num_stacks` and
            `layers_per_stack` give.
        residual_scale: factor of each block's residual output, `residual_scale * (x + R z)`.
        output_distribution: distribution of the next sample: "categorical" over mu-law codes, or
            "logistic_mixture" or "gaussian_mixture" over 16-bit samples.
        quantization_channels: number of mu-law codes of the categorical distribution.
        code_table: quantizer of the audio instead of the mu-law: an `audio.CodeTable`, or its
            attributes `thresholds`, `values` and `silence` as a dict.
        num_mixtures: number of components of a mixture.
        mixture_means: what the network's means of a mixture are: "relative" to the sample before,
            in scales, or "absolute" values.
        log_scale_floor: smallest natural logarithm of a mixture's scales; None takes that of the
            distribution.
        round_samples: whether a mixture's samples are rounded to 16 bits.
        compand_input: whether a mixture's input convolution takes the waveform companded by the
            mu-law; otherwise it takes the waveform as it is.
        num_speakers: number of speakers, one of which conditions the model by a learned embedding
            (global conditioning, section 2.5).
        speaker_names: the name of each speaker id, if speakers have names.
        speaker_channels: channels of the speaker embedding; None takes `residual_channels`.
        global_channels: length of a vector that conditions the model, such as tags.
        tag_names: the tag of each channel of that vector, if it holds tags.
        local_channels: channels of the frames that condition the model, such as a mel spectrogram
            (local conditioning, section 2.5).
        upsample_factors: strides of the transposed convolutions from frames to samples; their
            product is the hop length, in samples.
        upsampling: "learned"; "repeat", which costs less and predicts slightly worse; or "stretch",
            repetition and a short filter, which all channels share, for each factor.
        upsampling_activation: of "learned": "leaky_relu" between its convolutions, or "relu" after
            each of them.
        upsampling_context: of "stretch": frames before and after its own that a frame is convolved
            with first.
        upsampling_bands: of "stretch": channels that each filter spans; odd.
        upsampled_channels: channels of the upsampled frames; None takes half of
            `residual_channels`.
        causal_upsampling: whether samples depend on no frame after their own.
        features: names of the audio features that the frames hold, see `audio.FEATURES`.
        phone_set: labels of the phones whose linguistic features the frames begin with, see
            `text.LinguisticFeatures`; the audio features follow.
        context_stacks: smaller networks with a longer receptive field, which condition the trunk
            (section 2.6): a `ContextConfig`, or its arguments as a dict, for each.
        pre_emphasis: coefficient of the filter that audio passes before the model: its waveform is
            `gain * (x[t] - pre_emphasis * x[t - 1])`. Generated audio passes the inverse.
        gain: factor of that filter.
        sample_rate: sample rate of the audio, in Hz.

    Raises:
        InputError: for a value that is out of its range.

    Example:
    >>> WaveNetConfig(num_stacks=3, layers_per_stack=10).trunk_receptive_field  # samples
    3071
    """

    num_stacks: int = 3
    layers_per_stack: int = 10
    kernel_size: int = 2
    input_kernel_size: int | None = None
    residual_channels: int = 64
    gate_channels: int = 64
    skip_channels: int = 256
    head_channels: int = 256
    dilations: Sequence[int] | None = None
    residual_scale: float = 1.0
    output_distribution: str = "categorical"
    quantization_channels: int = 256
    code_table: Any = None
    num_mixtures: int = 10
    mixture_means: str = "relative"
    log_scale_floor: float | None = None
    round_samples: bool = True
    compand_input: bool = True
    num_speakers: int | None = None
    speaker_names: Sequence[str] | None = None
    speaker_channels: int | None = None
    global_channels: int | None = None
    tag_names: Sequence[str] | None = None
    local_channels: int | None = None
    upsample_factors: Sequence[int] | None = None
    upsampling: str = "learned"
    upsampling_activation: str = "leaky_relu"
    upsampling_context: int = 1
    upsampling_bands: int = 1
    upsampled_channels: int | None = None
    causal_upsampling: bool = False
    features: Sequence[str] | None = None
    phone_set: Sequence[str] | None = None
    context_stacks: Sequence[Any] = ()
    pre_emphasis: float = 0.0
    gain: float = 1.0
    sample_rate: int = 16000

    def __post_init__(self):
        for name in INTEGER_ARGUMENTS:
            _set(self, name, positive_integer(name, getattr(self, name)))
        for name in OPTIONAL_INTEGER_ARGUMENTS:
            _set(self, name, optional_positive_integer(name, getattr(self, name)))
        _set(self, "gain", positive_number("gain", self.gain))
        _set(self, "pre_emphasis", optional_number("pre_emphasis", self.pre_emphasis))
        if self.pre_emphasis is None or not 0.0 <= self.pre_emphasis < 1.0:
            raise InputError(
                f"pre_emphasis must be at least 0 and below 1; received {self.pre_emphasis}"
            )
        _set(self, "residual_scale", positive_number("residual_scale", self.residual_scale))
        for name, known in (
            ("output_distribution", DISTRIBUTIONS),
            ("upsampling", UPSAMPLINGS),
            ("upsampling_activation", UPSAMPLING_ACTIVATIONS),
            ("mixture_means", MIXTURE_MEANS),
        ):
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name} must be one of {', '.join(known)}; received {getattr(self, name)!r}"
                )
        if self.upsampling_bands % 2 == 0:
            raise InputError(f"upsampling_bands must be odd; received {self.upsampling_bands}")
        for name in ("round_samples", "compand_input"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} must be True or False; received {getattr(self, name)!r}")
        _set(self, "log_scale_floor", optional_number("log_scale_floor", self.log_scale_floor))
        if self.code_table is not None and self.output_distribution != "categorical":
            raise InputError(
                "code_table is for the categorical distribution; received output_distribution "
                f"{self.output_distribution!r}"
            )
        _set(self, "code_table", checked_code_table(self.code_table, self.quantization_channels))
        self._check_dilations()
        self._check_names("speaker_names", "num_speakers")
        self._check_names("tag_names", "global_channels")
        self._check_local_conditioning()
        stacks = (
            stack if isinstance(stack, ContextConfig) else ContextConfig.from_dict(stack)
            for stack in self.context_stacks or ()
        )
        _set(self, "context_stacks", tuple(stacks))

    def _check_dilations(self) -> None:
        if self.dilations is None:
            dilations_of_layers(self.num_stacks, self.layers_per_stack)
            return
        dilations = tuple(positive_integer("dilations", dilation) for dilation in self.dilations)
        if not dilations or max(dilations) > LARGEST_DILATION:
            raise InputError(
                f"dilations must be whole numbers from 1 to {LARGEST_DILATION}, one per block; "
                f"received {list(dilations)}"
            )
        _set(self, "dilations", dilations)

    def _check_names(self, name: str, size: str) -> None:
        """Checks that there is one name for each of a number of speakers or channels."""
        names = getattr(self, name)
        if names is None:
            return
        _set(self, name, tuple(names))
        if len(set(names)) != getattr(self, size) or len(names) != getattr(self, size):
            raise InputError(
                f"{name} must have a different name for each of {size} {getattr(self, size)}; "
                f"received {list(names)}"
            )

    def _check_local_conditioning(self) -> None:
        if (self.local_channels is None) != (self.upsample_factors is None):
            raise InputError(
                "local_channels and upsample_factors must be given together; received "
                f"{self.local_channels} and {self.upsample_factors}"
            )
        if self.upsample_factors is not None:
            factors = (
                positive_integer("upsample_factors", factor) for factor in self.upsample_factors
            )
            _set(self, "upsample_factors", tuple(factors))
        for name in ("features", "phone_set"):
            _set(self, name, _optional_tuple(getattr(self, name)))
        if self.features is None and self.phone_set is None:
            return
        channels = frame_channels(self.features, self.phone_set)
        if channels != self.local_channels:
            held = ", ".join(self.features or ())
            phones = f"{len(self.phone_set)} phones" if self.phone_set else ""
            raise InputError(
                f"local_channels must be {channels} for "
                f"{' and '.join(filter(None, (phones, held and f'the features {held}')))}; "
                f"received {self.local_channels}"
            )

    @classmethod
    def from_preset(cls, name: str, **overrides) -> "WaveNetConfig":
        """Returns a named configuration.

        Args:
            name: "tiny" (a laptop demo), "small", "music", "medium" or "paper".
            **overrides: arguments that replace those of the preset.

        Raises:
            InputError: for an unknown preset or an unknown argument.
        """
        if name not in PRESETS:
            raise InputError(f"unknown preset {name!r}: expected one of {', '.join(PRESETS)}")
        return cls.from_dict({**PRESETS[name], **overrides})

    @classmethod
    def from_dict(cls, arguments: Mapping[str, Any]) -> "WaveNetConfig":
        """Returns the configuration with these arguments.

        Raises:
            InputError: for an unknown argument.
        """
        names = sorted(field.name for field in dataclasses.fields(cls))
        for name in arguments:
            if name not in names:
                raise InputError(
                    f"WaveNet has no argument {name!r}: expected one of {', '.join(names)}"
                )
        return cls(**arguments)

    def to_dict(self) -> dict[str, Any]:
        """Returns the arguments as values that JSON holds."""
        return {name: _plain(value) for name, value in dataclasses.asdict(self).items()}

    @property
    def block_dilations(self) -> tuple[int, ...]:
        """Dilation of each block, in samples."""
        if self.dilations is not None:
            return tuple(self.dilations)
        return dilations_of_layers(self.num_stacks, self.layers_per_stack)

    @property
    def input_taps(self) -> int:
        """Taps of the input convolution."""
        return self.input_kernel_size or self.kernel_size

    @property
    def hop_length(self) -> int | None:
        """Samples per frame of local conditioning; None for a model without."""
        return None if self.upsample_factors is None else math.prod(self.upsample_factors)

    @property
    def frame_unit(self) -> int:
        """Samples after which frames of conditioning and of context stacks begin together."""
        return math.lcm(self.hop_length or 1, *(stack.pooling for stack in self.context_stacks))

    @property
    def trunk_receptive_field(self) -> int:
        """Samples that an output depends on without context stacks, the current one included."""
        blocks = (self.kernel_size - 1) * sum(self.block_dilations)
        return self.input_taps + blocks

    @property
    def _frames_around(self) -> tuple[int, int]:
        """Frames before and after its own that a sample depends on."""
        if self.upsample_factors is None or self.upsampling == "repeat":
            return 0, 0
        if self.upsampling == "learned":
            return 1, int(not self.causal_upsampling)
        frames = self.upsampling_context + stretch_reach(self.upsample_factors)
        return frames, frames

    @property
    def conditioning(self) -> ConditioningSpec:
        """The inputs that condition the model."""
        frames_before, frames_after = self._frames_around
        return ConditioningSpec(
            num_speakers=self.num_speakers,
            speaker_names=_optional_tuple(self.speaker_names),
            global_channels=self.global_channels,
            tag_names=_optional_tuple(self.tag_names),
            local_channels=self.local_channels,
            hop_length=self.hop_length,
            frames_before=frames_before,
            frames_after=frames_after,
            features=_optional_tuple(self.features),
            phone_set=_optional_tuple(self.phone_set),
        )


def stretch_reach(upsample_factors: Sequence[int]) -> int:
    """Returns the frames on each side that the filters of the "stretch" upsampler reach.

    Args:
        upsample_factors: the factors; the filter of a factor reaches one of its inputs.

    Example:
    >>> stretch_reach([4, 4, 4, 4])  # 1 + 1/4 + 1/16 + 1/64 frames
    2
    """
    rates = itertools.accumulate([1, *upsample_factors[:-1]], operator.mul)
    return math.ceil(sum(fractions.Fraction(1, rate) for rate in rates))


def frame_channels(features: Sequence[str] | None, phone_set: Sequence[str] | None) -> int:
    """Returns the channels of a frame of linguistic features and of audio features.

    Args:
        features: names of audio features; None for none.
        phone_set: labels of the phones of the linguistic features; None for none.

    Example:
    >>> frame_channels(["f0"], None), frame_channels(["f0"], ["AY", "HH", "sil"])
    (2, 51)
    """
    channels = feature_channels(features) if features else 0
    if phone_set:
        channels += len(LinguisticFeatures(phone_set).frame_names)
    return channels


# Arguments of `WaveNetConfig` that are whole numbers with a default.
INTEGER_ARGUMENTS = tuple(
    field.name for field in dataclasses.fields(WaveNetConfig) if type(field.default) is int
)
OPTIONAL_INTEGER_ARGUMENTS = (
    "input_kernel_size",
    "num_speakers",
    "speaker_channels",
    "global_channels",
    "local_channels",
    "upsampled_channels",
)


def _set(config, name: str, value) -> None:
    """Sets an attribute of a frozen dataclass during its initialization."""
    object.__setattr__(config, name, value)


def _optional_tuple(values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _plain(value):
    """Returns tuples as lists, and an empty tuple as None."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if not isinstance(value, tuple):
        return value
    return [_plain(part) for part in value] or None


# Default weight of a classifier's loss of the next sample; that of the classes has the weight 1.
NEXT_SAMPLE_LOSS_WEIGHT = 0.3

# "tiny" trains on a laptop within minutes; speed is quoted for "medium"; "music" is "small" with a
# context stack whose receptive field is 4 seconds; "paper" has 30 layers of 512 residual and 256
# skip channels, the size of the published text-to-speech systems.
PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "num_stacks": 2,
        "layers_per_stack": 8,
        "residual_channels": 32,
        "gate_channels": 32,
        "skip_channels": 64,
        "head_channels": 64,
        "sample_rate": 8000,
    },
    "small": {
        "num_stacks": 2,
        "layers_per_stack": 10,
        "residual_channels": 32,
        "gate_channels": 32,
        "skip_channels": 128,
        "head_channels": 128,
        "sample_rate": 16000,
    },
    "medium": {
        "num_stacks": 3,
        "layers_per_stack": 10,
        "residual_channels": 64,
        "gate_channels": 64,
        "skip_channels": 256,
        "head_channels": 256,
        "sample_rate": 16000,
    },
    "paper": {
        "num_stacks": 3,
        "layers_per_stack": 10,
        "residual_channels": 512,
        "gate_channels": 512,
        "skip_channels": 256,
        "head_channels": 256,
        "sample_rate": 16000,
    },
}
PRESETS["music"] = {
    **PRESETS["small"],
    "context_stacks": [{"pooling": 128, "layers_per_stack": 9, "channels": 32}],
}
