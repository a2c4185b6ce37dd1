import sys

import librosa
import numpy as np
import pytest
import scipy.signal
import soundfile
import tensorflow as tf
from conftest import tone

import wavenet_tf as wt
from wavenet_tf import audio as features
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


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "a.aif"])
def test_every_16_bit_value_is_read_back_exactly(tmp_path, name):
    every = np.arange(-32768, 32768, dtype=np.float32) / 32768
    wt.write_audio(tmp_path / name, every, 8000)
    assert soundfile.info(tmp_path / name).subtype == "PCM_16"
    np.testing.assert_array_equal(wt.read_audio(tmp_path / name)[0], every)


def test_audio_is_written_as_the_nearest_16_bit_value(tmp_path):
    nearest = np.float32([-32768, -100, -1, 0, 0, 99, 100, 32767])
    off = np.float32([0.4, -0.4, 0.4, -0.4, 0.4, 0.4, -0.4, 0.4])
    wt.write_audio(tmp_path / "a.wav", (nearest + off) / 32768, 8000)
    np.testing.assert_array_equal(wt.read_audio(tmp_path / "a.wav")[0], nearest / 32768)


@pytest.mark.parametrize("name", ["a.ogg", "a.mp3"])
def test_lossy_formats_keep_the_scale(tmp_path, name):
    signal = tone(0.5, 16000)
    wt.write_audio(tmp_path / name, signal, 16000)
    audio, _ = wt.read_audio(tmp_path / name)
    np.testing.assert_allclose(audio[2000:6000], signal[2000:6000], atol=0.02)


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


def signals(samples, sample_rate):
    """Noise, a sine, silence and a chirp, the chirp after a stretch of silence."""
    time = np.arange(samples) / sample_rate
    chirp = 0.7 * scipy.signal.chirp(time, 50, time[-1], sample_rate / 2) * (time > time[-1] / 3)
    noise = np.random.default_rng(0).uniform(-1, 1, samples)
    return np.stack([noise, 0.5 * np.sin(2 * np.pi * 440 * time), np.zeros(samples), chirp]).astype(
        np.float32
    )


