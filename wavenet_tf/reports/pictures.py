"""Pictures of recordings and of measurements, drawn by matplotlib.

matplotlib is imported when the first figure is made, so that the path of a picture can be checked
before.
"""

from __future__ import annotations

import contextlib
import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wavenet_tf import audio, files
from wavenet_tf.errors import InputError

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

SUFFIXES = (".png", ".svg", ".pdf")

COLUMN_INCHES = 5.0
COLOR_BAR_INCHES = 1.0
HEIGHT_INCHES = 5.0
DOTS_PER_INCH = 100
TITLE_CHARACTERS = 50

WINDOW_SECONDS = 0.04
NUM_SPECTROGRAM_COLUMNS = 1000
DYNAMIC_RANGE_DB = 80.0

NUM_BINS = 50
# A curve of more points has no markers, which would hide it.
MAX_MARKERS = 40
# Waveforms of crops are scaled to their peak, those of a lower peak to this one.
MIN_CROP_PEAK = 0.01

# Readable on a light page and on a dark one.
_GRAY = "#767c86"
_PAGE_STYLE: dict[Any, Any] = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": _GRAY,
    "axes.labelcolor": _GRAY,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "legend.frameon": False,
    "text.color": _GRAY,
    "xtick.color": _GRAY,
    "ytick.color": _GRAY,
}


def page_style() -> contextlib.AbstractContextManager[None]:
    """Returns a context in which figures are drawn for a web page, light or dark."""
    import matplotlib

    return matplotlib.rc_context(_PAGE_STYLE)


def check_picture_path(path: str | os.PathLike | None) -> None:
    """Raises InputError unless the suffix of a picture's path is that of a known format.

    Args:
        path: of the picture; None for no picture.

    Example:
    >>> check_picture_path("picture.gif")
    Traceback (most recent call last):
    wavenet_tf.errors.InputError: cannot write a picture to picture.gif: its suffix must be one of \
.png, .svg, .pdf
    """
    if path is not None and Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(
            f"cannot write a picture to {path}: its suffix must be one of {', '.join(SUFFIXES)}"
        )


def draw_recording_files(
    paths: Sequence[str | os.PathLike], titles: Sequence[str], path: str | os.PathLike
) -> None:
    """Draws recordings that are read from files, see `draw_recordings`.

    Args:
        paths: of the recordings.
        titles: one for each recording.
        path: PNG, SVG or PDF file to write, whole or not at all.

    Raises:
        InputError: if a recording cannot be read, or the suffix names no known format.
        OSError: if the file cannot be written.
    """
    recordings = [
        (title, *audio.read_audio(source)) for title, source in zip(titles, paths, strict=True)
    ]
    draw_recordings(recordings, path)


def draw_recordings(
    recordings: Sequence[tuple[str, np.ndarray, int]], path: str | os.PathLike
) -> None:
    """Draws each recording as a column, waveform above spectrogram, on shared scales.

    Args:
        recordings: for each column its title, mono audio in [-1, 1] (float `[samples]`, may be
            empty) and sample rate in Hz.
        path: PNG, SVG or PDF file to write, whole or not at all.

    Raises:
        InputError: if the suffix names no known format.
        OSError: if the file cannot be written.
        ValueError: if there is no recording.
    """
    _write(recordings_figure(recordings), path)


