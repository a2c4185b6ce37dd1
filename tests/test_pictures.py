"""Tests of the pictures of recordings, by the pixels they draw."""

import pathlib
import warnings

import matplotlib.figure
import matplotlib.image
import numpy as np
import pytest
import soundfile
from conftest import run_program

from wavenet_tf.reports import pictures

SAMPLE_RATE = 8000
TIME = np.arange(SAMPLE_RATE) / SAMPLE_RATE
SILENCE = np.zeros(SAMPLE_RATE, np.float32)


def _draw(recordings, path: pathlib.Path) -> np.ndarray:
    """Draws recordings and returns the picture, float [rows, columns, RGB]."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures.draw_recordings(recordings, path)
    return matplotlib.image.imread(path)[..., :3]


def _runs(mask: np.ndarray, min_length: int) -> list[tuple[int, int]]:
    """Start and end of each run of true values at least `min_length` long."""
    edges = np.flatnonzero(np.diff(mask.astype(int), prepend=0, append=0)).reshape(-1, 2)
    return [(start, end) for start, end in edges.tolist() if end - start >= min_length]


def _spectrogram_columns(picture: np.ndarray) -> list[tuple[int, int]]:
    """Left and right of each spectrogram, by a row of pixels through their lower half."""
    row = picture[round(0.8 * len(picture))]
    return _runs(row.min(axis=-1) < 0.95, min_length=50)


def _spectrogram_rows(picture: np.ndarray, column: tuple[int, int]) -> tuple[int, int]:
    """Top and bottom of a spectrogram, by the pixels in its middle."""
    pixels = picture[:, sum(column) // 2].min(axis=-1) < 0.95
    return _runs(pixels, min_length=50)[-1]


@pytest.mark.parametrize("num_recordings", [1, 2, 3])
def test_picture_has_a_column_for_each_recording(tmp_path, num_recordings):
    path = tmp_path / "picture.png"
    picture = _draw([("silence", SILENCE, SAMPLE_RATE)] * num_recordings, path)
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert picture.shape == (500, 500 * num_recordings + 100, 3)
    assert len(_spectrogram_columns(picture)) == num_recordings
    assert [item.name for item in tmp_path.iterdir()] == ["picture.png"]


@pytest.mark.parametrize("frequency", [500, 1000, 3000])
def test_tone_is_drawn_at_its_frequency(tmp_path, frequency):
    tone = 0.5 * np.sin(2 * np.pi * frequency * TIME)
    picture = _draw([("tone", tone, SAMPLE_RATE)], tmp_path / "picture.png")
    (column,) = _spectrogram_columns(picture)
    top, bottom = _spectrogram_rows(picture, column)
    brightness = picture[top + 3 : bottom - 3, sum(column) // 2].sum(axis=-1)
    height = 1.0 - (3 + np.argmax(brightness)) / (bottom - top)
    assert height == pytest.approx(frequency / 4000, abs=0.01)


def test_tone_is_drawn_at_its_time(tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 2000.0 * TIME) * (TIME >= 0.75)
    picture = _draw([("late tone", tone, SAMPLE_RATE)], tmp_path / "picture.png")
    (column,) = _spectrogram_columns(picture)
    top, bottom = _spectrogram_rows(picture, column)
    brightness = picture[(top + bottom) // 2, slice(*column)].sum(axis=-1)[3:-3]
    onset = (3 + np.argmax(brightness > 1.5)) / (column[1] - column[0])
    assert onset == pytest.approx(0.75, abs=0.02)


def test_columns_share_the_level_scale(tmp_path):
    noise = np.random.default_rng(0).normal(0.0, 0.2, SAMPLE_RATE)
    recordings = [(f"{gain}", gain * noise, SAMPLE_RATE) for gain in (1.0, 0.1, 0.0)]
    picture = _draw(recordings, tmp_path / "picture.png")
    loud, quiet, silent = (
        picture[300:420, left + 5 : right - 5].mean()
        for left, right in _spectrogram_columns(picture)
    )
    assert loud > quiet + 0.1 > silent + 0.2
    assert silent < 0.01


def test_columns_share_the_time_and_frequency_scales(tmp_path):
    recordings = [
        ("whole", np.zeros(2 * SAMPLE_RATE), 2 * SAMPLE_RATE),
        ("half as long at half the rate", np.zeros(SAMPLE_RATE // 2), SAMPLE_RATE),
    ]
    picture = _draw(recordings, tmp_path / "picture.png")
    whole, half = _spectrogram_columns(picture)
    assert (half[1] - half[0]) / (whole[1] - whole[0]) == pytest.approx(0.5, abs=0.02)
    (top, bottom), (half_top, half_bottom) = (
        _spectrogram_rows(picture, column) for column in (whole, half)
    )
    assert (half_bottom - half_top) / (bottom - top) == pytest.approx(0.5, abs=0.02)
    assert half_bottom == pytest.approx(bottom, abs=2)


def test_waveform_is_drawn_above(tmp_path):
    heights = []
    for amplitude in (0.2, 0.8):
        tone = amplitude * np.sin(2 * np.pi * 440.0 * TIME)
        picture = _draw([("tone", tone, SAMPLE_RATE)], tmp_path / "picture.png")
        ((left, right),) = _spectrogram_columns(picture)
        upper = picture[:160, (left + right) // 2]
        blue = upper[:, 2] > upper[:, 0] + 0.2
        heights.append(np.count_nonzero(blue))
    assert heights[0] > 20
    assert heights[1] == pytest.approx(4 * heights[0], rel=0.15)


@pytest.mark.parametrize("num_samples", [0, 1, 100])
def test_shortest_recordings_are_drawn(tmp_path, num_samples):
    audio = np.full(num_samples, 0.5, np.float32)
    alone = _draw([("short", audio, SAMPLE_RATE)], tmp_path / "alone.png")
    assert alone.shape == (500, 600, 3)
    beside = [("short", audio, SAMPLE_RATE), ("long", SILENCE, SAMPLE_RATE)]
    assert _draw(beside, tmp_path / "beside.png").shape == (500, 1100, 3)


def test_picture_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no recordings"):
        pictures.draw_recordings([], tmp_path / "picture.png")


def test_failed_drawing_leaves_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")

    def fail(figure, file, **_):
        pathlib.Path(file).write_bytes(b"half a picture")
        raise OSError("disk full")

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        pictures.draw_recordings([("silence", SILENCE, SAMPLE_RATE)], path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_learning_curves_are_drawn_with_the_best_point():
    x, y = np.array([2.0, 4.0, 5.0]), np.array([3.0, np.nan, 1.5])
    curves = {"Training": (x, y), "Validation": (x, 2.0 * y)}
    (axis,) = pictures.learning_curves_figure(curves, "Step", "Bits", (5, 3.0)).axes
    np.testing.assert_array_equal(axis.lines[1].get_xydata(), np.stack([x, 2.0 * y], axis=1))
    np.testing.assert_array_equal(axis.lines[2].get_xydata(), [[5, 3.0]])
    names = [text.get_text() for text in axis.get_legend().get_texts()]
    assert names == ["Training", "Validation", "Best"]
    (axis,) = pictures.learning_curves_figure({"Rate": (x, y)}, "Step", "Rate").axes
    assert axis.get_legend() is None


@pytest.mark.slow
def test_program_draws_files(tmp_path):
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for path in paths:
        soundfile.write(path, SILENCE, SAMPLE_RATE)
    result = run_program(
        "plot.py", *paths, "--output", tmp_path / "picture.png", "--titles=first,second"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"drew first, second to {tmp_path / 'picture.png'}\n"
    recordings = [("first", SILENCE, SAMPLE_RATE), ("second", SILENCE, SAMPLE_RATE)]
    expected = _draw(recordings, tmp_path / "expected.png")
    np.testing.assert_array_equal(
        matplotlib.image.imread(tmp_path / "picture.png")[..., :3], expected
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((), "at least one recording"), (("a.wav", "b.wav", "--titles=one"), "1 titles")],
)
def test_program_refuses_bad_arguments_in_one_line(tmp_path, arguments, message):
    result = run_program("plot.py", *arguments, "--output", tmp_path / "picture.png")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []
