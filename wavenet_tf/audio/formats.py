"""Reading, resampling and writing recordings."""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from wavenet_tf import files
from wavenet_tf.audio import containers
from wavenet_tf.audio.levels import PROBLEMS, find_problems
from wavenet_tf.errors import InputError, positive_integer

WRITTEN_SUFFIXES = (".wav", ".aif", ".aiff", ".flac", ".ogg", ".mp3")
# Of files that hold audio in a format that libsndfile does not decode.
UNREADABLE_SUFFIXES = (
    *(".m4a", ".m4b", ".aac", ".wma", ".amr", ".ape", ".wv", ".mpc", ".tta", ".dsf", ".dff"),
    *(".mka", ".weba", ".ra", ".ac3", ".spx", ".pcm", ".raw"),
)
# Of files that are taken as recordings. Those that cannot be read are skipped and named.
AUDIO_SUFFIXES = (
    *WRITTEN_SUFFIXES,
    *(".wave", ".bwf", ".rf64", ".w64", ".aifc", ".au", ".snd", ".caf", ".oga", ".opus"),
    *(".mp1", ".mp2", ".mpga", ".sph", ".nist", ".voc", ".sf", ".ircam", ".avr", ".paf", ".pvf"),
    *(".svx", ".8svx", ".16sv", ".sds", ".wve"),
    *UNREADABLE_SUFFIXES,
)
# 16 bits a sample: values are whole multiples of 2**-15, from -1 to just below 1.
STEPS_OF_16_BITS = 2**15
LOSSY_SUFFIXES = (".ogg", ".mp3")
LOSSY_FORMATS = ("OGG", "MP3")
# Their decoders go a little beyond 1 where the recording that was encoded was loud.
LOSSY_FULL_SCALE = 1.5
# In Hz. No audio is recorded at rates outside, which come from wrong headers.
LOWEST_SAMPLE_RATE, HIGHEST_SAMPLE_RATE = 1000, 1_000_000
# Larger values are not audio in [-1, 1], but integers as floats, for example.
LARGEST_VALUE = 10.0
# Codings of such numbers; of a file that is not read as a whole, these blocks are checked.
NUMBER_SUBTYPES = ("FLOAT", "DOUBLE")
BLOCKS_CHECKED, BLOCK_CHECKED_SAMPLES = 16, 1024
# A header that gives more samples for each byte of the file is checked by decoding all of it.
MOST_SAMPLES_PER_BYTE = 64
CHUNK_SAMPLES = 2**16
# libsndfile's number of the error of a seek beyond the end.
SEEK_FAILED = 39


def _use_soundfile_once() -> None:
    """Opens, reads and fails to open, before several threads do.

    cffi makes what stands for C's types when each is first used, and two threads that do so at once
    can end the process (python-cffi/cffi#271).
    """
    file = io.BytesIO()
    soundfile.write(file, np.zeros(1, np.int16), 8000, format="WAV", subtype="PCM_16")
    file.seek(0)
    with soundfile.SoundFile(file) as sound:
        sound.read(1, "float32")
        sound.seek(0)
        sound.read(1, "int16")
    with contextlib.suppress(soundfile.LibsndfileError):
        soundfile.SoundFile(os.devnull)


_use_soundfile_once()


def read_audio(
    path: str | os.PathLike,
    sample_rate: int | None = None,
    start: float = 0.0,
    end: float | None = None,
) -> tuple[np.ndarray, int]:
    """Reads a recording, or a segment of it, as one channel.

    A file whose header gives no length is read to its end. Of recordings that were joined end to
    end in one file (FLAC, OGG, MP3, AU), all are read.

    Args:
        path: a WAV, AIFF, FLAC, OGG, MP3, AU, CAF, W64 or NIST SPHERE file, or another that
            libsndfile reads, of any width and channel count.
        sample_rate: requested rate, in Hz; the recording is resampled to it (band-limited).
            None keeps the file's rate.
        start: where to begin, in seconds.
        end: where to end, in seconds; None for the end of the file.

    Returns:
        The audio, float32 `[samples]`, channels averaged, and its sample rate in Hz. A warning
        names the file where it is silent, beyond full scale, or of channels that cancel out.

    Raises:
        InputError: if the file is missing, not audio, of a sample rate that no audio has, holds no
            sample, or samples that are not finite numbers or far outside [-1, 1]; if the segment
            is empty or not in it; or if `sample_rate` is out of its range.
    """
    audio, sample_rate, problems = read_and_check(path, sample_rate, start, end)
    warn_of_problems(problems, path)
    return audio, sample_rate


