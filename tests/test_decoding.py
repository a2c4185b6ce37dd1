"""Decoding in graphs, and reading stretches of files."""

import io
import threading

import numpy as np
import pytest
import scipy.signal
import soundfile
import tensorflow as tf
from conftest import tone

import wavenet_tf as wt
from wavenet_tf import audio as wt_audio
from wavenet_tf.audio import decode_audio, decoders
from wavenet_tf.errors import InputError

LOADS = "tensorflow-io" in decoders()
WITH_TENSORFLOW_IO = pytest.param(
    "tensorflow-io",
    marks=pytest.mark.skipif(not LOADS, reason="tensorflow-io does not load"),
)
DECODERS = ["soundfile", WITH_TENSORFLOW_IO]
COMPRESSED = [("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")]
OTHERS = [
    *(("WAV", width) for width in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "ULAW")),
    ("WAVEX", "PCM_16"),
    ("FLAC", "PCM_S8"),
    ("AIFF", "PCM_16"),
    ("NIST", "PCM_16"),
    ("NIST", "ULAW"),
]


def recording(audio, file_format, subtype, sample_rate=16000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, audio, sample_rate, format=file_format, subtype=subtype)
    return file.getvalue()


def noisy_channels(channels, samples=6001):
    noise = np.random.default_rng(channels).uniform(-0.9, 0.9, [samples, channels])
    return noise * np.linspace(0.3, 1.0, channels)


def decode_in_dataset(files, decoder, sample_rate=16000):
    dataset = tf.data.Dataset.from_tensor_slices(files)
    dataset = dataset.map(lambda contents: decode_audio(contents, sample_rate, decoder))
    assert dataset.element_spec == tf.TensorSpec([None], tf.float32)
    return list(dataset.as_numpy_iterator())


def returns(function, seconds=30.0):
    """What a function returns or raises; it fails, and the tests go on, where it never does."""
    results = []

    def run():
        try:
            results.append(function())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert results, f"no result after {seconds} s"
    return results[0]


@pytest.mark.parametrize("decoder", DECODERS)
def test_decodes_what_read_audio_reads(tmp_path, decoder):
    files = {
        (coding, channels, rate): recording(noisy_channels(channels), *coding, rate)
        for coding in COMPRESSED + ([] if decoder == "tensorflow-io" else OTHERS)
        for channels in ((1, 2) if coding[0] == "MP3" else (1, 2, 6))
        for rate in (16000, 22050)
    }
    decoded = decode_in_dataset(list(files.values()), decoder)
    for (name, contents), audio in zip(files.items(), decoded, strict=True):
        (tmp_path / "file").write_bytes(contents)
        expected, _ = wt.read_audio(tmp_path / "file", 16000)
        atol = 2e-6 if name[0][0] in ("OGG", "MP3") else 0.0
        np.testing.assert_allclose(audio, expected, rtol=0, atol=atol, err_msg=str(name))
        np.testing.assert_array_equal(decode_audio(contents, 16000, decoder), audio)


