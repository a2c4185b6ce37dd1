"""Pictures of recordings and of measurements."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wavenet_tf import files
from wavenet_tf.errors import InputError

if TYPE_CHECKING:  # it takes half a second, which a refused flag does not need
    import matplotlib.axes
    import matplotlib.figure

SUFFIXES = (".png", ".svg", ".pdf")

COLUMN_INCHES = 5.0
COLOUR_BAR_INCHES = 1.0
HEIGHT_INCHES = 5.0
DOTS_PER_INCH = 100
TITLE_CHARACTERS = 50

WINDOW_SECONDS = 0.04
NUM_SPECTROGRAM_COLUMNS = 1000
DYNAMIC_RANGE_DB = 80.0

NUM_BINS = 50
# Of a curve: more of them would hide it.
POINTS_MARKED = 40
# Of a crop: quieter ones are not drawn any larger.
QUIETEST_PEAK = 0.01


def check_output(path: str | os.PathLike | None) -> None:
    """Raises InputError unless the suffix of a picture names a known format.

    Args:
        path: of the picture; None is no picture.
    """
    if path is not None and Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(
            f"cannot write a picture to {path}: its suffix must be one of {', '.join(SUFFIXES)}"
        )


def _write(figure: matplotlib.figure.Figure, path: str | os.PathLike) -> None:
    check_output(path)
    with files.atomic_path(path) as temporary:
        figure.savefig(temporary, format=temporary.suffix[1:].lower())


def draw_recordings(
    recordings: Sequence[tuple[str, np.ndarray, int]], path: str | os.PathLike
) -> None:
    """Draws each recording as a column, waveform above spectrogram, on shared scales.

    Args:
        recordings: for each column its title, mono audio in [-1, 1] (float [samples], may be
            empty) and sample rate in Hz.
        path: PNG, SVG or PDF file to write, whole or not at all.

    Raises:
        InputError: if the suffix names no known format.
        OSError: if the file cannot be written.
        ValueError: if there is no recording.
    """
    figure = figure_of_recordings(recordings)
    _write(figure, path)


def figure_of_recordings(
    recordings: Sequence[tuple[str, np.ndarray, int]],
) -> matplotlib.figure.Figure:
    """The figure that `draw_recordings` writes.

    Args:
        recordings: see there.

    Raises:
        ValueError: if there is no recording.
    """
    if not recordings:
        raise ValueError("no recordings to draw")
    from matplotlib.figure import Figure

    width = COLUMN_INCHES * len(recordings) + COLOUR_BAR_INCHES
    figure = Figure(figsize=(width, HEIGHT_INCHES), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots(
        2, len(recordings), sharex=True, sharey="row", squeeze=False, height_ratios=(1, 2)
    )
    # An axis without extent cannot be drawn, so an empty recording counts as one sample.
    durations = [max(len(audio), 1) / sample_rate for _, audio, sample_rate in recordings]
    for (title, audio, sample_rate), duration, (waveform_axes, spectrogram_axes) in zip(
        recordings, durations, axes.T, strict=True
    ):
        # The name of a file may be no text, which cannot be drawn.
        title = title.encode(errors="backslashreplace").decode()
        waveform_axes.set_title(textwrap.fill(title, TITLE_CHARACTERS), fontsize="medium")
        waveform_axes.plot(np.arange(len(audio)) / sample_rate, audio, linewidth=0.5)
        image = spectrogram_axes.imshow(
            _spectrogram(audio, sample_rate),
            origin="lower",
            aspect="auto",
            extent=(0.0, duration, 0.0, sample_rate / 2000),
            cmap="magma",
            vmin=-DYNAMIC_RANGE_DB,
            vmax=0.0,
        )
        spectrogram_axes.set_xlabel("Time (s)")

    peak = max(np.max(np.abs(audio), initial=1.0) for _, audio, _ in recordings)
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
    """Draws measured points side by side, on one scale that begins at zero.

    Args:
        curves: points `(x, y)`, by the name of x.
        ylabel: the name of y.
        path: PNG, SVG or PDF file to write, whole or not at all.

    Raises:
        InputError: if the suffix names no known format.
        OSError: if the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(COLUMN_INCHES * len(curves), 0.7 * HEIGHT_INCHES),
        dpi=DOTS_PER_INCH,
        layout="constrained",
    )
    axes = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axis, (xlabel, points) in zip(axes, curves.items(), strict=True):
        axis.plot(*zip(*points, strict=True), marker="o")
        axis.set_xlabel(xlabel)
        axis.set_xlim(left=0)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(ylabel)
    _write(figure, path)