def read_and_check(
    path: str | os.PathLike,
    sample_rate: int | None = None,
    start: float = 0.0,
    end: float | None = None,
    search: bool = True,
) -> tuple[np.ndarray, int, tuple[str, ...]]:
    """Reads a recording as `read_audio` does, and returns its problems rather than warn of them.

    Args:
        path: as for `read_audio`.
        sample_rate: as for `read_audio`.
        start: as for `read_audio`.
        end: as for `read_audio`.
        search: whether to search all of the file for further recordings, see
            `containers.find_parts`.

    Returns:
        The audio, its sample rate, and kinds of `PROBLEMS`.
    """
    if sample_rate is not None:
        sample_rate = check_sample_rate("sample_rate", sample_rate)
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no audio file at {path}")
    with open_audio(path, path, search) as sound:
        channels = read_channels(sound, path, start, end)
        file_rate, problems = sound.samplerate, find_problems(channels, sound.full_scale)
    sample_rate = file_rate if sample_rate is None else sample_rate
    return to_one_channel(channels, file_rate, sample_rate), sample_rate, problems


def warn_of_problems(problems: Sequence[str], name) -> None:
    """Warns of the problems of a recording.

    Args:
        problems: kinds of `PROBLEMS`.
        name: of the recording.
    """
    for problem in problems:
        warnings.warn(f"{name} {PROBLEMS[problem]}", stacklevel=3)


def check_sample_rate(name: str, value) -> int:
    """Returns a sample rate as an int.

    Raises:
        InputError: for what is not a whole number of Hz that audio is recorded at.
    """
    try:
        rate = positive_integer(name, value)
    except InputError:
        rate = 0
    if not LOWEST_SAMPLE_RATE <= rate <= HIGHEST_SAMPLE_RATE:
        raise InputError(
            f"{name} must be a whole number of Hz from {LOWEST_SAMPLE_RATE} to "
            f"{HIGHEST_SAMPLE_RATE}; received {value!r}"
        )
    return rate


class OpenAudio:
    """An open audio file: one recording, or several that were joined end to end.

    Args:
        files: binary files, one for each recording.

    Attributes:
        format: name of the container, as soundfile names it.
        subtype: name of the coding.
        subtype_info: the coding in words.
        samplerate: in Hz.
        channels: their number.
        frames: samples of each channel.
        is_joined: whether there are several recordings.
        has_length: whether the header gave a length that is possible.
        full_scale: the largest magnitude that the samples of a sound recording have.
    """

    def __init__(self, files: Sequence[BinaryIO]):
        self._sounds: list[soundfile.SoundFile] = []
        self._lengths: list[int] = []
        self.has_length = True
        try:
            for file in files:
                size = file.seek(0, os.SEEK_END)
                sound = _open_sound(file)
                if sound.frames > MOST_SAMPLES_PER_BYTE * size:
                    self.has_length = False
                    self._lengths.append(_true_length(sound, file))
                    # After an attempt to read beyond the end it would read nothing more.
                    sound.close()
                    sound = _open_sound(file)
                else:
                    self._lengths.append(sound.frames)
                self._sounds.append(sound)
        except BaseException:
            self.close()
            raise
        first = self._sounds[0]
        self.format, self.subtype = first.format, first.subtype
        self.subtype_info = first.subtype_info
        self.samplerate, self.channels = first.samplerate, first.channels
        self.frames = sum(self._lengths)
        self.is_joined = len(self._sounds) > 1
        self.full_scale = LOSSY_FULL_SCALE if self.format in LOSSY_FORMATS else 1.0

    def check(self, name) -> None:
        """Raises InputError, with the file's name, for rates that no audio has or that differ."""
        if not LOWEST_SAMPLE_RATE <= self.samplerate <= HIGHEST_SAMPLE_RATE:
            raise InputError(
                f"{name} has a sample rate of {self.samplerate} Hz in its header; audio has "
                f"{LOWEST_SAMPLE_RATE} to {HIGHEST_SAMPLE_RATE} Hz"
            )
        kinds = {(sound.samplerate, sound.channels) for sound in self._sounds}
        if len(kinds) > 1:
            found = "; ".join(f"{rate} Hz, {channels} channels" for rate, channels in sorted(kinds))
            raise InputError(f"{name} holds recordings of different kinds, joined: {found}")

    def read(self, first: int, last: int) -> np.ndarray:
        """The samples from `first` to before `last`, float32 `[samples, channels]`."""
        parts, begin = [], 0
        for sound, length in zip(self._sounds, self._lengths, strict=True):
            start, stop = max(first - begin, 0), min(last - begin, length)
            if start < stop:
                parts.append(_read_part(sound, start, stop))
            begin += length
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def close(self) -> None:
        """Closes what libsndfile holds of the file."""
        for sound in self._sounds:
            sound.close()