def recordings_figure(
    recordings: Sequence[tuple[str, np.ndarray, int]],
) -> matplotlib.figure.Figure:
    """Returns the figure that `draw_recordings` writes.

    Args:
        recordings: see `draw_recordings`.

    Raises:
        ValueError: if there is no recording.
    """
    if not recordings:
        raise ValueError("no recordings to draw")
    figure = _new_figure(COLUMN_INCHES * len(recordings) + COLOR_BAR_INCHES, HEIGHT_INCHES)
    axes = figure.subplots(
        2, len(recordings), sharex=True, sharey="row", squeeze=False, height_ratios=(1, 2)
    )
    # An axis without extent cannot be drawn: an empty recording is drawn as long as one sample.
    durations = [max(len(waveform), 1) / rate for _, waveform, rate in recordings]
    for (title, waveform, rate), duration, (waveform_axes, spectrogram_axes) in zip(
        recordings, durations, axes.T, strict=True
    ):
        # Bytes of a file name that are not UTF-8 cannot be drawn.
        title = title.encode(errors="backslashreplace").decode()
        waveform_axes.set_title(textwrap.fill(title, TITLE_CHARACTERS), fontsize="medium")
        waveform_axes.plot(np.arange(len(waveform)) / rate, waveform, linewidth=0.5)
        image = spectrogram_axes.imshow(
            _spectrogram(waveform, rate),
            origin="lower",
            aspect="auto",
            extent=(0.0, duration, 0.0, rate / 2000),
            cmap="magma",
            vmin=-DYNAMIC_RANGE_DB,
            vmax=0.0,
        )
        spectrogram_axes.set_xlabel("Time (s)")

    peak = max(np.max(np.abs(waveform), initial=1.0) for _, waveform, _ in recordings)
    axes[0, 0].set_ylim(-1.05 * peak, 1.05 * peak)
    axes[0, 0].set_ylabel("Amplitude")
    axes[1, 0].set_xlim(0.0, max(durations))
    axes[1, 0].set_ylim(0.0, max(rate for _, _, rate in recordings) / 2000)
    axes[1, 0].set_ylabel("Frequency (kHz)")
    figure.colorbar(image, ax=axes[1, :], label="Level (dBFS)")
    return figure


def draw_curves(
    curves: dict[str, Sequence[tuple[float, float]]], ylabel: str, path: str | os.PathLike
) -> None:
    """Draws curves side by side, on one scale that begins at zero.

    Args:
        curves: points `(x, y)` of each curve, by the label of its x axis.
        ylabel: label of the y axis.
        path: PNG, SVG or PDF file to write, whole or not at all.

    Raises:
        InputError: if the suffix names no known format.
        OSError: if the file cannot be written.
    """
    figure = _new_figure(COLUMN_INCHES * len(curves), 0.7 * HEIGHT_INCHES)
    axes = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axis, (xlabel, points) in zip(axes, curves.items(), strict=True):
        axis.plot(*zip(*points, strict=True), marker="o")
        axis.set_xlabel(xlabel)
        axis.set_xlim(left=0)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(ylabel)
    _write(figure, path)


def histograms_figure(
    values: dict[str, np.ndarray], xlabel: str, limits: tuple[float, float]
) -> matplotlib.figure.Figure:
    """Draws one histogram or several overlaid ones of values of clips.

    Args:
        values: the values of each histogram, `[clips]`, by name; several histograms have a legend.
        xlabel: label of the x axis.
        limits: of the x axis; values beyond count in its outermost bars.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axis = _figure_of_one_axis()
    for name, clip_values in values.items():
        axis.hist(np.clip(clip_values, *limits), NUM_BINS, range=limits, alpha=0.7, label=name)
    if len(values) > 1:
        axis.legend()
    axis.set_xlim(limits)
    axis.set_xlabel(xlabel)
    axis.set_ylabel("Clips")
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def codes_figure(shares: np.ndarray) -> matplotlib.figure.Figure:
    """Draws how often each code occurs, beside the uniform distribution.

    Args:
        shares: share of the samples that have each code, `[codes]`, with the sum 1.
    """
    figure, axis = _figure_of_one_axis()
    axis.stairs(100 * shares, np.arange(len(shares) + 1) - 0.5, fill=True, alpha=0.7)
    axis.axhline(100 / len(shares), color="C1", linewidth=1, label="Uniform")
    axis.legend()
    axis.set_xlim(0, len(shares) - 1)
    axis.set_xlabel("Code")
    axis.set_ylabel("Share of samples (%)")
    return figure


def learning_curves_figure(
    curves: dict[str, tuple[np.ndarray, np.ndarray]],
    xlabel: str,
    ylabel: str,
    best: tuple[float, float] | None = None,
) -> matplotlib.figure.Figure:
    """Draws overlaid curves, such as those of training and validation.

    Args:
        curves: x and y of each curve, `[points]`, by name; several curves have a legend. A point
            whose y is NaN is not drawn.
        xlabel: label of the x axis.
        ylabel: label of the y axis.
        best: a point to mark as the best one; None for no mark.
    """
    figure, axis = _figure_of_one_axis()
    for name, (x, y) in curves.items():
        marker = "o" if len(x) <= MAX_MARKERS else None
        axis.plot(x, y, marker=marker, markersize=3, linewidth=1.2, label=name)
    if best is not None:
        axis.plot(*best, "o", color="C3", markersize=7, fillstyle="none", label="Best")
    if len(axis.lines) > 1:
        axis.legend()
    axis.set_xlim(left=0)
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.grid(alpha=0.3)
    return figure


def crop_figure(
    waveform: np.ndarray, scored: np.ndarray, sample_rate: int
) -> matplotlib.figure.Figure:
    """Draws the waveform of a training crop, and shades the samples that are not scored.

    Args:
        waveform: mono, in [-1, 1], `[samples]`.
        scored: whether each sample is scored, bool `[samples]`.
        sample_rate: in Hz.
    """
    figure, axis = _figure_of_one_axis()
    time = np.arange(len(waveform)) / sample_rate
    axis.plot(time, waveform, linewidth=0.5)
    edges = np.flatnonzero(np.diff(~scored, prepend=False, append=False)) / sample_rate
    for begin, end in edges.reshape(-1, 2):
        axis.axvspan(begin, end, color="gray", alpha=0.3, linewidth=0)
    peak = max(np.max(np.abs(waveform)), MIN_CROP_PEAK)
    axis.set_ylim(-1.05 * peak, 1.05 * peak)
    axis.set_xlim(0.0, len(waveform) / sample_rate)
    axis.set_xlabel("Time (s)")
    axis.set_ylabel("Amplitude")
    return figure


def project_to_plane(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns vectors in the plane of their two main components.

    Args:
        vectors: float `[vectors, channels]`, at least two channels.

    Returns:
        float `[vectors, 2]`, and the share of the variance that lies in the plane.

    Example:
    >>> points, share = project_to_plane(np.array([[0.0, 0.0, 1.0], [3.0, 4.0, 1.0]]))
    >>> float(np.linalg.norm(points[1] - points[0]).round(6)), round(share, 6)
    (5.0, 1.0)
    """
    centered = vectors - vectors.mean(axis=0)
    left, values, _ = np.linalg.svd(centered, full_matrices=False)
    share = float(np.sum(values[:2] ** 2) / max(np.sum(values**2), 1e-12))
    return left[:, :2] * values[:2], share


def points_figure(points: np.ndarray, names: Sequence[str]) -> matplotlib.figure.Figure:
    """Draws named points of a plane.

    Args:
        points: `[points, 2]`.
        names: one for each point.
    """
    figure, axis = _figure_of_one_axis()
    axis.scatter(points[:, 0], points[:, 1])
    for point, name in zip(points, names, strict=True):
        name = name.encode(errors="backslashreplace").decode()
        axis.annotate(name, point, xytext=(4, 4), textcoords="offset points", fontsize="small")
    axis.set_xlabel("First component")
    axis.set_ylabel("Second component")
    axis.margins(0.15)
    return figure


def _new_figure(width: float, height: float) -> matplotlib.figure.Figure:
    """Returns an empty figure; width and height are in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")


def _figure_of_one_axis() -> tuple[matplotlib.figure.Figure, matplotlib.axes.Axes]:
    figure = _new_figure(COLUMN_INCHES, 0.5 * HEIGHT_INCHES)
    return figure, figure.subplots()


def _write(figure: matplotlib.figure.Figure, path: str | os.PathLike) -> None:
    check_picture_path(path)
    with files.atomic_path(path) as temporary:
        figure.savefig(temporary, format=temporary.suffix[1:].lower())


def _spectrogram(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Returns short-time levels in dB, float `[bins, frames]`; a sine of amplitude 1 has 0 dB."""
    window_length = max(2, round(WINDOW_SECONDS * sample_rate))
    # Padding by half a window centers frames on their time, and gives the shortest audio a frame.
    padded = np.pad(waveform, window_length // 2 + 1)
    hop_length = max(1, len(waveform) // NUM_SPECTROGRAM_COLUMNS)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window_length)[::hop_length]
    window = np.hanning(window_length + 2)[1:-1]
    amplitude = np.abs(np.fft.rfft(frames * window, 2 * window_length)) / (0.5 * np.sum(window))
    return 20.0 * np.log10(np.maximum(amplitude.T, 1e-6))