def mel_oracle(audio, sample_rate, hop, window, bands=80, min_hz=125.0, max_hz=7600.0, floor=0.01):
    spectrogram = librosa.feature.melspectrogram(
        y=audio,
        sr=sample_rate,
        n_fft=2 ** int(np.ceil(np.log2(window))),
        hop_length=hop,
        win_length=window,
        window="hann",
        center=True,
        pad_mode="constant",
        power=1.0,
        n_mels=bands,
        fmin=min_hz,
        fmax=min(max_hz, sample_rate / 2),
        htk=False,
        norm="slaney",
    )
    frames = -(-audio.shape[-1] // hop)
    return np.log(np.maximum(spectrogram, floor)).swapaxes(-1, -2)[..., :frames, :]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sample_rate", "hop", "window"),
    [(8000, 100, 400), (16000, 200, 800), (22050, 276, 1102)],
)
def test_log_mel_is_librosas_at_tacotrons_settings(sample_rate, hop, window):
    audio = signals(sample_rate // 2 + 7, sample_rate)
    mel = features.log_mel(audio, sample_rate, floor=0.01).numpy()
    assert mel.dtype == np.float32
    np.testing.assert_allclose(mel, mel_oracle(audio, sample_rate, hop, window), atol=1e-4)


@pytest.mark.parametrize("level", [1.0, 1e-2, 1e-4])
def test_log_mel_of_quiet_recordings_is_librosas(level):
    """Down to the floor, which silence lies at; a pure tone's far bands are only rounding."""
    audio = level * signals(8007, 16000)[[0, 2]]
    mel = features.log_mel(audio, 16000).numpy()
    expected = mel_oracle(audio, 16000, 200, 800, floor=1e-5)
    np.testing.assert_allclose(mel, expected, atol=1e-4)
    np.testing.assert_allclose(mel[1], np.log(1e-5), rtol=1e-6)
    assert (mel[0] > np.log(1e-5)).mean() > 0.9


@pytest.mark.parametrize(
    ("sample_rate", "hop", "window"),
    [(8000, 64, 512), (16000, 80, 401), (16000, 256, 1024), (22050, 300, 1103), (16000, 900, 800)],
)
def test_log_mel_is_librosas_at_other_settings(sample_rate, hop, window):
    audio = signals(4 * 900, sample_rate)
    mel = features.log_mel(audio, sample_rate, hop, window, 40, 0, 3500, floor=0.01)
    expected = mel_oracle(audio, sample_rate, hop, window, 40, 0, 3500)
    np.testing.assert_allclose(mel, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("padding", "fft", "window"), [("reflect", 1024, 1024), ("zeros", 1000, 600)]
)
def test_mel_features_of_other_programs_are_librosas(padding, fft, window):
    """As r9y9's and kan-bayashi's vocoders take them."""
    audio = signals(22050, 22050)[0]
    name = f"mel:window={window}:fft={fft}:bands=60:min_hz=80:max_hz=7000:floor=1e-6:log=10"
    frames = features.extract_features(audio, 22050, 256, [f"{name}:padding={padding}"])
    mel = librosa.feature.melspectrogram(
        y=audio,
        sr=22050,
        n_fft=fft,
        hop_length=256,
        win_length=window,
        n_mels=60,
        fmin=80,
        fmax=7000,
        power=1.0,
        pad_mode={"zeros": "constant"}.get(padding, padding),
    )
    assert frames.shape == (87, 60) and features.feature_channels([name]) == 60
    np.testing.assert_allclose(frames, np.log10(np.maximum(mel, 1e-6)).T[:87], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mel:hop=3", "options of the feature mel must be one of window, fft, .*received 'hop=3'"),
        ("f0:fft=3", "options of the feature f0 must be none; received 'fft=3'"),
        ("mel:fft=x", "the option fft of the feature mel has the value 'x', which cannot be read"),
        ("mel:log=2", "the option log of the feature mel has the value '2'"),
        ("mel:fft=100", "fft_length must be at least the window's 400 samples; received 100"),
        ("mel:padding=edge", "padding must be one of zeros, reflect; received 'edge'"),
        ("mel:padding=reflect", "reflected audio must have more than 256 samples; received 100"),
    ],
)
def test_wrong_options_of_features_are_refused(name, message):
    with pytest.raises(InputError, match=message):
        features.extract_features(np.zeros(100), 8000, None, [name])
    with pytest.raises(InputError, match="names of features must differ from each other"):
        features.feature_channels(["mel", "mel:bands=40"])


def test_a_mel_band_without_a_frequency_is_the_floor():
    mel = features.log_mel(signals(2000, 8000), 8000, window_length=64, floor=0.001).numpy()
    assert np.isfinite(mel).all()
    assert (mel == np.float32(np.log(0.001))).all(axis=(0, 1)).any()


@pytest.mark.parametrize(
    ("sample_rate", "hop", "window"),
    [(8000, None, None), (16000, 200, 801), (22050, 300, 1024), (16000, 900, 800)],
)
def test_energy_is_librosas(sample_rate, hop, window):
    audio = signals(4 * 900, sample_rate)
    energy = features.energy(audio, sample_rate, hop, window).numpy()
    hop, window = hop or 100, window or 400
    rms = librosa.feature.rms(
        y=audio, frame_length=window, hop_length=hop, center=True, pad_mode="constant"
    )
    expected = np.log(np.maximum(rms, 1e-4)).swapaxes(-1, -2)[:, : energy.shape[1]]
    assert energy.dtype == np.float32
    np.testing.assert_allclose(energy, expected, atol=1e-4)


@pytest.mark.parametrize("function", [features.log_mel, features.energy])
def test_features_have_a_frame_for_every_hop_that_begins_in_the_audio(function):
    for samples, frames in {0: 0, 1: 1, 99: 1, 100: 1, 101: 2, 800: 8, 801: 9}.items():
        assert function(np.ones(samples), 8000).shape[0] == frames


