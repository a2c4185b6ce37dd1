"""The section of a corpus report about distributions: durations, levels, silence and codes."""

from __future__ import annotations

import numpy as np

from wavenet_tf import data
from wavenet_tf.reports import html, pictures
from wavenet_tf.reports.corpus_statistics import (
    SILENCE_DB,
    ClipMeasurements,
    code_distribution,
    speaker_seconds,
)
from wavenet_tf.reports.opened_corpus import OpenedCorpus

MAX_SPEAKERS = 40
# Values beyond the limits of a histogram are counted in its outermost bars.
MIN_LEVEL_DB = -80.0
MAX_DURATION_IN_MEDIANS = 10
MIN_SILENCE_PERCENT = 10.0


def distributions_section(corpus: OpenedCorpus, measurements: ClipMeasurements, model) -> html.Html:
    """Returns the section about the distributions of a corpus.

    Args:
        corpus: the corpus.
        measurements: of its clips.
        model: a `WaveNet`, which encodes the samples as codes.
    """
    scope = _scope(corpus.recordings, measurements)
    return html.section(
        "Distributions",
        html.grid(
            _durations_card(corpus.recordings),
            _levels_card(corpus, measurements, scope),
            _silence_card(measurements, scope),
            _codes_card(measurements, scope, model),
        ),
        *_speakers_cards(corpus.recordings),
    )


def format_duration(seconds: float) -> str:
    """Returns a duration with hours, minutes and seconds.

    Example:
    >>> format_duration(75.2), format_duration(7384)
    ('0:01:15', '2:03:04')
    """
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def _scope(recordings: data.Recordings, measurements: ClipMeasurements) -> str:
    """Returns the phrase for the clips that were measured."""
    if len(measurements.names) == len(recordings.names):
        return "all clips"
    duration = format_duration(measurements.seconds.sum())
    return f"{len(measurements.names):,} clips, {duration}, evenly spaced"


def _durations_card(recordings: data.Recordings) -> html.Html:
    seconds = recordings.lengths / recordings.sample_rate
    median, longest = float(np.median(seconds)), float(seconds.max())
    figure = pictures.histograms_figure(
        {"Duration": seconds}, "Duration (s)", (0.0, min(longest, MAX_DURATION_IN_MEDIANS * median))
    )
    caption = f"All clips: {seconds.min():.2f} to {longest:.2f} s, median {median:.2f} s."
    return html.card(
        "Durations", html.picture(figure, "Histogram of the durations of clips", caption)
    )


def _levels_card(corpus: OpenedCorpus, measurements: ClipMeasurements, scope: str) -> html.Html:
    levels = corpus.original_levels()
    if levels is None:
        levels = measurements.levels
    else:
        scope = "all clips before preparation"
    rms, peak = levels["rms"], levels["peak"]
    figure = pictures.histograms_figure(
        {"RMS": rms, "Peak": peak},
        "Level (dBFS)",
        (max(MIN_LEVEL_DB, float(rms.min())), max(0.0, float(peak.max()))),
    )
    caption = (
        f"{_capitalize(scope)}: median RMS {np.median(rms):.1f} dBFS, median peak "
        f"{np.median(peak):.1f} dBFS."
    )
    return html.card("Levels", html.picture(figure, "Histograms of the levels of clips", caption))


def _silence_card(measurements: ClipMeasurements, scope: str) -> html.Html:
    percent = 100 * measurements.silent_seconds / measurements.seconds
    total = measurements.silent_seconds.sum() / measurements.seconds.sum()
    figure = pictures.histograms_figure(
        {"Silence": percent},
        "Share of the clip (%)",
        (0.0, max(MIN_SILENCE_PERCENT, float(percent.max()))),
    )
    caption = (
        f"{_capitalize(scope)}: {total:.1%} of the audio is silence that prepare_data.py trims "
        f"with --trim_db {SILENCE_DB:g}."
    )
    return html.card(
        "Silence at the ends",
        html.picture(figure, "Histogram of the share of silence in clips", caption),
    )


def _codes_card(measurements: ClipMeasurements, scope: str, model) -> html.Html:
    shares, entropy = code_distribution(measurements.value_counts, model)
    caption = (
        f"{_capitalize(scope)}: the entropy of the codes is {entropy:.3f} bits. A model of the "
        "frequencies of the codes alone, without past samples, reaches this many bits per sample; "
        f"uniform guessing takes {model.distribution.uniform_bits:g}. A trained model must be far "
        "below both."
    )
    return html.card(
        "Codes",
        html.picture(
            pictures.codes_figure(shares), "Histogram of the mu-law codes of samples", caption
        ),
    )


def _speakers_cards(recordings: data.Recordings) -> list[html.Html]:
    """Returns the card with the duration of each speaker; none for fewer than two speakers."""
    names = recordings.speaker_names
    if len(names) < 2:
        return []
    seconds = speaker_seconds(recordings)
    order = np.argsort(-seconds, kind="stable")
    shown, others = order[:MAX_SPEAKERS].tolist(), order[MAX_SPEAKERS:]
    total = seconds.sum()
    rows = [
        (names[speaker], float(duration), f"{format_duration(duration)} ({duration / total:.1%})")
        for speaker, duration in zip(shown, seconds[shown], strict=True)
    ]
    parts = [html.bars(rows)]
    if len(others):
        parts.append(
            html.paragraph(
                f"{len(others):,} more speakers, each with "
                f"{format_duration(seconds[others].min())} to "
                f"{format_duration(seconds[others].max())}."
            )
        )
    return [html.card("Speakers", *parts)]


def _capitalize(phrase: str) -> str:
    return f"{phrase[0].upper()}{phrase[1:]}"
