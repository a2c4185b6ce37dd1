import numpy as np
import pytest
import scipy.signal
import soundfile
from conftest import tone

import wavenet_tf as wt
from wavenet_tf.errors import InputError


def mu_law_oracle(audio, codes):
    """The codes of DESIGN's formula in double precision, before rounding down."""
    mu = codes - 1
    companded = np.sign(audio) * np.log1p(mu * np.abs(audio)) / np.log1p(mu)
    return (companded + 1) / 2 * mu + 0.5


@pytest.mark.parametrize("codes", [256, 16, 1024])
def test_mu_law_encode_is_the_formula(codes):
    audio = np.linspace(-1.2, 1.2, 200_001)
    expected = mu_law_oracle(np.clip(audio, -1, 1), codes)
    # Single precision may fall to either side of a boundary, and nowhere else.
    clear = np.abs(expected - np.round(expected)) > 1e-3
    encoded = wt.mu_law_encode(audio, codes).numpy()
    assert encoded.dtype == np.int32
    np.testing.assert_array_equal(encoded[clear], np.floor(expected[clear]))
    assert clear.mean() > 0.99


@pytest.mark.parametrize("codes", [256, 16, 1024])
def test_mu_law_decode_inverts_every_code(codes):
    every = np.arange(codes)
    decoded = wt.mu_law_decode(every, codes).numpy()
    companded = 2 * every / (codes - 1) - 1
    oracle = np.sign(companded) * np.expm1(np.abs(companded) * np.log(codes)) / (codes - 1)
    np.testing.assert_allclose(decoded, oracle, atol=1e-6)
    np.testing.assert_array_equal(wt.mu_law_encode(decoded, codes), every)


def test_mu_law_edges():
    assert wt.mu_law_encode([-1.0, -2.0, 0.0, 1.0, 2.0]).numpy().tolist() == [0, 0, 128, 255, 255]
    np.testing.assert_allclose(wt.mu_law_decode([0, 255]), [-1.0, 1.0], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_16"),
        ("a.wav", "PCM_24"),
        ("a.wav", "PCM_U8"),
        ("a.wav", "FLOAT"),
        ("a.wav", "ULAW"),
        ("a.flac", "PCM_16"),
        ("a.aiff", "PCM_16"),
        ("a.ogg", None),
        ("a.mp3", None),
    ],
)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_reads_every_format_as_one_channel(tmp_path, name, subtype, channels):
    if name == "a.mp3" and channels == 6:
        pytest.skip("MP3 has at most 2 channels")
    # Channels that differ: only their mean is the tone.
    scale = np.linspace(0.5, 1.5, channels) if channels > 1 else np.ones(1)
    signal = tone(0.5, 16000) * 0.5
    soundfile.write(tmp_path / name, signal[:, None] * scale, 16000, subtype=subtype)
    audio, rate = wt.read_audio(tmp_path / name)
    assert rate == 16000
    assert audio.dtype == np.float32
    assert audio.shape == signal.shape
    middle = slice(2000, 6000)  # lossy codecs fade in
    tolerance = 0.02 if name in ("a.ogg", "a.mp3") or subtype in ("PCM_U8", "ULAW") else 1e-4
    np.testing.assert_allclose(audio[middle], signal[middle], atol=tolerance)


def test_resampling_keeps_what_fits_and_removes_what_does_not(tmp_path):
    seconds, source, target = 2.0, 44100, 16000
    for frequency, kept in ((6000.0, True), (10000.0, False)):
        wt.write_audio(tmp_path / "tone.wav", tone(seconds, source, frequency), source)
        audio, rate = wt.read_audio(tmp_path / "tone.wav", target)
        assert rate == target
        assert len(audio) == seconds * target
        middle = audio[target // 2 : -target // 2]
        frequencies, power = scipy.signal.periodogram(middle, target, "flattop", scaling="spectrum")
        if kept:
            assert abs(frequencies[power.argmax()] - frequency) < 2.0
            np.testing.assert_allclose(np.sqrt(2 * power.max()), 0.5, rtol=0.01)
            # In place: no delay against the tone sampled at the target rate.
            np.testing.assert_allclose(
                audio[8000:8100], tone(seconds, target, frequency)[8000:8100], atol=0.01
            )
        else:
            assert 10 * np.log10(power.max() / 0.125) < -60.0


def test_written_audio_is_what_was_given(tmp_path):
    signal = np.float32([0.0, 0.5, -0.5, 1.5, -1.5])
    wt.write_audio(tmp_path / "deep" / "er" / "a.wav", signal, 8000)
    audio, rate = wt.read_audio(tmp_path / "deep" / "er" / "a.wav")
    assert rate == 8000
    np.testing.assert_allclose(audio, np.clip(signal, -1, 1), atol=1e-4)
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["a.wav"]


def test_bad_files_are_named(tmp_path):
    (tmp_path / "text.wav").write_text("not audio")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    soundfile.write(tmp_path / "nan.wav", np.float32([0.0, np.nan]), 8000, subtype="FLOAT")
    for name, message in {
        "missing.wav": "no audio file",
        "text.wav": "cannot read",
        "empty.wav": "holds no samples",
        "nan.wav": "not finite",
    }.items():
        with pytest.raises(InputError, match=message) as error:
            wt.read_audio(tmp_path / name)
        assert name in str(error.value)
    with pytest.raises(InputError, match=r"suffix must be one of .wav"):
        wt.write_audio(tmp_path / "a.xyz", np.zeros(3), 8000)