def _read_part(sound: soundfile.SoundFile, first: int, last: int) -> np.ndarray:
    # After a jump, a lossy format's decoder may give other samples. Some cannot jump at all.
    begin = 0 if sound.format in LOSSY_FORMATS or not sound.seekable() else first
    if sound.seekable():
        sound.seek(begin)
    return _read_samples(sound, last - begin)[first - begin :]


def _read_samples(sound: soundfile.SoundFile, count: int) -> np.ndarray:
    """The next samples, float32 `[samples, channels]`: `count` of them, or those up to the end."""
    if sound.format != "FLAC":
        return sound.read(count, "float32", always_2d=True)
    # soundfile seeks after it reads, which fails at the end of a FLAC file without a length: what
    # was read until then is no longer NaN.
    samples = np.full([count, sound.channels], np.nan, np.float32)
    try:
        return sound.read(out=samples)
    except soundfile.LibsndfileError as error:
        if error.code != SEEK_FAILED:
            raise
        return samples[: np.count_nonzero(~np.isnan(samples[:, 0]))]


# The lengths of files whose headers give none, by device, number, size and time of change.
_true_lengths: dict[tuple[int, ...], int] = {}


def _true_length(sound: soundfile.SoundFile, file: BinaryIO) -> int:
    """The samples of a file whose header gives an impossible length: all of it is decoded, once."""
    key = None
    if isinstance(file, io.FileIO):
        state = os.fstat(file.fileno())
        key = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
        if key in _true_lengths:
            return _true_lengths[key]
    total = count = 0
    while not total % CHUNK_SAMPLES and (count := len(_read_samples(sound, CHUNK_SAMPLES))):
        total += count
    if key is not None:
        _true_lengths[key] = total
    return total


def _open_sound(file: BinaryIO) -> soundfile.SoundFile:
    file.seek(0)
    # libsndfile itself reads a file of the system, without Python's lock.
    by_descriptor = isinstance(file, io.FileIO) and os.name == "posix"
    return soundfile.SoundFile(file.fileno() if by_descriptor else file, closefd=False)


@contextlib.contextmanager
def open_audio(
    file: str | os.PathLike | BinaryIO, name, search: bool = True
) -> Iterator[OpenAudio]:
    """Opens an audio file.

    Args:
        file: a path, or a binary file.
        name: of it, for errors.
        search: whether to search all of the file for further recordings in it, see
            `containers.find_parts`.

    Raises:
        InputError: for what cannot be read as audio; also for errors of reading in the block.
    """
    try:
        with contextlib.ExitStack() as stack:
            # Given a path, libsndfile would also open its neighbours, such as macOS' `._` files.
            if isinstance(file, str | os.PathLike):
                file = stack.enter_context(open(file, "rb", buffering=0))
            sound = OpenAudio(containers.find_parts(file, search))
            stack.callback(sound.close)
            sound.check(name)
            yield sound
    except InputError:
        raise
    # soundfile's own are RuntimeErrors. A damaged header may claim more samples than fit in memory.
    except (RuntimeError, MemoryError, ValueError, OSError) as error:
        reason = getattr(error, "error_string", error)
        suffix = Path(str(name)).suffix.lower()
        if suffix in UNREADABLE_SUFFIXES:
            reason = f"{suffix} files cannot be decoded: convert them to WAV or FLAC"
        raise InputError(f"cannot read {name} as audio: {reason}") from error


def read_channels(
    sound: OpenAudio, name, start: float = 0.0, end: float | None = None
) -> np.ndarray:
    """The samples of a file just opened, float32 `[samples, channels]`; see `read_audio`."""
    if not sound.frames:
        raise InputError(f"{name} holds no samples")
    first = np.rint(start * sound.samplerate)
    last = sound.frames if end is None else np.rint(end * sound.samplerate)
    if not 0 <= first < last <= sound.frames:
        raise InputError(
            f"start and end must be a segment of {name}, which lasts "
            f"{sound.frames / sound.samplerate:g} s; received {start!r} and {end!r}"
        )
    channels = sound.read(int(first), int(last))
    if not channels.size:
        raise InputError(f"{name} holds no samples")
    _check_values(channels, name)
    return channels