@pytest.mark.parametrize("decoder", DECODERS)
def test_lossless_files_are_decoded_to_the_mean_of_their_channels(decoder):
    channels = np.round(noisy_channels(2) * 32768) / 32768
    for width in ("PCM_16", "PCM_24"):
        audio = decode_audio(recording(channels, "FLAC", width), 16000, decoder)
        np.testing.assert_allclose(audio, channels.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_decoder_asked_for_decodes(decoder):
    graph = tf.function(lambda contents: decode_audio(contents, 16000, decoder))
    library = graph.get_concrete_function(tf.TensorSpec([], tf.string)).graph.as_graph_def().library
    operations = {node.op for function in library.function for node in function.node_def}
    native = {name for name in operations if name.startswith("IO>AudioDecode")}
    kinds = ("Flac", "MP3", "Vorbis") if decoder == "tensorflow-io" else ()
    assert native == {f"IO>AudioDecode{kind}" for kind in kinds}


@pytest.mark.parametrize("decoder", DECODERS)
def test_resampling_is_band_limited_and_in_place(decoder):
    source, target = 44100, 16000
    middle = slice(target // 4, -target // 4)
    files = [
        recording(tone(1.0, source, frequency), "FLAC", "PCM_24", source)
        for frequency in (6000.0, 10000.0)
    ]
    low, high = decode_in_dataset(files, decoder, target)
    assert len(low) == target
    expected = tone(1.0, target, 6000.0)[middle]
    error = low[middle] - expected
    power = np.square(expected).mean()
    assert 10 * np.log10(np.square(error).mean() / power) < -60.0
    _, spectrum = scipy.signal.periodogram(low[middle], target, "flattop", scaling="spectrum")
    assert abs(10 * np.log10(2 * spectrum.max() / 0.25)) < 0.1
    assert 10 * np.log10(np.square(high[middle]).mean() / power) < -60.0


def damage(contents: bytes, seed: int) -> bytes:
    """Cuts a file short, or a piece out of it, or writes noise over a piece or into its header."""
    generator = np.random.default_rng(seed)
    place, length = generator.integers(0, len(contents)), generator.integers(1, 2000)
    noise = generator.bytes(length)
    return [
        contents[:place],
        contents[:place] + contents[place + length :],
        (contents[:place] + noise + contents[place + length :])[: len(contents)],
        contents[: place % 80] + noise[:4] + contents[place % 80 + 4 :],
    ][seed % 4]


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("coding", [*COMPRESSED, ("WAV", "PCM_16")])
def test_damaged_files_give_an_error_or_what_is_left(coding, decoder):
    if decoder == "tensorflow-io" and coding[0] == "WAV":
        pytest.skip("tensorflow-io does not decode WAV here")
    whole = recording(noisy_channels(2, 20000), *coding)
    decode = tf.function(
        lambda contents: decode_audio(contents, 16000, decoder),
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    failed = 0
    for seed in range(60):
        result = returns(lambda seed=seed: decode(damage(whole, seed)))
        if isinstance(result, Exception):
            assert isinstance(result, tf.errors.InvalidArgumentError), repr(result)
            failed += 1
        else:
            assert np.isfinite(result).all()
    assert 4 <= failed < 60
    assert len(decode(whole)) == 20000


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_flac_without_its_end_is_refused(decoder):
    """By itself tensorflow-io waits for the missing samples without end."""
    whole = recording(noisy_channels(1, 20000), "FLAC", "PCM_16")
    noise = np.random.default_rng(0).bytes(1500)
    result = returns(lambda: decode_in_dataset([whole[:-1500] + noise], decoder))
    assert isinstance(result, tf.errors.InvalidArgumentError)
    assert "cannot read contents as audio" in str(result)


@pytest.mark.parametrize("block_size", [0, 1, 200])
def test_a_wav_with_a_wrong_block_size_is_read(block_size):
    """By itself tensorflow-io ends the process, or reads beyond its memory."""
    signal = np.arange(-500, 500) / 1000
    contents = bytearray(recording(signal, "WAV", "PCM_16"))
    contents[32:34] = block_size.to_bytes(2, "little")
    audio = decode_audio(bytes(contents), 16000)
    np.testing.assert_allclose(audio, signal, atol=1e-4)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "cannot read contents as audio"),
        (b"not audio\0\0", "cannot read contents as audio"),
    ],
)
def test_contents_without_audio_are_refused(contents, message, decoder):
    with pytest.raises(InputError, match=message):
        decode_audio(contents, 16000, decoder)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode_in_dataset([contents], decoder)


@pytest.mark.parametrize(
    ("samples", "message"), [([], "holds no samples"), ([0.0, np.nan], "holds .* not finite")]
)
def test_samples_that_are_none_or_no_numbers_are_refused(samples, message):
    contents = recording(np.float32(samples), "WAV", "FLOAT")
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"contents {message}"):
        decode_in_dataset([contents], "soundfile")


@pytest.mark.parametrize("decoder", [WITH_TENSORFLOW_IO])
@pytest.mark.parametrize("coding", OTHERS)
def test_what_tensorflow_io_does_not_decode_is_named(coding, decoder):
    contents = recording(noisy_channels(1), *coding)
    with pytest.raises(InputError, match=f"contents must be .*received {' '.join(coding)}"):
        decode_audio(contents, 16000, decoder)


@pytest.mark.skipif(LOADS, reason="tensorflow-io loads")
def test_tensorflow_io_where_it_does_not_load():
    with pytest.raises(InputError, match=f"needs the package.*here is {tf.__version__}"):
        decode_audio(b"", 16000, "tensorflow-io")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sample_rate": 0}, "sample_rate must be .*received 0"),
        ({"decoder": "ffmpeg"}, "decoder must be .*received 'ffmpeg'"),
        ({"contents": [b"a", b"b"]}, r"contents must be a scalar string; received shape \(2,\)"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        decode_audio(**{"contents": b"", "sample_rate": 16000, **arguments})


STRETCHES = [(0.0, 0.25), (0.1, 0.3333), (0.25, None), (0.12345, 0.12352), (0.0, 0.5)]


@pytest.mark.parametrize("coding", [*COMPRESSED, *OTHERS])
@pytest.mark.parametrize("rate", [16000, 22050])
def test_a_stretch_is_that_part_of_the_file(tmp_path, coding, rate):
    path = tmp_path / "file.sph"
    path.write_bytes(recording(noisy_channels(2, rate // 2), *coding, rate))
    whole, _ = wt.read_audio(path)
    for start, end in STRETCHES:
        expected = whole[round(start * rate) : None if end is None else round(end * rate)]
        stretch, stretch_rate = wt.read_audio(path, start=start, end=end)
        assert stretch_rate == rate
        np.testing.assert_array_equal(stretch, expected)


def test_a_stretch_is_resampled_by_itself(tmp_path):
    wt.write_audio(tmp_path / "whole.flac", tone(0.5, 22050, 3000.0), 22050)
    whole, _ = wt.read_audio(tmp_path / "whole.flac")
    for start, end in STRETCHES[:4]:
        cut = whole[round(start * 22050) : None if end is None else round(end * 22050)]
        wt.write_audio(tmp_path / "cut.flac", cut, 22050)
        expected, _ = wt.read_audio(tmp_path / "cut.flac", 8000)
        stretch, rate = wt.read_audio(tmp_path / "whole.flac", 8000, start, end)
        assert rate == 8000
        np.testing.assert_array_equal(stretch, expected)


@pytest.mark.parametrize(
    ("start", "end"),
    [(-0.1, 0.2), (0.3, 0.2), (0.2, 0.2), (0.5, None), (0.2, 0.51), (0.2, np.inf), (np.nan, 0.2)],
)
@pytest.mark.parametrize("name", ["a.flac", "a.mp3"])
def test_stretches_that_are_not_in_the_file_are_named(tmp_path, name, start, end):
    wt.write_audio(tmp_path / name, tone(0.5, 8000), 8000)
    with pytest.raises(InputError, match=rf"{name}, which lasts 0.5 s; received {start} and {end}"):
        wt.read_audio(tmp_path / name, start=start, end=end)


def test_a_header_that_claims_too_many_samples_does_not_matter(tmp_path):
    """Of a stream's FLAC, whose length is not known, and of one with a damaged length."""
    contents = bytearray(recording(noisy_channels(2), "FLAC", "PCM_16"))
    expected = soundfile.read(io.BytesIO(contents), dtype="float32")[0].mean(axis=1)
    for length in (0, 2**36 - 1):
        width = int.from_bytes(contents[21:26], "big") >> 36 << 36
        contents[21:26] = (width | length).to_bytes(5, "big")
        (tmp_path / "a.flac").write_bytes(contents)
        np.testing.assert_array_equal(wt.read_audio(tmp_path / "a.flac")[0], expected)
        np.testing.assert_array_equal(decode_audio(bytes(contents), 16000), expected)
        # It would wait for the missing samples without end.
        if LOADS:
            with pytest.raises(InputError, match="with its length in the header for 'tensorflow"):
                decode_audio(bytes(contents), 16000, "tensorflow-io")


def test_sphere_is_read_and_not_written(tmp_path):
    assert ".sph" in wt_audio.AUDIO_SUFFIXES
    with pytest.raises(InputError, match=r"suffix must be one of \.wav, \.aif.*\.mp3$"):
        wt.write_audio(tmp_path / "a.sph", np.zeros(3), 8000)
