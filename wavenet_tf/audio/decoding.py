"""Decoding of recordings inside a TensorFlow graph, for `tf.data`."""

import functools
import io
import warnings
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from wavenet_tf.audio import formats
from wavenet_tf.errors import InputError

TENSORFLOW_IO = "tensorflow-io"
SOUNDFILE = "soundfile"
# What tensorflow-io decodes here, as soundfile names container and coding. WAV is not among it:
# its decoder ends the process where the header's block size is wrong, and finds no samples after
# a chunk of odd length.
TENSORFLOW_IO_CODINGS = (
    ("FLAC", "PCM_16"),
    ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"),
    ("MP3", "MPEG_LAYER_III"),
)


def decode_audio(contents, sample_rate: int, decoder: str = SOUNDFILE) -> tf.Tensor:
    """Decodes a recording as one channel; works in graphs.

    The samples are those of `read_audio`, whichever decoder makes them.

    Args:
        contents: scalar string, the bytes of a WAV, AIFF, FLAC, OGG, MP3 or NIST SPHERE file.
        sample_rate: requested rate, in Hz; the recording is resampled to it (band-limited).
        decoder: "soundfile"; or "tensorflow-io", where its native library loads, for FLAC of 16 or
            24 bits, OGG Vorbis and MP3: soundfile, which is 4 to 8 times as fast, has to check
            them first, as tensorflow-io never returns from some that are damaged.

    Returns:
        float32 `[samples]`, channels averaged.

    Raises:
        InputError: if an argument is out of its range, or the decoder cannot be had; outside of
            graphs also for contents that cannot be used.
        tf.errors.InvalidArgumentError: when a graph runs, for contents that are not audio, damaged,
            hold no samples or samples that are not finite numbers, or are not of a format that
            the decoder asked for decodes.

    Example:
    >>> import soundfile
    >>> file = io.BytesIO()
    >>> soundfile.write(file, np.zeros([441, 2]), 44100, format="FLAC")
    >>> decode_audio(file.getvalue(), sample_rate=16000).shape.as_list()
    [160]

    In a dataset: `paths.map(lambda path: decode_audio(tf.io.read_file(path), sample_rate=16000))`.
    """
    sample_rate = formats.check_sample_rate("sample_rate", sample_rate)
    if decoder not in (SOUNDFILE, TENSORFLOW_IO):
        raise InputError(
            f"decoder must be {SOUNDFILE!r} or {TENSORFLOW_IO!r}; received {decoder!r}"
        )
    if decoder == TENSORFLOW_IO and decoder not in decoders():
        raise InputError(
            f"decoder {TENSORFLOW_IO!r} needs the package tensorflow-io, and a TensorFlow that its "
            f"native library loads with: 0.37.1 takes 2.16; here is {tf.__version__}"
        )
    contents = tf.convert_to_tensor(contents, tf.string)
    if contents.shape.rank:
        raise InputError(f"contents must be a scalar string; received shape {contents.shape}")
    decode = _decode_by_tensorflow_io if decoder == TENSORFLOW_IO else _decode_by_soundfile
    channels, file_rate = decode(contents)

    def finish(channels, file_rate):
        return formats.to_one_channel(channels, int(file_rate), sample_rate)

    audio = tf.numpy_function(finish, [channels, file_rate], tf.float32)
    audio.set_shape([None])
    return audio


@functools.cache
def decoders() -> tuple[str, ...]:
    """The decoders that `decode_audio` can use here.

    Returns:
        "soundfile", and "tensorflow-io" where it is installed and its native library loads with
        this TensorFlow.

    Example:
    >>> "soundfile" in decoders()
    True
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from tensorflow_io.python.ops import core_ops

            core_ops.io_audio_decode_flac  # noqa: B018 (loads the library)
    except (ImportError, NotImplementedError):  # the latter where it lacks symbols
        return (SOUNDFILE,)
    return SOUNDFILE, TENSORFLOW_IO


def _decode_by_soundfile(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Samples, float32 `[samples, channels]`, and their rate."""

    def read(contents):
        with _open(contents) as sound:
            channels = formats.read_channels(sound, "contents")
            problems = formats.find_problems(channels, sound.full_scale)
            formats.warn_of_problems(problems, "contents")
            return channels, np.int32(sound.samplerate)

    return tf.numpy_function(read, [contents], [tf.float32, tf.int32])


def _decode_by_tensorflow_io(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Samples, float32 `[samples, channels]`, and their rate."""

    def check(contents):
        with _open(contents) as sound:
            coding = (sound.format, sound.subtype)
            rate = np.int32(sound.samplerate)
            if sound.is_joined or not sound.has_length:
                raise InputError(
                    f"contents must be one recording with its length in the header for "
                    f"{TENSORFLOW_IO!r}; decoder {SOUNDFILE!r} reads others"
                )
            if coding in TENSORFLOW_IO_CODINGS:
                # Decodes all of it: tensorflow-io never returns from some damaged FLACs and MP3s.
                shape = formats.read_channels(sound, "contents").shape
                return np.int32(TENSORFLOW_IO_CODINGS.index(coding)), np.int64(shape), rate
        raise InputError(
            f"contents must be FLAC of 16 or 24 bits, OGG Vorbis or MP3 for {TENSORFLOW_IO!r}; "
            f"received {' '.join(coding)}"
        )

    coding, shape, file_rate = tf.numpy_function(check, [contents], [tf.int32, tf.int64, tf.int32])
    coding.set_shape([])
    branches = [functools.partial(decode, contents, shape) for decode in _tensorflow_io_decoders()]
    return tf.switch_case(coding, branches), file_rate


def _tensorflow_io_decoders() -> list[Callable[[tf.Tensor, tf.Tensor], tf.Tensor]]:
    """In the order of `TENSORFLOW_IO_CODINGS`: of contents and their shape, to float32."""
    from tensorflow_io import audio

    def flac(dtype):
        def decode(contents, shape):
            steps = audio.decode_flac(contents, shape, dtype)
            return tf.cast(steps, tf.float32) / -float(dtype.min)

        return decode

    return [flac(tf.int16), flac(tf.int32), audio.decode_vorbis, audio.decode_mp3]


def _open(contents):
    """The bytes, which come as an array from eager code, as a file."""
    return formats.open_audio(io.BytesIO(np.asarray(contents, object).item()), "contents")
