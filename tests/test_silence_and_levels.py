import itertools

import librosa
import numpy as np
import pytest
import scipy.stats
from conftest import tone

from wavenet_tf import audio as wt_audio
from wavenet_tf.audio import Levels, audible_segments, join_segments, measure_levels, normalize
from wavenet_tf.errors import InputError

RATE = 8000
MARGIN = 400  # 50 ms


def noise(seconds, level=0.1, seed=0):
    samples = np.random.default_rng(seed).normal(scale=level, size=round(seconds * RATE))
    return samples.astype(np.float32)


def sound_and_pauses(*seconds, background=0.0):
    """Noise and silence in turns, beginning with silence, over noise of a level."""
    parts = [
        noise(length, 0.1, index) if index % 2 else np.zeros(round(length * RATE))
        for index, length in enumerate(seconds)
    ]
    audio = np.concatenate(parts)
    return (audio + noise(len(audio) / RATE, background, 99)).astype(np.float32)


@pytest.mark.parametrize("trim_db", [20.0, 45.0, 60.0])
@pytest.mark.parametrize(
    "audio",
    [
        sound_and_pauses(0.6, 0.4, 0.3, 0.5, 0.9),
        sound_and_pauses(0.61, 0.37, 0.52, background=1e-5),
        sound_and_pauses(0.61, 0.37, 0.52, background=1e-3),
        sound_and_pauses(0.0, 0.5, 0.5),
        sound_and_pauses(0.5, 0.5),
        noise(0.5) * np.linspace(0, 1, 4000) ** 4,
        # The loudest frame reaches beyond the beginning; the rest is just loud enough at 20 dB.
        np.concatenate([noise(0.03), noise(0.5, 0.0092), np.zeros(3000)]),
        noise(1.0)[:7999],
        noise(0.01),
    ],
)
def test_ends_are_trimmed_as_librosa_does_with_a_margin(audio, trim_db):
    _, (begin, end) = librosa.effects.trim(audio, top_db=trim_db, frame_length=400, hop_length=100)
    expected = (max(0, begin - MARGIN), min(len(audio), end + MARGIN))
    assert audible_segments(audio, RATE, trim_db) == [expected]


def test_silence_is_relative_to_the_clip():
    audio = sound_and_pauses(0.5, 0.5, 0.5, background=1e-6)
    expected = audible_segments(audio, RATE)
    assert expected[0][0] > 3000
    for gain in (1e-3, 0.1, 10.0):
        assert audible_segments(gain * audio, RATE) == expected


def test_frames_hops_and_margin_are_in_seconds():
    audio = sound_and_pauses(0.5, 0.5, 0.5)
    [(begin, end)] = audible_segments(audio, RATE)
    assert audible_segments(np.repeat(audio, 2), 2 * RATE) == [(2 * begin, 2 * end)]


def test_pauses_longer_than_half_a_second_become_half_a_second():
    audio = sound_and_pauses(1.0, 0.5, 0.45, 0.5, 0.75, 0.5, 3.0, 0.5, 1.0)
    segments = audible_segments(audio, RATE, inner=True)
    assert len(segments) == 3
    flat = np.array(segments).flatten()
    assert (np.diff(flat) > 0).all()
    [whole] = audible_segments(audio, RATE)
    assert (flat[0], flat[-1]) == whole
    kept = join_segments(audio, segments)
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept[kept != 0], audio[audio != 0])
    # Frames that hold a bit of sound reach up to 25 ms, and a hop, beyond it.
    silent = np.convolve(kept == 0, np.ones(100), "same") == 100
    edges = np.flatnonzero(np.diff(silent.astype(int), prepend=0, append=0))
    pauses = (np.diff(edges)[::2] + 99) / RATE
    np.testing.assert_allclose(pauses[1:-1], [0.45, 0.55, 0.55], atol=0.03)


