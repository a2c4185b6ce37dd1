"""Tests of the demo corpus and of the checker of its notes."""

import melodies
import numpy as np
import pytest
import scipy.signal
import soundfile
from conftest import run_program

from wavenet_tf.errors import InputError

SAMPLE_RATE = 8000
NUM_SAMPLES = 4 * SAMPLE_RATE
TIME = np.arange(NUM_SAMPLES) / SAMPLE_RATE
BAD_THEME_SECONDS = (0.0, -2.0, 0.0625, 0.2, 1.99, float("nan"), float("inf"))


def _melody(seed: int = 0, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    return melodies.compose_melody(np.random.default_rng(seed), 4 * sample_rate, sample_rate)


def _theme_melody(
    seed: int = 0, theme_seconds: float = 2.0, sample_rate: int = SAMPLE_RATE, seconds: float = 5.0
) -> np.ndarray:
    generator = np.random.default_rng(seed)
    num_samples = round(seconds * sample_rate)
    return melodies.compose_theme_melody(generator, num_samples, sample_rate, theme_seconds)


def _spectral_peak(audio: np.ndarray, sample_rate: int) -> float:
    """Frequency of the strongest partial in Hz, independent of the checker's autocorrelation."""
    num_bins = 2**18
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), num_bins))
    return float(np.argmax(spectrum)) * sample_rate / num_bins


def _cents(frequency: float, reference: float) -> float:
    return 1200.0 * np.log2(frequency / reference)