def check_some_values(sound: OpenAudio, name) -> None:
    """Checks samples spread over a file whose samples may be any numbers, as `read_channels` does.

    Args:
        sound: the open file.
        name: of it, for errors.

    Raises:
        InputError: for samples that are not finite numbers, or far outside [-1, 1].
    """
    if sound.subtype in NUMBER_SUBTYPES:
        for first in range(0, sound.frames, max(1, sound.frames // BLOCKS_CHECKED)):
            _check_values(sound.read(first, first + BLOCK_CHECKED_SAMPLES), name)


def _check_values(channels: np.ndarray, name) -> None:
    if not np.isfinite(channels).all():
        raise InputError(f"{name} holds samples that are not finite numbers (NaN or infinity)")
    peak = float(np.abs(channels).max())
    if peak > LARGEST_VALUE:
        raise InputError(
            f"{name} holds values up to {peak:g}: audio as floating-point numbers must be in "
            "[-1, 1]; divide values of 16-bit range by 32768"
        )


def to_one_channel(channels: np.ndarray, file_rate: int, sample_rate: int) -> np.ndarray:
    """Averages `[samples, channels]` and resamples (band-limited) from one rate to the other.

    Raises:
        InputError: if no sample is left.
    """
    audio = channels.mean(axis=1)
    if sample_rate != file_rate:
        import soxr  # which clients of exported models do without

        audio = soxr.resample(audio, file_rate, sample_rate)
    if not audio.size:
        raise InputError(
            f"too short: {len(channels)} samples at {file_rate} Hz are none at {sample_rate} Hz"
        )
    return audio


def write_audio(path: str | os.PathLike, audio, sample_rate: int) -> None:
    """Writes one channel of audio, 16 bits a sample, in the format of the path's suffix.

    Whole multiples of 1 / 32768 in [-1, 1) are read back exactly, but from `.ogg` and `.mp3`,
    which are lossy.

    Args:
        path: the file to write, whole or not at all; `.wav`, `.flac`, `.ogg`, `.aiff` or `.mp3`.
        audio: float in [-1, 1], where values a little beyond are clipped, or int16; `[samples]`,
            `[1, samples]` or `[samples, 1]`.
        sample_rate: in Hz.

    Raises:
        InputError: if the suffix names no known format, the audio is not as above or empty, or
            the format does not have the sample rate.
    """
    check_output(path)
    sample_rate = check_sample_rate("sample_rate", sample_rate)
    audio = _one_channel_to_write(audio)
    suffix = Path(path).suffix.lower()
    subtype = None
    if suffix not in LOSSY_SUFFIXES:
        # soundfile would scale floats by 32767, and divides by 32768 when it reads.
        audio = to_16_bits(audio)
        subtype = "PCM_16"
    file_format = "AIFF" if suffix == ".aif" else None  # a suffix that soundfile does not have
    with files.atomic_path(path) as temporary:
        try:
            soundfile.write(
                os.fsencode(temporary), audio, sample_rate, subtype=subtype, format=file_format
            )
        except soundfile.LibsndfileError as error:
            raise InputError(
                f"cannot write {path} with a sample_rate of {sample_rate}: {error.error_string}"
            ) from error


def _one_channel_to_write(audio) -> np.ndarray:
    """Checks audio to write, and returns it as float32 `[samples]` in [-1, 1]."""
    audio = np.asarray(audio)
    shape = list(audio.shape)
    if audio.dtype == np.int16:
        audio = audio / np.float32(STEPS_OF_16_BITS)
    if audio.dtype.kind != "f":
        raise InputError(
            "audio must be float in [-1, 1] or int16; received "
            f"{audio.dtype} (mu_law_decode turns codes into audio)"
        )
    if audio.ndim == 2 and 1 in audio.shape:
        audio = audio.reshape(-1)
    if audio.ndim != 1 or not audio.size:
        raise InputError(
            f"audio must have shape [samples], with at least one sample; received shape {shape}"
        )
    if not np.isfinite(audio).all():
        raise InputError("audio must be finite numbers; received NaN or infinity")
    peak = float(np.abs(audio).max())
    if peak > LARGEST_VALUE:
        raise InputError(f"audio must be in [-1, 1]; received values up to {peak:g}")
    return np.clip(audio.astype(np.float32), -1.0, 1.0)


def to_16_bits(audio) -> np.ndarray:
    """Float audio in [-1, 1] as int16, in steps of 2**-15; values beyond are clipped."""
    steps = np.round(np.asarray(audio, np.float32) * STEPS_OF_16_BITS)
    return np.clip(steps, -STEPS_OF_16_BITS, STEPS_OF_16_BITS - 1).astype(np.int16)


def check_output(path: str | os.PathLike) -> None:
    """Raises InputError if `write_audio` has no format for the path's suffix."""
    if Path(path).suffix.lower() not in WRITTEN_SUFFIXES:
        raise InputError(
            f"cannot write audio to {path}: its suffix must be one of {', '.join(WRITTEN_SUFFIXES)}"
        )


def to_waveform(samples: np.ndarray) -> np.ndarray:
    """Returns int16 samples as float32 audio in [-1, 1), and float samples as they are.

    Args:
        samples: int16 or float32, of any shape.

    Example:
    >>> to_waveform(np.int16([-32768, 16384])).tolist()
    [-1.0, 0.5]
    """
    if samples.dtype == np.int16:
        return samples / np.float32(STEPS_OF_16_BITS)
    return samples