def test_pauses_stay_by_default_and_where_they_are_short():
    audio = sound_and_pauses(0.2, 0.5, 0.45, 0.5, 0.2)
    assert audible_segments(audio, RATE, inner=True) == audible_segments(audio, RATE)
    long = sound_and_pauses(0.2, 0.5, 2.0, 0.5, 0.2)
    assert len(audible_segments(long, RATE)) == 1
    assert len(audible_segments(long, RATE, inner=True)) == 2


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("audio", [np.zeros(9000), np.full(9000, 1e-7), np.zeros(1), np.ones(1)])
def test_a_clip_without_levels_to_compare_is_kept_whole(audio, inner):
    assert audible_segments(audio, RATE, inner=inner) == [(0, len(audio))]


def test_a_single_click_is_kept_wherever_it_is():
    for place in (0, 1, 4000, 7998, 7999):
        audio = np.zeros(8000)
        audio[place] = 1.0
        [(begin, end)] = audible_segments(audio, RATE, inner=True)
        assert begin <= place < end
        assert end - begin <= 2 * MARGIN + 600


@pytest.mark.parametrize("seed", range(5))
def test_labels_move_with_their_sound(seed):
    """Each label's sound is the same samples before and after, less what is dropped."""
    generator = np.random.default_rng(seed)
    audio = sound_and_pauses(*generator.uniform(0.1, 1.5, 9))
    segments = audible_segments(audio, RATE, inner=True)
    bounds = np.unique(generator.integers(0, len(audio), 40)).tolist()
    labels = [
        (begin / RATE, end / RATE, str(index))
        for index, (begin, end) in enumerate(itertools.pairwise(bounds))
    ]
    numbered = np.arange(len(audio))
    kept = join_segments(numbered, segments)
    moved = wt_audio.move_alignment({"phones": labels}, segments, RATE)
    assert list(moved) == ["phones"]
    by_label = {label: (begin, end) for begin, end, label in moved["phones"]}
    for begin, end, label in labels:
        expected = np.intersect1d(numbered[round(begin * RATE) : round(end * RATE)], kept)
        if not len(expected):
            assert label not in by_label
            continue
        new_begin, new_end = (round(seconds * RATE) for seconds in by_label[label])
        np.testing.assert_array_equal(kept[new_begin:new_end], expected)
    assert len(by_label) < len(labels)


def test_labels_of_a_whole_clip_stay():
    labels = {"phones": [(0.0, 0.14, "h#"), (0.14, 0.29, "sh")], "words": []}
    assert wt_audio.move_alignment(labels, [(0, 16000)], 16000) == labels


def test_levels_are_what_numpy_finds():
    audio = tone(1.0, RATE, 440.0) + np.float32(0.125)
    levels = measure_levels(audio)
    assert levels.peak == pytest.approx(20 * np.log10(np.abs(audio).max()), abs=1e-4)
    rms = scipy.stats.pmean(np.abs(audio.astype(np.float64)), 2)
    assert levels.rms == pytest.approx(20 * np.log10(rms), abs=1e-4)
    assert levels.dc_offset == pytest.approx(0.125, abs=1e-5)
    assert levels.clipped == 0


def test_levels_of_a_sine_and_of_its_negative():
    sine = np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE)
    assert measure_levels(sine).peak == pytest.approx(0.0, abs=1e-6)
    assert measure_levels(sine).rms == pytest.approx(-10 * np.log10(2), abs=1e-6)
    for shifted in (sine + 0.5, sine - 0.5):
        assert measure_levels(shifted).peak == pytest.approx(20 * np.log10(1.5), abs=1e-6)
    assert measure_levels(sine - 0.25).dc_offset == pytest.approx(-0.25, abs=1e-9)


def test_levels_of_silence():
    assert measure_levels(np.zeros(100)) == Levels(-120.0, -120.0, 0.0, 0)
    assert measure_levels([1e-9]).peak == pytest.approx(-120.0)