def _play(frequencies, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Plucks notes of 0.25 s at any pitch."""
    notes = [melodies.pluck_string(f, sample_rate // 4, sample_rate, 0.4) for f in frequencies]
    return 0.7 * np.concatenate(notes)


def _mu_law_round_trip(audio: np.ndarray) -> np.ndarray:
    companded = np.sign(audio) * np.log1p(255 * np.abs(audio)) / np.log(256)
    coded = np.round((companded + 1) / 2 * 255) / 255 * 2 - 1
    return np.sign(coded) * np.expm1(np.abs(coded) * np.log(256)) / 255


def _gliding_vowel() -> np.ndarray:
    """A pulse train through three formants, its pitch swinging as in speech."""
    octaves = 0.5 * np.sin(2 * np.pi * 0.7 * TIME) + 0.3 * np.sin(2 * np.pi * 1.9 * TIME)
    phase = np.cumsum(330.0 * 2.0**octaves) / SAMPLE_RATE
    voice = np.diff(np.floor(phase), prepend=0.0)
    for formant, bandwidth in ((700, 80), (1200, 100), (2500, 150)):
        radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
        angle = 2 * np.pi * formant / SAMPLE_RATE
        voice = scipy.signal.lfilter([1], [1, -2 * radius * np.cos(angle), radius**2], voice)
    return 0.5 * voice / np.max(np.abs(voice))


def test_scale_is_c_major_pentatonic_from_c4_to_a5():
    assert {note % 12 for note in melodies.SCALE_MIDI_NOTES} == {0, 2, 4, 7, 9}
    assert melodies.SCALE_FREQUENCIES[0] == pytest.approx(261.6256, abs=1e-4)
    assert melodies.SCALE_FREQUENCIES[-1] == pytest.approx(880.0)
    assert len(melodies.SCALE_FREQUENCIES) == len(melodies.SCALE_MIDI_NOTES) == 10


@pytest.mark.parametrize("sample_rate", [8000, 16000, 22050])
@pytest.mark.parametrize("frequency", melodies.SCALE_FREQUENCIES)
def test_string_is_in_tune(frequency, sample_rate):
    note = melodies.pluck_string(frequency, sample_rate // 2, sample_rate, 0.4)
    assert abs(_cents(_spectral_peak(note, sample_rate), frequency)) < 2.0


def test_string_is_bright_but_smooth():
    frequency = melodies.SCALE_FREQUENCIES[0]
    note = melodies.pluck_string(frequency, SAMPLE_RATE // 2, SAMPLE_RATE, 0.4)
    spectrum = np.abs(np.fft.rfft(note * np.hanning(len(note)), 8 * SAMPLE_RATE))
    level = 20 * np.log10(spectrum / spectrum.max())
    assert level[round(8 * 2 * frequency)] > -15.0
    assert level[round(8 * 4.5 * frequency) :].max() < -60.0


@pytest.mark.parametrize("frequency", melodies.SCALE_FREQUENCIES)
def test_string_decays_but_lasts(frequency):
    note = melodies.pluck_string(frequency, SAMPLE_RATE // 2, SAMPLE_RATE, 0.4)
    tenths = np.sqrt(np.mean(note.reshape(5, -1) ** 2, axis=1))
    drop = 20 * np.log10(tenths[0] / tenths[3])
    assert 10.0 < drop < 30.0


def test_melody_plays_only_notes_of_the_scale():
    # Every note lasts a multiple of an eighth of a second, so no window straddles two.
    windows = _melody().reshape(-1, SAMPLE_RATE // 8)
    heard = set()
    for window in windows:
        peak = _spectral_peak(window, SAMPLE_RATE)
        errors = [abs(_cents(peak, frequency)) for frequency in melodies.SCALE_FREQUENCIES]
        assert min(errors) < 10.0
        heard.add(int(np.argmin(errors)))
    assert len(heard) >= 3


@pytest.mark.parametrize("num_samples", [0, 1, 30, 12345])
def test_melody_has_the_length_asked_for(num_samples):
    melody = melodies.compose_melody(np.random.default_rng(0), num_samples, SAMPLE_RATE)
    assert melody.shape == (num_samples,)
    assert melody.dtype == np.float32
    assert np.all(np.isfinite(melody))


def test_melody_peaks_at_the_documented_level():
    assert np.max(np.abs(_melody())) == pytest.approx(0.7, abs=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_melody_has_no_clicks(seed):
    # A note cut or started abruptly spreads energy beyond the highest harmonic of the scale.
    melody = _melody(seed, sample_rate=16000)
    high_pass = scipy.signal.butter(8, 5000, "highpass", fs=16000, output="sos")
    assert np.max(np.abs(scipy.signal.sosfilt(high_pass, melody))) < 0.002
    assert abs(melody[0]) < 1e-3 and abs(melody[-1]) < 1e-3


@pytest.mark.parametrize("sample_rate", [8000, 22050])
@pytest.mark.parametrize("theme_seconds", [0.125, 0.375, 2.0, 2.125])
def test_theme_returns_sample_for_sample(theme_seconds, sample_rate):
    melody = _theme_melody(0, theme_seconds, sample_rate)
    period = round(theme_seconds * sample_rate)
    np.testing.assert_array_equal(melody[period:], melody[:-period])


@pytest.mark.parametrize("seed", range(4))
def test_theme_does_not_return_early(seed):
    theme = _theme_melody(seed)[: 2 * SAMPLE_RATE]
    correlation = np.fft.irfft(np.square(np.abs(np.fft.rfft(theme))))
    # By symmetry half of the lags is enough; the shortest are those of the pitch itself.
    lags = correlation[SAMPLE_RATE // 10 : SAMPLE_RATE + 1]
    assert np.max(lags) < 0.6 * correlation[0]


def test_theme_lasts_two_seconds_by_default():
    melody = melodies.compose_theme_melody(np.random.default_rng(0), NUM_SAMPLES, SAMPLE_RATE)
    np.testing.assert_array_equal(melody, _theme_melody(0, 2.0, seconds=4.0))


@pytest.mark.parametrize("theme_seconds", [0.125, 0.25, 0.375, 2.0, 3.625])
@pytest.mark.parametrize("seed", range(4))
def test_whole_notes_fill_the_theme(monkeypatch, seed, theme_seconds):
    plucked = []

    def pluck(frequency, num_samples, *arguments):
        plucked.append(num_samples)
        return np.ones(num_samples)

    monkeypatch.setattr(melodies, "pluck_string", pluck)
    _theme_melody(seed, theme_seconds)
    assert sum(plucked) == theme_seconds * SAMPLE_RATE
    assert set(plucked) <= {1000, 2000}


@pytest.mark.slow
@pytest.mark.parametrize("sample_rate", [8000, 22050])
def test_notes_of_the_theme_are_drawn_from_the_whole_scale(sample_rate):
    melody = _theme_melody(0, theme_seconds=30.0, sample_rate=sample_rate, seconds=30.0)
    report = melodies.analyse_notes(melody, sample_rate)
    assert report.midi_notes == melodies.SCALE_MIDI_NOTES
    assert report.fraction_in_scale > 0.9
    slots = np.array_split(melody, 240)
    peaks = [_spectral_peak(slot, sample_rate) for slot in slots]
    distances = np.abs(_cents(np.array(peaks)[:, None], np.array(melodies.SCALE_FREQUENCIES)))
    degrees = np.argmin(distances, axis=1)
    assert np.max(np.abs(np.diff(degrees))) > max(melodies.WALK_STEPS)


@pytest.mark.parametrize("seed", range(4))
def test_theme_melody_is_accepted(seed):
    report = melodies.analyse_notes(_theme_melody(seed), SAMPLE_RATE)
    assert report.is_melody
    assert report.fraction_in_scale > 0.9


@pytest.mark.parametrize("fixed", ["LOUDNESS_RANGE", "BRIGHTNESS_RANGE"])
def test_notes_of_the_theme_differ_in_loudness_and_brightness(monkeypatch, fixed):
    monkeypatch.setattr(melodies, "SCALE_FREQUENCIES", (440.0,))
    monkeypatch.setattr(melodies, "THEME_NOTE_SECONDS", (0.125,))
    monkeypatch.setattr(melodies, fixed, (0.4, 0.4))
    notes = _theme_melody(seconds=2.0).reshape(16, -1)
    assert len(np.unique(notes, axis=0)) == 16


@pytest.mark.parametrize("num_samples", [0, 1, 30, 12345, 16000])
def test_theme_melody_has_the_length_and_level_asked_for(num_samples):
    melody = _theme_melody(seconds=num_samples / SAMPLE_RATE)
    assert melody.shape == (num_samples,)
    assert melody.dtype == np.float32
    assert np.max(np.abs(melody), initial=0.0) == pytest.approx(
        0.7 if num_samples > 1 else 0.0, abs=1e-5
    )


@pytest.mark.parametrize("seed", range(4))
def test_theme_melody_has_no_clicks(seed):
    melody = _theme_melody(seed, sample_rate=16000, seconds=6.0)
    high_pass = scipy.signal.butter(8, 5000, "highpass", fs=16000, output="sos")
    assert np.max(np.abs(scipy.signal.sosfilt(high_pass, melody))) < 0.002


@pytest.mark.parametrize("theme_seconds", BAD_THEME_SECONDS)
def test_theme_of_impossible_length_is_refused(tmp_path, theme_seconds):
    message = f"theme length must be a positive multiple of 0.125 seconds, not {theme_seconds}"
    with pytest.raises(InputError, match=message):
        _theme_melody(0, theme_seconds)
    with pytest.raises(InputError, match=message):
        melodies.write_corpus(tmp_path / "corpus", 1, 1.0, 8000, 0, theme_seconds)
    assert not (tmp_path / "corpus").exists()


def test_theme_melody_refuses_a_rate_too_low_for_the_scale():
    with pytest.raises(InputError, match="sample rate must be at least 6000 Hz, not 5000"):
        _theme_melody(sample_rate=5000)


def test_corpus_of_themes_is_deterministic_and_varied(tmp_path):
    first, again, other, shorter = (
        [
            path.read_bytes()
            for path in melodies.write_corpus(tmp_path / name, count, 2, 8000, seed, theme)
        ]
        for name, count, seed, theme in (
            ("a", 3, 0, 1.0),
            ("b", 2, 0, 1.0),
            ("c", 2, 1, 1.0),
            ("d", 2, 0, 0.5),
        )
    )
    assert first[:2] == again
    assert len(set(first + other + shorter)) == 7


def test_themes_return_in_the_files_of_a_corpus(tmp_path):
    for path in melodies.write_corpus(tmp_path, 3, 2.5, 8000, 0, theme_seconds=1.0):
        audio, _ = soundfile.read(path, dtype="int16")
        np.testing.assert_array_equal(audio[8000:], audio[:-8000])
        assert not np.array_equal(audio[4000:], audio[:-4000])


def test_corpus_is_deterministic(tmp_path):
    first, again, other = (
        [path.read_bytes() for path in melodies.write_corpus(tmp_path / name, count, 1, 8000, seed)]
        for name, count, seed in (("a", 3, 0), ("b", 2, 0), ("c", 2, 1))
    )
    assert first[:2] == again
    assert len(set(first + other)) == 5


def test_corpus_is_16_bit_wav(tmp_path):
    paths = melodies.write_corpus(tmp_path / "new" / "corpus", 2, 0.75, 16000, 0)
    assert [path.name for path in paths] == ["melody_000.wav", "melody_001.wav"]
    assert sorted(paths[0].parent.iterdir()) == paths
    for path in paths:
        info = soundfile.info(path)
        assert (info.subtype, info.samplerate, info.frames) == ("PCM_16", 16000, 12000)
        assert (info.format, info.channels) == ("WAV", 1)
        assert np.max(np.abs(soundfile.read(path)[0])) == pytest.approx(0.7, abs=1e-4)


@pytest.mark.parametrize(
    "arguments",
    [
        (0, 1.0, 8000, 0),
        (1, 0.0, 8000, 0),
        (1, float("nan"), 8000, 0),
        (1, float("inf"), 8000, 0),
        (1, 1.0, 0, 0),
        (1, 1.0, 5000, 0),
        (1, 1.0, 8000, -1),
    ],
)
def test_corpus_of_impossible_size_is_refused(tmp_path, arguments):
    with pytest.raises(InputError):
        melodies.write_corpus(tmp_path / "corpus", *arguments)
    assert not (tmp_path / "corpus").exists()


@pytest.mark.slow
def test_program_writes_the_corpus(tmp_path):
    result = run_program(
        "make_demo_data.py", "--output", tmp_path, "--num_clips=2", "--clip_seconds=0.5", "--seed=3"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"wrote 2 melodies, 1 seconds in all, to {tmp_path}\n"
    expected = melodies.write_corpus(tmp_path / "expected", 2, 0.5, 8000, 3)
    for path in expected:
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_program_writes_a_corpus_of_themes(tmp_path):
    result = run_program(
        "make_demo_data.py", "--output", tmp_path, "--num_clips=2", "--theme_seconds=1.5"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"wrote 2 melodies, 10 seconds in all, to {tmp_path}\n"
    expected = melodies.write_corpus(tmp_path / "expected", 2, 5.0, 8000, 0, theme_seconds=1.5)
    for path in expected:
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "flag",
    ["--num_clips=0", "--clip_seconds=-1", "--sample_rate=0", "--theme_seconds=0.2", "word"],
)
def test_program_refuses_bad_flags_in_one_line(tmp_path, flag):
    result = run_program("make_demo_data.py", "--output", tmp_path, flag)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_program_refuses_a_file_as_output(tmp_path):
    (tmp_path / "file").write_text("kept")
    result = run_program("make_demo_data.py", "--output", tmp_path / "file")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("sample_rate", [8000, 16000])
@pytest.mark.parametrize("seed", range(4))
def test_corpus_is_accepted(seed, sample_rate):
    report = melodies.analyse_notes(_melody(seed, sample_rate), sample_rate)
    assert report.is_melody
    assert report.fraction_in_scale > 0.95


@pytest.mark.parametrize("seed", range(4))
def test_noisy_8_bit_melody_is_accepted(seed):
    melody = _melody(seed)
    noise = np.random.default_rng(seed).normal(0.0, 0.1 * np.std(melody), len(melody))
    report = melodies.analyse_notes(_mu_law_round_trip(melody + noise), SAMPLE_RATE)
    assert report.is_melody
    assert report.fraction_in_scale > 0.9


@pytest.mark.parametrize(
    "audio",
    [
        pytest.param(np.random.default_rng(0).normal(0.0, 0.2, NUM_SAMPLES), id="white noise"),
        pytest.param(np.zeros(NUM_SAMPLES), id="silence"),
        pytest.param(_melody() * 1e-3, id="inaudible melody"),
        pytest.param(_melody()[:0], id="empty"),
        pytest.param(_melody()[:100], id="shorter than a frame"),
    ],
)
def test_recording_without_pitch_is_rejected(audio):
    report = melodies.analyse_notes(audio, SAMPLE_RATE)
    assert not report.is_melody
    assert report.fraction_pitched < 0.05
    assert report.num_notes == 0


@pytest.mark.parametrize(
    "audio",
    [
        pytest.param(0.5 * scipy.signal.chirp(TIME, 200, 4, 1000, "log"), id="slow sweep"),
        pytest.param(0.5 * scipy.signal.chirp(TIME % 0.5, 250, 0.5, 900, "log"), id="fast sweeps"),
        pytest.param(_gliding_vowel(), id="gliding vowel"),
    ],
)
def test_gliding_pitch_is_rejected(audio):
    report = melodies.analyse_notes(audio, SAMPLE_RATE)
    assert not report.is_melody
    assert report.fraction_pitched > 0.8
    assert report.fraction_in_scale < 0.45


@pytest.mark.parametrize("cents", [-50, 50])
def test_melody_between_the_notes_of_the_scale_is_rejected(cents):
    in_tune = np.random.default_rng(0).choice(melodies.SCALE_FREQUENCIES, 16)
    assert melodies.analyse_notes(_play(in_tune), SAMPLE_RATE).is_melody
    report = melodies.analyse_notes(_play(in_tune * 2 ** (cents / 1200)), SAMPLE_RATE)
    assert not report.is_melody
    assert report.fraction_pitched > 0.8
    assert report.fraction_in_scale < 0.1


def test_melody_of_random_pitches_is_rejected():
    frequencies = 261.6 * 2 ** np.random.default_rng(0).uniform(0.0, 1.75, 40)
    report = melodies.analyse_notes(_play(frequencies), SAMPLE_RATE)
    assert not report.is_melody
    assert report.fraction_in_scale < 0.5


def test_single_held_note_is_rejected():
    report = melodies.analyse_notes(0.5 * np.sin(2 * np.pi * 440.0 * TIME), SAMPLE_RATE)
    assert not report.is_melody
    assert report.fraction_in_scale == 1.0
    assert report.midi_notes == (69,)


def test_melody_in_a_mostly_silent_recording_is_rejected():
    audio = np.concatenate([_melody(), np.zeros(2 * NUM_SAMPLES)])
    report = melodies.analyse_notes(audio, SAMPLE_RATE)
    assert not report.is_melody
    assert report.fraction_in_scale > 0.95


@pytest.mark.parametrize("sample_rate", [8000, 22050])
@pytest.mark.parametrize("offset", [-20.0, 0.0, 20.0])
@pytest.mark.parametrize("note", [60, 69, 81])
def test_pitch_and_distance_of_a_tone(note, offset, sample_rate):
    frequency = 440.0 * 2 ** ((note - 69 + offset / 100) / 12)
    time = np.arange(sample_rate) / sample_rate
    tone = sum(0.5**k * np.sin(2 * np.pi * k * frequency * time) for k in range(1, 5))
    report = melodies.analyse_notes(tone, sample_rate)
    np.testing.assert_allclose(1200 * np.log2(report.frequencies / frequency), 0.0, atol=1.0)
    np.testing.assert_allclose(report.cents, offset, atol=1.0)
    assert report.midi_notes == (note,)


def test_weak_fundamental_is_still_the_pitch():
    amplitudes = (0.05, 0.3, 0.1, 0.1)
    tone = sum(
        amplitude * np.sin(2 * np.pi * 330.0 * harmonic * TIME)
        for harmonic, amplitude in enumerate(amplitudes, start=1)
    )
    report = melodies.analyse_notes(tone, SAMPLE_RATE)
    np.testing.assert_allclose(report.frequencies, 330.0, rtol=2e-3)


def test_report_has_one_entry_for_each_frame():
    report = melodies.analyse_notes(np.concatenate([np.zeros(8000), _melody()]), SAMPLE_RATE)
    assert len(report.frequencies) == len(report.cents) == (8000 + NUM_SAMPLES - 320) // 80 + 1
    assert np.all(np.isnan(report.frequencies[:90]))
    pitched = np.isfinite(report.frequencies)
    assert report.fraction_pitched == pytest.approx(np.mean(pitched))
    assert np.array_equal(pitched, np.isfinite(report.cents))


def test_summary_names_what_was_heard():
    frequencies = [melodies.SCALE_FREQUENCIES[degree] for degree in (0, 4, 9, 0)]
    report = melodies.analyse_notes(_play(frequencies), SAMPLE_RATE)
    assert report.summary.startswith("melody: ")
    assert report.summary.endswith(" distinct notes: 3 (C4 A4 A5)")
    silence = melodies.analyse_notes(np.zeros(NUM_SAMPLES), SAMPLE_RATE)
    assert silence.summary == (
        "no melody: 0% of frames pitched, 0% of loud frames in scale, distinct notes: 0 (none)"
    )


def test_checker_refuses_a_rate_too_low_for_the_scale():
    with pytest.raises(InputError, match="sample rate"):
        melodies.analyse_notes(np.zeros(1000), 1000)