@pytest.mark.slow
@pytest.mark.parametrize("function", [features.log_mel, features.energy])
def test_features_work_in_graphs(function):
    audio = signals(1000, 8000)
    expected = function(audio, 8000).numpy()
    shapes = []

    @tf.function(input_signature=[tf.TensorSpec([None, None])])
    def graph(batch):
        shapes.append(function(batch, 8000).shape)
        return function(batch, 8000)

    np.testing.assert_allclose(graph(audio), expected, atol=1e-5)
    np.testing.assert_allclose(graph(audio[:1, :500]), function(audio[:1, :500], 8000), atol=1e-5)
    assert shapes[0].as_list() == [None, None, expected.shape[-1]]

    dataset = tf.data.Dataset.from_generator(
        lambda: iter(audio), output_signature=tf.TensorSpec([None])
    ).map(lambda clip: function(clip, 8000))
    assert dataset.element_spec.shape.as_list() == [None, expected.shape[-1]]
    np.testing.assert_allclose(list(dataset.as_numpy_iterator()), expected, atol=1e-5)

    known = tf.data.Dataset.from_tensor_slices(audio).map(lambda clip: function(clip, 8000))
    assert known.element_spec.shape.as_list() == list(expected.shape[1:])


@pytest.mark.parametrize("function", [features.log_mel, features.energy])
def test_features_take_any_batch_dimensions(function):
    audio = signals(1000, 8000)
    batched = function(audio.reshape(2, 2, 1000), 8000)
    singles = [function(clip.astype(np.float64), 8000) for clip in audio]
    np.testing.assert_allclose(tf.reshape(batched, [4, 10, -1]), singles, atol=1e-5)


TRACKERS = (features.pitch, features.pitch_world)


@pytest.mark.slow
@pytest.mark.parametrize("track", TRACKERS)
@pytest.mark.parametrize(("sample_rate", "hop"), [(8000, None), (16000, 256), (8000, 8)])
def test_pitch_of_tones_with_silence_between(track, sample_rate, hop):
    low, high = tone(0.3, sample_rate, 110.0), tone(0.3, sample_rate, 330.0)
    silence = np.zeros(round(0.3 * sample_rate), np.float32)
    audio = np.concatenate([silence, low, silence, high])
    pitch = track(audio, sample_rate, hop)
    hop = hop or 100
    assert pitch.dtype == np.float32
    assert pitch.shape == (features.log_mel(audio, sample_rate, hop).shape[0], 2)
    seconds = np.arange(len(pitch)) * hop / sample_rate
    log_f0, voicing = pitch.T
    for begin, hz in ((0.3, 110.0), (0.9, 330.0)):
        inside = (seconds > begin + 0.05) & (seconds < begin + 0.25)
        np.testing.assert_allclose(np.exp(log_f0[inside]), hz, rtol=0.01)
        assert (voicing[inside] == 1).all()
    first, last = np.flatnonzero(voicing)[[0, -1]]
    assert (log_f0[:first] == log_f0[first]).all()
    assert (log_f0[last:] == log_f0[last]).all()
    for begin in (0.0, 0.6):
        silent = (seconds > begin + 0.05) & (seconds < begin + 0.25)
        assert (voicing[silent] == 0).all()
    # A straight line from one tone's logarithm to the other's.
    between = log_f0[(seconds > 0.65) & (seconds < 0.85)]
    np.testing.assert_allclose(np.diff(between, 2), 0.0, atol=1e-5)
    assert between[0] < between[-1]
    # DIO finds lower values where a tone ends abruptly.
    lowest = 100 if track is features.pitch else 60
    assert np.log(lowest) < between[0] < between[-1] < np.log(340)


@pytest.mark.slow
@pytest.mark.parametrize("track", TRACKERS)
def test_pitch_follows_a_glide_at_a_hop_of_a_millisecond(track):
    hz = np.linspace(120, 240, 4000)
    audio = 0.5 * np.sin(2 * np.pi * np.cumsum(hz) / 8000)
    log_f0, voicing = track(audio, 8000, hop_length=8)[50:-50].T
    assert voicing.mean() > 0.98
    np.testing.assert_allclose(np.exp(log_f0), hz[::8][50:-50], rtol=0.03)