def test_clipped_samples_are_those_of_flat_tops():
    step = 2.0**-15
    for run, clipped in {
        (1.0, 1.0): 0,
        (1.0, 1.0, 1.0): 3,
        (-1.0, -1.0, -1.0, -1.0): 4,
        (1 - step, 1 - step, 1 - step): 3,
        (-1 + step, -1.0, -1 + step): 3,
        (1 - 2 * step,) * 5: 0,
        (0.5,) * 5: 0,
        (1.0, -1.0, 1.0, -1.0, 1.0): 0,
        (1.5, 1.2, 1.7): 3,
        (1.0, 1.0, 0.0, 1.0, 1.0): 0,
        (1.0, 1.0, 1.0, 0.0, -1.0, -1.0, -1.0): 6,
    }.items():
        for audio in (run, (0.0, *run, 0.0), (0.0, *run), (*run, 0.0)):
            assert measure_levels(audio).clipped == clipped, audio


def test_a_loud_wave_is_not_clipped_and_a_cut_one_is():
    wave = np.sin(2 * np.pi * 203 * np.arange(RATE) / RATE)
    steps = wt_audio.to_16_bits(wave) / 2**15
    assert measure_levels(steps).clipped == 0
    cut = wt_audio.to_16_bits(1.2 * wave) / 2**15
    # Where the sine is above 1 / 1.2.
    expected = len(wave) * (1 - 2 * np.arcsin(1 / 1.2) / np.pi)
    assert measure_levels(cut).clipped == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("level", [-40.0, -20.0, -3.0])
@pytest.mark.parametrize("kind", ["peak", "rms"])
def test_levels_become_those_wanted(kind, level):
    audio = tone(0.5, RATE)
    out = normalize(audio, kind, level)
    assert out.dtype == np.float32
    if (kind, level) == ("rms", -3.0):  # -3.01 dB would be a sine of amplitude 1
        assert np.abs(out).max() == np.float32(32767 / 32768)
    else:
        assert getattr(measure_levels(out), kind) == pytest.approx(level, abs=1e-4)
    gain = out[5] / audio[5]
    np.testing.assert_allclose(out, gain * audio, rtol=1e-5)


@pytest.mark.parametrize("kind", ["peak", "rms"])
@pytest.mark.parametrize("peak", [1.0, -1.0])
def test_normalised_audio_fits_16_bits(kind, peak):
    audio = noise(0.2, 0.01)
    audio[50] = peak
    out = normalize(audio, kind, 0.0)
    assert np.abs(out).max() <= 1.0
    steps = wt_audio.to_16_bits(out)
    assert np.abs(steps.astype(int)).max() == 32767
    np.testing.assert_allclose(steps, out * 32768, atol=0.51)


@pytest.mark.parametrize("kind", ["peak", "rms"])
def test_silence_is_not_made_louder(kind):
    for audio in (np.zeros(10), np.full(10, 5e-7, np.float32)):
        np.testing.assert_array_equal(normalize(audio, kind, -20.0), audio)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: audible_segments(np.ones(9), RATE, trim_db=0.0), "trim_db must be .*received 0.0"),
        (lambda: audible_segments(np.ones(9), 0), "sample_rate must be .*received 0"),
        (lambda: audible_segments(np.ones([9, 2]), RATE), r"audio must be .*shape \[9, 2\]"),
        (lambda: measure_levels([]), r"audio must be .*shape \[0\]"),
        (lambda: measure_levels([np.nan]), "audio must be finite"),
        (lambda: normalize(np.ones(9), "loudness", -20.0), "kind must be .*received 'loudness'"),
        (lambda: normalize(np.ones(9), "peak", 0.1), "level_db must be .*received 0.1"),
        (lambda: normalize(np.ones(9), "peak", np.nan), "level_db must be .*received nan"),
        (lambda: wt_audio.move_alignment({}, [(0, 9)], 0), "sample_rate must be .*received 0"),
    ],
)
def test_arguments_out_of_range_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
