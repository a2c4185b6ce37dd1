"""The report about a corpus, raw or prepared: a web page that is one file."""

from __future__ import annotations

import collections
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from wavenet_tf import data, files
from wavenet_tf.data.labels import UNKNOWN
from wavenet_tf.data.preparing import report as preparation_report
from wavenet_tf.errors import InputError
from wavenet_tf.models import WaveNet
from wavenet_tf.reports import html, pictures
from wavenet_tf.reports.corpus_figures import distributions_section, format_duration
from wavenet_tf.reports.corpus_statistics import (
    ClipMeasurements,
    example_clips,
    find_outliers,
    measure_clips,
)
from wavenet_tf.reports.opened_corpus import OpenedCorpus, open_corpus
from wavenet_tf.reports.recording_card import recording_card
from wavenet_tf.reports.training_batch import first_training_batch, training_batch_section

MAX_SECONDS_SHOWN = 10
MAX_NAMES_SHOWN = 50
# The default of training.
VALIDATION_FRACTION = 0.1


def write_corpus_report(
    directory: str | os.PathLike,
    output: str | os.PathLike,
    *,
    layout: str = "auto",
    sample_rate: int | None = None,
    speakers: str | None = None,
    preset: str = "tiny",
    crop_seconds: float = 1.0,
    num_clips: int = 6,
    seed: int = 0,
    verbose: bool = False,
) -> None:
    """Writes a web page about a corpus: summary, warnings, distributions, clips, a training batch.

    Args:
        directory: folder of the corpus, raw or prepared.
        output: HTML file to write, whole or not at all.
        layout: see `open_corpus`.
        sample_rate: in Hz, see `open_corpus`.
        speakers: see `open_corpus`.
        preset: name of the configuration of the model that the training batch is for.
        crop_seconds: length of the scored part of a crop, in seconds.
        num_clips: number of clips to show and play.
        seed: of the training batch.
        verbose: prints the size of the corpus, and shows a progress bar.

    Raises:
        InputError: if the corpus cannot be opened, or none of its clips can be read.
        OSError: if the page cannot be written.
    """
    corpus = open_corpus(directory, layout, sample_rate, speakers)
    recordings = corpus.recordings
    size = (
        f"{len(recordings.names):,} clips, {format_duration(recordings.seconds)} at "
        f"{recordings.sample_rate:,} Hz"
    )
    if verbose:
        print(size)
    measurements = measure_clips(recordings, progress=verbose)
    model = _untrained_model(recordings, preset)
    with pictures.page_style():
        page = html.page(
            corpus.directory.name,
            size,
            _summary_section(corpus, measurements, model),
            distributions_section(corpus, measurements, model),
            _clips_section(corpus, num_clips),
            _training_section(recordings, model, preset, crop_seconds, seed),
        )
    files.write_text(output, page)


def _untrained_model(recordings: data.Recordings, preset: str) -> WaveNet:
    """Returns the model that a training on the corpus starts with."""
    speakers = None
    if len(recordings.speaker_names) and UNKNOWN not in recordings.speaker_ids:
        speakers = list(recordings.speaker_names)
    return WaveNet.from_preset(
        preset,
        sample_rate=recordings.sample_rate,
        num_speakers=speakers and len(speakers),
        speaker_names=speakers,
    )


def _summary_section(
    corpus: OpenedCorpus, measurements: ClipMeasurements, model: WaveNet
) -> html.Html:
    warnings = _warnings(corpus, measurements) or [html.paragraph("None.")]
    return html.section(
        "Summary",
        html.grid(
            html.card("Corpus", html.facts(_corpus_facts(corpus))),
            html.card("Splits", *_splits(corpus.recordings, model)),
        ),
        html.card("Warnings", *warnings),
    )


def _corpus_facts(corpus: OpenedCorpus) -> dict[str, Any]:
    recordings, preparation = corpus.recordings, corpus.preparation
    facts: dict[str, Any] = {"Folder": corpus.directory}
    if preparation is None:
        facts["Layout"] = corpus.layout
        facts["Files"] = _file_formats(corpus)
    else:
        kept, trimmed = preparation["statistics"]["seconds"], preparation["seconds_trimmed"]
        facts["Layout"] = "prepared"
        facts["Trimmed silence"] = f"{trimmed:,.1f} s ({trimmed / (kept + trimmed):.1%})"
        facts["Clipped samples"] = f"{preparation['samples_clipped']:,}"
    facts["Clips"] = f"{len(recordings.names):,}"
    facts["Duration"] = f"{format_duration(recordings.seconds)} ({recordings.seconds:,.1f} s)"
    facts["Sample rate"] = f"{recordings.sample_rate:,} Hz"
    facts["Speakers"] = "none"
    if recordings.speaker_names:
        facts["Speakers"] = f"{len(recordings.speaker_names):,}"
        if unknown := np.count_nonzero(recordings.speaker_ids == UNKNOWN):
            facts["Speakers"] += f", and {unknown:,} clips without a speaker"
    return facts