@pytest.mark.parametrize("track", TRACKERS)
def test_pitch_without_voice_is_the_middle_of_the_range(track):
    pitch = track(np.zeros(2000), 8000, min_hz=100, max_hz=400)
    np.testing.assert_allclose(pitch, [[np.log(200), 0]] * 20, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("track", TRACKERS)
def test_pitch_at_hops_of_any_length(track):
    for samples, hop, frames in ((1, 100, 1), (100, 100, 1), (4000, 1600, 3), (4000, 3999, 2)):
        pitch = track(tone()[:samples], 8000, hop)
        assert pitch.shape == (frames, 2)
        assert np.isfinite(pitch).all()


def test_features_lie_side_by_side():
    audio = tone()[:1050]
    together = features.extract_features(audio, 8000, 64, ("f0", "mel", "energy"))
    assert together.dtype == np.float32
    assert together.shape == (17, features.feature_channels(("f0", "mel", "energy")))
    np.testing.assert_array_equal(together[:, :2], features.pitch(audio, 8000, 64))
    np.testing.assert_array_equal(together[:, 2:82], features.log_mel(audio, 8000, 64))
    np.testing.assert_array_equal(together[:, 82:], features.energy(audio, 8000, 64))


@pytest.mark.parametrize("names", [("mel", "loudness"), (), "mel"])
def test_unknown_features_are_named(names):
    with pytest.raises(
        InputError, match="names must be some of mel, energy, f0, f0_world"
    ) as error:
        features.extract_features(np.zeros(100), 8000, None, names)
    assert repr(names) in str(error.value)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (features.log_mel, {"hop_length": 0}, "hop_length must be a whole number.*received 0"),
        (features.log_mel, {"hop_length": 1.5}, "hop_length must be a whole number.*received 1.5"),
        (features.log_mel, {"window_length": -1}, "window_length must be.*received -1"),
        (features.log_mel, {"num_bands": 0}, "num_bands must be.*received 0"),
        (features.log_mel, {"sample_rate": 0}, "sample_rate must be.*received 0"),
        (features.log_mel, {"min_hz": 4000}, "min_hz must be.*below 4000.*received 4000"),
        (features.log_mel, {"min_hz": 300, "max_hz": 200}, "min_hz must be.*below 200"),
        (features.log_mel, {"min_hz": -1}, "min_hz must be at least 0.*received -1"),
        (features.log_mel, {"floor": 0}, "floor must be above 0; received 0"),
        (features.log_mel, {"audio": 0.5}, r"audio must have shape \[..., samples\]"),
        (features.energy, {"hop_length": 0}, "hop_length must be.*received 0"),
        (features.energy, {"window_length": 0}, "window_length must be.*received 0"),
        (features.energy, {"floor": -1}, "floor must be above 0; received -1"),
        (features.pitch, {"hop_length": 0}, "hop_length must be.*received 0"),
        (features.pitch, {"min_hz": 0}, "min_hz must be above 0.*received 0"),
        (features.pitch, {"min_hz": 600}, "min_hz must be.*received 600 and 500"),
        (features.pitch, {"max_hz": 4001}, "max_hz at most 4000.*received 60.0 and 4001"),
        (features.pitch, {"audio": np.zeros([2, 9])}, r"audio must be.*received shape \[2, 9\]"),
        (features.pitch, {"audio": np.zeros(0)}, r"audio must be.*received shape \[0\]"),
        (features.pitch, {"audio": np.full(9, np.nan)}, "audio must be finite"),
    ],
)
def test_arguments_out_of_range_are_named(function, arguments, message):
    with pytest.raises(InputError, match=message):
        function(**{"audio": np.zeros(1000), "sample_rate": 8000, **arguments})


@pytest.mark.parametrize(
    ("track", "package", "command"),
    [
        (features.pitch, "librosa", "pip install librosa"),
        (features.pitch_world, "pyworld", r"pip install 'wavenet_tf\[f0\]'"),
    ],
)
def test_pitch_without_its_package_says_what_to_install(monkeypatch, track, package, command):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=command):
        track(np.zeros(1000), 8000)


@pytest.mark.parametrize("length", [1, 2, 7, 100])
def test_emphasis_is_a_filter_and_its_inverse_across_blocks(length):
    emphasis = features.Emphasis(coefficient=0.85, gain=0.55)
    audio = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 200)).astype(np.float32)
    expected = 0.55 * scipy.signal.lfilter([1.0, -0.85], [1.0], audio)
    previous, waveforms, restored = tf.zeros([2]), [], []
    for start in range(0, 200, length):
        block = tf.constant(audio[:, start : start + length])
        waveform = emphasis.analyze(block, previous)
        waveforms.append(waveform)
        restored.append(emphasis.synthesize(waveform, previous))
        previous = block[:, -1]
    np.testing.assert_allclose(np.concatenate(waveforms, axis=1), expected, atol=1e-6)
    np.testing.assert_allclose(np.concatenate(restored, axis=1), audio, atol=1e-5)