def figure_of_histograms(
    values: dict[str, np.ndarray], xlabel: str, limits: tuple[float, float]
) -> matplotlib.figure.Figure:
    """Draws how often values of clips occur, several kinds over one another.

    Args:
        values: one a clip, by the name of their kind, which is told where there are several.
        xlabel: the name of the values.
        limits: of the axis; values beyond count in its outermost bars.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axis = _figure_of_one_axis()
    for name, kind in values.items():
        axis.hist(np.clip(kind, *limits), NUM_BINS, range=limits, alpha=0.7, label=name)
    if len(values) > 1:
        axis.legend()
    axis.set_xlim(limits)
    axis.set_xlabel(xlabel)
    axis.set_ylabel("Clips")
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def figure_of_codes(shares: np.ndarray) -> matplotlib.figure.Figure:
    """Draws how often each code occurs.

    Args:
        shares: of the samples, for each code.
    """
    figure, axis = _figure_of_one_axis()
    axis.stairs(100 * shares, np.arange(len(shares) + 1) - 0.5, fill=True, alpha=0.7)
    axis.axhline(100 / len(shares), color="C1", linewidth=1, label="All alike")
    axis.legend()
    axis.set_xlim(0, len(shares) - 1)
    axis.set_xlabel("Code")
    axis.set_ylabel("Share of samples (%)")
    return figure


def figure_of_progress(
    curves: dict[str, tuple[np.ndarray, np.ndarray]],
    xlabel: str,
    ylabel: str,
    marked: tuple[float, float] | None = None,
) -> matplotlib.figure.Figure:
    """Draws how something went on, several curves over one another.

    Args:
        curves: x and y, `[points]`, by name, which is told where there are several; where y is no
            number, nothing is drawn.
        xlabel: the name of x.
        ylabel: the name of y.
        marked: a point to point out.
    """
    figure, axis = _figure_of_one_axis()
    for name, (x, y) in curves.items():
        marker = "o" if len(x) <= POINTS_MARKED else None
        axis.plot(x, y, marker=marker, markersize=3, linewidth=1.2, label=name)
    if marked is not None:
        axis.plot(*marked, "o", color="C3", markersize=7, fillstyle="none", label="Best")
    if len(axis.lines) > 1:
        axis.legend()
    axis.set_xlim(left=0)
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.grid(alpha=0.3)
    return figure


def figure_of_crop(
    audio: np.ndarray, scored: np.ndarray, sample_rate: int
) -> matplotlib.figure.Figure:
    """Draws a crop's waveform, with what is not scored shaded.

    Args:
        audio: mono, in [-1, 1], `[samples]`.
        scored: whether each sample is, `[samples]`.
        sample_rate: in Hz.
    """
    figure, axis = _figure_of_one_axis()
    time = np.arange(len(audio)) / sample_rate
    axis.plot(time, audio, linewidth=0.5)
    edges = np.flatnonzero(np.diff(~scored, prepend=False, append=False)) / sample_rate
    for begin, end in edges.reshape(-1, 2):
        axis.axvspan(begin, end, color="grey", alpha=0.3, linewidth=0)
    peak = max(np.max(np.abs(audio)), QUIETEST_PEAK)
    axis.set_ylim(-1.05 * peak, 1.05 * peak)
    axis.set_xlim(0.0, len(audio) / sample_rate)
    axis.set_xlabel("Time (s)")
    axis.set_ylabel("Amplitude")
    return figure


def _figure_of_one_axis() -> tuple[matplotlib.figure.Figure, matplotlib.axes.Axes]:
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(COLUMN_INCHES, 0.5 * HEIGHT_INCHES), dpi=DOTS_PER_INCH, layout="constrained"
    )
    return figure, figure.subplots()


def _spectrogram(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Returns short-time levels, float [bins, frames], 0 dB for a sine of amplitude 1."""
    window_length = max(2, round(WINDOW_SECONDS * sample_rate))
    # Padded by half a window, frames are centred on their time and the shortest audio has one.
    padded = np.pad(audio, window_length // 2 + 1)
    hop_length = max(1, len(audio) // NUM_SPECTROGRAM_COLUMNS)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window_length)[::hop_length]
    window = np.hanning(window_length + 2)[1:-1]
    amplitude = np.abs(np.fft.rfft(frames * window, 2 * window_length)) / (0.5 * np.sum(window))
    return 20.0 * np.log10(np.maximum(amplitude.T, 1e-6))