def _file_formats(corpus: OpenedCorpus) -> str:
    """Returns the formats of the files of a raw corpus, with the share of each."""
    formats = collections.Counter(map(_describe_format, corpus.headers))
    shares = "; ".join(
        name if len(formats) == 1 else f"{name} ({count / formats.total():.1%})"
        for name, count in formats.most_common()
    )
    if formats.total() < len(corpus.recordings.names):
        shares += f" ({formats.total():,} files measured)"
    return shares


def _describe_format(header) -> str:
    channels = {1: "mono", 2: "stereo"}.get(header.channels, f"{header.channels} channels")
    return f"{header.format}, {header.subtype_info}, {channels}, {header.samplerate:,} Hz"


def _splits(recordings: data.Recordings, model: WaveNet) -> list[html.Html]:
    """Returns a table of the splits, and how they are made."""
    try:
        training, validation = recordings.split(VALIDATION_FRACTION, model.receptive_field)
    except InputError as error:
        return [html.paragraph(error)]
    splits = {"Training": training, "Validation": validation}
    if recordings.has_test_split:
        splits["Test"] = recordings.test_split()
    if recordings.has_split:
        origin = "The corpus names its validation split."
    elif recordings.splits_by_time:
        origin = (
            "The corpus names no validation split; of its only recording the last "
            f"{VALIDATION_FRACTION:.0%} is held out, after a gap of the receptive field."
        )
    else:
        origin = (
            "The corpus names no validation split; a hash of each recording's path holds out about "
            f"{VALIDATION_FRACTION:.0%} of the duration."
        )
    rows = [
        (name, len(split.names), format_duration(split.seconds)) for name, split in splits.items()
    ]
    return [html.table(rows, ["", "Clips", "Duration"]), html.paragraph(origin)]


def _warnings(corpus: OpenedCorpus, measurements: ClipMeasurements) -> list[html.Html]:
    """Returns what cannot be used, and outliers, by kind."""
    recordings, preparation = corpus.recordings, corpus.preparation
    skipped, num_skipped, scope = dict(recordings.skipped), len(recordings.skipped), ""
    if preparation is None:
        outliers = find_outliers(measurements)
        if len(measurements.names) < len(recordings.names):
            scope = f" (of {len(measurements.names):,} measured)"
    else:
        outliers = preparation["warnings"]
        skipped |= preparation["skipped"]["names"]
        num_skipped += preparation["skipped"]["clips"]
    warnings = [
        ("files that cannot be used", num_skipped, skipped),
        ("clips that cannot be read", len(measurements.unreadable), measurements.unreadable),
        ("clips with problems", len(recordings.problems), recordings.problems),
    ]
    warnings += [
        (
            preparation_report.WARNINGS[kind] + scope,
            clips["clips"],
            dict.fromkeys(clips["names"], ""),
        )
        for kind, clips in outliers.items()
    ]
    return [_warning(*warning) for warning in warnings if warning[1]]


def _warning(kind: str, number: int, reasons: Mapping[str, str]) -> html.Html:
    """Returns the number of clips of one kind, which unfolds to a list of the first of them.

    Args:
        kind: of the warning, such as "clips that cannot be read".
        number: of clips.
        reasons: the reason for each clip, by name; perhaps not of all clips.
    """
    shown = dict(list(reasons.items())[:MAX_NAMES_SHOWN])
    more = number - len(shown)
    return html.details(
        f"{kind[0].upper()}{kind[1:]}: {number:,}",
        html.table(shown.items()),
        *([html.paragraph(f"and {more:,} more")] if more else []),
    )


def _clips_section(corpus: OpenedCorpus, maximum: int) -> html.Html:
    """Returns pictures and players of example clips."""
    recordings = corpus.recordings
    indices = example_clips(recordings, maximum)
    texts = corpus.texts([recordings.names[index] for index in indices])
    scope = "speakers" if len(recordings.speaker_names) > 1 else "corpus"
    return html.section(
        "Example clips",
        html.paragraph(
            f"Clips evenly spaced over the {scope}. Of longer clips, the first {MAX_SECONDS_SHOWN} "
            "seconds are shown."
        ),
        html.grid(*(_clip_card(recordings, index, texts) for index in indices)),
    )


def _clip_card(recordings: data.Recordings, index: int, texts: Mapping[str, str]) -> html.Html:
    name = recordings.names[index]
    try:
        waveform = recordings.waveform(index)
    except InputError as error:
        return html.card(name, html.paragraph(error))
    facts = {}
    if len(recordings.speaker_names) and recordings.speaker_ids[index] != UNKNOWN:
        facts["Speaker"] = recordings.speaker_names[recordings.speaker_ids[index]]
    if name in texts:
        facts["Text"] = texts[name]
    return recording_card(name, waveform, recordings.sample_rate, facts, MAX_SECONDS_SHOWN)


def _training_section(
    recordings: data.Recordings, model: WaveNet, preset: str, crop_seconds: float, seed: int
) -> html.Html:
    """Returns the section of a training batch, or why there is none."""
    try:
        training, _ = recordings.split(VALIDATION_FRACTION, model.receptive_field)
        batch = first_training_batch(training, model, crop_seconds, seed)
    except InputError as error:
        return html.section("Training batch", html.paragraph(error))
    return training_batch_section(batch, model, preset, seed)
