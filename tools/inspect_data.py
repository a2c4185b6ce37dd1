"""Shows what a corpus is like, raw or prepared, on a web page that is one file.

    python tools/inspect_data.py recordings --output recordings.html

Of a large corpus, clips that are spread evenly over it are looked at.
"""

from __future__ import annotations

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import collections
import contextlib
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pages
import pictures
from absl import flags
from pages import Html

import wavenet_tf as wt
from wavenet_tf import audio, data, files, presets
from wavenet_tf.data import corpora, prepared
from wavenet_tf.data.labels import UNKNOWN

_DATA_DIR = command_line.define_path(
    "data_dir", None, "Folder of recordings, or one that prepare_data.py wrote."
)
_OUTPUT = command_line.define_path("output", "inspect.html", "Page to write.")
_LAYOUT = flags.DEFINE_string(
    "layout",
    "auto",
    f"Of the corpus: {', '.join(data.LAYOUTS)}, with options as in vctk:microphone=mic2; auto "
    "looks.",
)
_SAMPLE_RATE = flags.DEFINE_integer(
    "sample_rate", None, "To read at, in Hz (that of most recordings).", 1
)
_SPEAKERS = flags.DEFINE_string(
    "speakers", None, "How a recording's speaker is told, see train.py (as the corpus names them)."
)
_PRESET = flags.DEFINE_enum("preset", "tiny", list(presets.PRESETS), "Model to make a batch for.")
_CROP_SECONDS = command_line.define_positive(
    "crop_seconds", 1.0, "Scored part of a crop, in seconds."
)
_CLIPS = flags.DEFINE_integer("clips", 6, "How many to show.", 1)
_SEED = command_line.define_seed(0, "Of the batch.")

# So much of a corpus is looked at.
MOST_CLIPS = 2000
MOST_SECONDS = 4 * 3600
# So much is shown.
SECONDS_SHOWN = 10
SPEAKERS_SHOWN = 40
NAMES_SHOWN = 50
# Of histograms: what is beyond counts as the outermost bar.
QUIETEST_DB = -80.0
LONGEST_IN_MEDIANS = 10
LEAST_SILENCE_SHOWN = 10.0  # %
# As a value of prepare_data.py's --trim_db.
SILENCE_DB = 60.0
# As in training that is not told otherwise.
BATCH_SIZE = 4
VALIDATION_FRACTION = 0.1
# To read recordings at of which none tells its own, which then cannot be read either.
ANY_SAMPLE_RATE = 16000


def main(argv: Sequence[str]) -> None:
    """Writes the page of the folder named on the command line."""
    directories = [*argv[1:], *([] if _DATA_DIR.value is None else [_DATA_DIR.value])]
    if len(directories) != 1:
        raise command_line.InputError(
            f"name one folder of recordings; received {', '.join(directories) or 'none'}"
        )
    command_line.check_exists("folder of recordings", directories[0])
    command_line.check_output("output", _OUTPUT.value)
    print(f"reading {directories[0]}")
    corpus = _Corpus.open(Path(directories[0]), _LAYOUT.value, _SAMPLE_RATE.value, _SPEAKERS.value)
    recordings = corpus.recordings
    size = (
        f"{len(recordings.names):,} clips, {_duration(recordings.seconds)} at "
        f"{recordings.sample_rate:,} Hz"
    )
    print(size)
    sample = _Sample.of(recordings)
    model = _model(recordings)
    with pages.figure_style():
        page = pages.page(
            corpus.directory.name,
            size,
            _summary(corpus, sample, model),
            _distributions(corpus, sample, model),
            _clips(corpus, _CLIPS.value),
            _training(recordings, model),
        )
    files.write_text(_OUTPUT.value, page)
    print(f"the page is in {_OUTPUT.value}")


@dataclasses.dataclass(frozen=True)
class _Corpus:
    """A corpus, and what its `Recordings` do not say.

    Attributes:
        directory: of it.
        recordings: of it.
        layout: of a raw corpus.
        headers: of the files of a raw corpus, or of some of them.
        report: of a prepared corpus' preparation; None of a raw corpus.
    """

    directory: Path
    recordings: data.Recordings
    layout: str = ""
    headers: Sequence[Any] = ()
    report: dict[str, Any] | None = None

    @classmethod
    def open(
        cls, directory: Path, layout: str, sample_rate: int | None, speakers: str | None
    ) -> _Corpus:
        """Opens a corpus, at the sample rate of most files where none is given."""
        directory = directory.resolve()
        if data.is_prepared(directory):
            recordings = data.open_prepared(directory, sample_rate)
            report = json.loads((directory / prepared.REPORT).read_text(encoding="utf-8"))
            corpus = cls(directory, recordings, report=report)
        else:
            if layout == "auto":
                layout = corpora.detect_layout(directory)
            headers = _headers(directory, layout)
            rates = collections.Counter(header.samplerate for header in headers)
            rate = sample_rate or max(rates, key=rates.__getitem__, default=ANY_SAMPLE_RATE)
            recordings = data.read_recordings(directory, rate, layout)
            corpus = cls(directory, recordings, layout, headers)
        if speakers is None:
            return corpus
        return dataclasses.replace(corpus, recordings=recordings.with_speakers(speakers))

    def texts(self, names: Sequence[str]) -> dict[str, str]:
        """What is said in the clips of these names, where it is known."""
        if self.report is None:
            clips = corpora.read_corpus(self.directory, self.layout)
        else:
            clips = data.read_manifest(self.directory / prepared.SOURCE)
        return {clip.name: clip.text for clip in clips if clip.text and clip.name in names}


def _headers(directory: Path, layout: str) -> list:
    """The headers of the files of a corpus, or of some of them; of those that can be read."""
    root = corpora.corpus_root(directory)
    paths = list(dict.fromkeys(clip.path for clip in corpora.read_corpus(directory, layout)))
    headers = []
    for place in _evenly(len(paths), MOST_CLIPS):
        path = root / paths[place]
        with (
            contextlib.suppress(command_line.InputError),
            audio.open_audio(path, path, search=False) as header,
        ):
            headers.append(header)
    return headers


@dataclasses.dataclass(frozen=True)
class _Sample:
    """Measurements of clips that are spread evenly over a corpus.

    Attributes:
        scope: which clips they are.
        names: of them.
        seconds: of each.
        silent_seconds: of each, at its ends.
        levels: of each, by the attributes of `audio.Levels`.
        counts: how often each 16-bit value occurs, from the least one on.
        unreadable: names of further clips, which could not be read, and why.
    """

    scope: str
    names: list[str]
    seconds: np.ndarray
    silent_seconds: np.ndarray
    levels: dict[str, np.ndarray]
    counts: np.ndarray
    unreadable: dict[str, str]

    @classmethod
    def of(cls, recordings: data.Recordings) -> _Sample:
        """Measures clips.

        Raises:
            InputError: if none can be read.
        """
        clips = len(recordings.names)
        most = min(MOST_CLIPS, 1 + int(clips * MOST_SECONDS / recordings.seconds))
        places = _evenly(clips, most)
        import keras

        bar = keras.utils.Progbar(
            len(places), unit_name="clip", verbose=1 if sys.stdout.isatty() else 2
        )
        names, samples_kept, levels, unreadable = [], [], [], {}
        counts = np.zeros(2 * audio.STEPS_OF_16_BITS, np.int64)
        for place in places:
            bar.add(1)
            name = recordings.names[place]
            try:
                samples = recordings.clip(place)
            except command_line.InputError as error:
                unreadable[name] = str(error)
                continue
            waveform = samples / np.float32(audio.STEPS_OF_16_BITS)
            stretches = audio.kept_stretches(waveform, recordings.sample_rate, SILENCE_DB)
            kept = sum(end - begin for begin, end in stretches)
            names.append(name)
            samples_kept.append((len(samples), kept))
            levels.append(dataclasses.asdict(audio.measure_levels(waveform)))
            values = samples.astype(np.int64) + audio.STEPS_OF_16_BITS
            counts += np.bincount(values, minlength=len(counts))
        if not names:
            name, why = next(iter(unreadable.items()))
            raise command_line.InputError(f"none of {len(places)} clips can be read; {name}: {why}")
        seconds, seconds_kept = np.transpose(samples_kept) / recordings.sample_rate
        by_kind = {kind: np.array([clip[kind] for clip in levels]) for kind in levels[0]}
        scope = "all clips"
        if len(names) < clips:
            scope = f"{len(names):,} clips, {_duration(seconds.sum())}, spread evenly"
        return cls(scope, names, seconds, seconds - seconds_kept, by_kind, counts, unreadable)


def _evenly(total: int, most: int) -> list[int]:
    """Places spread evenly over `total`, at most so many."""
    number = min(total, most)
    return [place * total // number for place in range(number)]


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def _summary(corpus: _Corpus, sample: _Sample, model: wt.WaveNet) -> Html:
    """What there is, and what is worth a look."""
    recordings, report = corpus.recordings, corpus.report
    facts: dict[str, Any] = {"Folder": corpus.directory}
    if report is None:
        facts["Layout"] = corpus.layout
        formats = collections.Counter(map(_format, corpus.headers))
        facts["Files"] = "; ".join(
            name if len(formats) == 1 else f"{name} ({count / formats.total():.1%})"
            for name, count in formats.most_common()
        )
        if formats.total() < len(recordings.names):
            facts["Files"] += f" ({formats.total():,} looked at)"
    else:
        kept, cut = report["statistics"]["seconds"], report["seconds_trimmed"]
        facts["Layout"] = "prepared"
        facts["Silence cut off"] = f"{cut:,.1f} s ({cut / (kept + cut):.1%})"
        facts["Clipped samples"] = f"{report['samples_clipped']:,}"
    facts["Clips"] = f"{len(recordings.names):,}"
    facts["Duration"] = f"{_duration(recordings.seconds)} ({recordings.seconds:,.1f} s)"
    facts["Sample rate"] = f"{recordings.sample_rate:,} Hz"
    unknown = np.count_nonzero(recordings.speaker_ids == UNKNOWN)
    facts["Speakers"] = f"{len(recordings.speaker_names):,}" if recordings.speaker_names else "none"
    if recordings.speaker_names and unknown:
        facts["Speakers"] += f", and {unknown:,} clips of none"
    return pages.section(
        "Summary",
        pages.grid(
            pages.card("Corpus", pages.facts(facts)),
            pages.card("Splits", *_splits(recordings, model)),
        ),
        pages.card(
            "Worth a look", *(_findings(corpus, sample) or [pages.paragraph("Nothing found.")])
        ),
    )


def _format(header) -> str:
    channels = {1: "mono", 2: "stereo"}.get(header.channels, f"{header.channels} channels")
    return f"{header.format}, {header.subtype_info}, {channels}, {header.samplerate:,} Hz"


def _splits(recordings: data.Recordings, model: wt.WaveNet) -> list[Html]:
    """What a model is trained and validated on."""
    try:
        training, validation = recordings.split(VALIDATION_FRACTION, model.receptive_field)
    except command_line.InputError as error:
        return [pages.paragraph(error)]
    parts = {"Training": training, "Validation": validation}
    if recordings.has_test_split:
        parts["Test"] = recordings.test_split()
    how = "As the corpus says."
    if recordings.splits_by_time:
        how = (
            "The corpus does not say what to validate on; of its only recording the last "
            f"{VALIDATION_FRACTION:.0%} is held out, after a gap of the receptive field."
        )
    elif not recordings.has_split:
        how = (
            "The corpus does not say what to validate on; a hash of each recording's path holds "
            f"out about {VALIDATION_FRACTION:.0%} of its duration."
        )
    rows = [(name, len(part.names), _duration(part.seconds)) for name, part in parts.items()]
    return [pages.table(rows, ["", "Clips", "Duration"]), pages.paragraph(how)]


def _findings(corpus: _Corpus, sample: _Sample) -> list[Html]:
    """What cannot be used, and what is unlike the rest."""
    from wavenet_tf.data.preparing import report

    skipped, number_skipped = dict(corpus.recordings.skipped), len(corpus.recordings.skipped)
    of = ""
    if corpus.report is None:
        unusual = _unusual(sample)
        if len(sample.names) < len(corpus.recordings.names):
            of = f" (of {len(sample.names):,} looked at)"
    else:
        unusual = corpus.report["warnings"]
        skipped |= corpus.report["skipped"]["names"]
        number_skipped += corpus.report["skipped"]["clips"]
    found = [
        ("files that cannot be used", number_skipped, skipped),
        ("clips that cannot be read", len(sample.unreadable), sample.unreadable),
        ("clips with problems", len(corpus.recordings.problems), corpus.recordings.problems),
    ]
    found += [
        (report.WARNINGS[kind] + of, clips["clips"], dict.fromkeys(clips["names"], ""))
        for kind, clips in unusual.items()
    ]
    return [_finding(*finding) for finding in found if finding[1]]


def _finding(what: str, number: int, names: Mapping[str, str]) -> Html:
    """Clips by name, and why; not all of them."""
    shown = dict(list(names.items())[:NAMES_SHOWN])
    more = number - len(shown)
    return pages.details(
        f"{what[0].upper()}{what[1:]}: {number:,}",
        pages.table(shown.items()),
        *([pages.paragraph(f"and {more:,} more")] if more else []),
    )


def _unusual(sample: _Sample) -> dict[str, dict[str, Any]]:
    """Of a sample, what a preparation tells of all clips."""
    from wavenet_tf.data.preparing import report

    levels = sample.levels
    unlike = np.abs(levels["rms"] - np.median(levels["rms"]))
    found = {
        "clipped": levels["clipped"] > 0,
        "dc_offset": np.abs(levels["dc_offset"]) > report.LARGE_DC_OFFSET,
        "outlying_level": unlike > report.OUTLYING_DB,
    }
    return {
        kind: {
            "clips": int(chosen.sum()),
            "names": [sample.names[place] for place in np.flatnonzero(chosen)],
        }
        for kind, chosen in found.items()
    }


def _distributions(corpus: _Corpus, sample: _Sample, model: wt.WaveNet) -> Html:
    """How clips differ, and samples."""
    recordings = corpus.recordings
    seconds = recordings.lengths / recordings.sample_rate
    median, longest = float(np.median(seconds)), float(seconds.max())
    levels, of_levels = sample.levels, f"Of {sample.scope}"
    if corpus.report is not None:
        levels = np.load(corpus.directory / prepared.CLIPS, mmap_mode="r")
        of_levels = "Of all clips, as they were recorded"
    rms, peak = np.asarray(levels["rms"]), np.asarray(levels["peak"])
    silence = sample.silent_seconds / sample.seconds
    cut_off = sample.silent_seconds.sum() / sample.seconds.sum()
    shares, bits = _codes(sample, model)
    return pages.section(
        "Distributions",
        pages.grid(
            pages.card(
                "Durations",
                pages.picture(
                    pictures.figure_of_histograms(
                        {"Duration": seconds},
                        "Duration (s)",
                        (0.0, min(longest, LONGEST_IN_MEDIANS * median)),
                    ),
                    "Histogram of the durations of clips",
                    f"Of all clips: {seconds.min():.2f} to {longest:.2f} s, median {median:.2f} s.",
                ),
            ),
            pages.card(
                "Levels",
                pages.picture(
                    pictures.figure_of_histograms(
                        {"RMS": rms, "Peak": peak},
                        "Level (dBFS)",
                        (max(QUIETEST_DB, float(rms.min())), max(0.0, float(peak.max()))),
                    ),
                    "Histograms of the levels of clips",
                    f"{of_levels}: median RMS {np.median(rms):.1f} dBFS, median peak "
                    f"{np.median(peak):.1f} dBFS.",
                ),
            ),
            pages.card(
                "Silence at the ends",
                pages.picture(
                    pictures.figure_of_histograms(
                        {"Silence": 100 * silence},
                        "Share of the clip (%)",
                        (0.0, max(LEAST_SILENCE_SHOWN, 100 * float(silence.max()))),
                    ),
                    "Histogram of the share of silence in clips",
                    f"Of {sample.scope}: {cut_off:.1%} of the audio is what a trim_db of "
                    f"{SILENCE_DB:g} in prepare_data.py cuts off.",
                ),
            ),
            pages.card(
                "Codes",
                pages.picture(
                    pictures.figure_of_codes(shares),
                    "Histogram of the mu-law codes of samples",
                    f"Of {sample.scope}: their entropy is {bits:.3f} bits, which is what a model "
                    "needs per sample that knows how often each code occurs, and nothing of the "
                    "samples before. Guessing among all codes alike takes "
                    f"{model.distribution.uniform_bits:g}; training has to end far below both.",
                ),
            ),
        ),
        *_speakers(recordings),
    )


def _codes(sample: _Sample, model: wt.WaveNet) -> tuple[np.ndarray, float]:
    """How often each code occurs, of 1, and the entropy in bits."""
    values = np.arange(-audio.STEPS_OF_16_BITS, audio.STEPS_OF_16_BITS) / audio.STEPS_OF_16_BITS
    codes = np.asarray(model.distribution.encode(values))
    counts = np.bincount(codes, sample.counts, model.quantization_channels)
    shares = counts / counts.sum()
    occurring = shares[shares > 0]
    return shares, float(-np.sum(occurring * np.log2(occurring)))


def _speakers(recordings: data.Recordings) -> list[Html]:
    """How long each speaker is heard; nothing where there are not several."""
    names, ids = recordings.speaker_names, recordings.speaker_ids
    if len(names) < 2:
        return []
    # The first is that of clips of no speaker.
    seconds = np.bincount(ids + 1, recordings.lengths, len(names) + 1)[1:] / recordings.sample_rate
    longest_first = np.argsort(-seconds, kind="stable")
    shown, others = longest_first[:SPEAKERS_SHOWN].tolist(), longest_first[SPEAKERS_SHOWN:]
    labels = [f"{_duration(of)} ({of / seconds.sum():.1%})" for of in seconds[shown]]
    bars = zip([names[place] for place in shown], seconds[shown], labels, strict=True)
    parts = [pages.bars(list(bars))]
    if len(others):
        parts.append(
            pages.paragraph(
                f"And {len(others):,} more, each for {_duration(seconds[others].min())} to "
                f"{_duration(seconds[others].max())}."
            )
        )
    return [pages.card("Speakers", *parts)]


def _clips(corpus: _Corpus, number: int) -> Html:
    """Some clips, to be seen and heard."""
    recordings = corpus.recordings
    places = _over_speakers(recordings, number)
    texts = corpus.texts([recordings.names[place] for place in places])
    over = "speakers" if len(recordings.speaker_names) > 1 else "corpus"
    return pages.section(
        "Some clips",
        pages.paragraph(
            f"Spread evenly over the {over}. Of longer ones, the first {SECONDS_SHOWN} seconds are "
            "shown."
        ),
        pages.grid(*(_clip(recordings, place, texts) for place in places)),
    )


def _over_speakers(recordings: data.Recordings, number: int) -> list[int]:
    """Places of clips spread evenly over the speakers, and over the clips of these."""
    ids = recordings.speaker_ids if len(recordings.speaker_ids) else np.zeros(len(recordings.names))
    speakers = np.unique(ids)
    places = []
    for turn in range(number):
        speaker, within = divmod(turn * len(speakers), number)
        if len(speakers) >= number:  # one clip of each, and not the first of all
            within = turn
        of_speaker = np.flatnonzero(ids == speakers[speaker])
        places.append(int(of_speaker[within * len(of_speaker) // number]))
    return list(dict.fromkeys(places))


def _clip(recordings: data.Recordings, place: int, texts: Mapping[str, str]) -> Html:
    """One clip, to be seen and heard."""
    name, rate = recordings.names[place], recordings.sample_rate
    try:
        waveform = recordings.waveform(place)
    except command_line.InputError as error:
        return pages.card(name, pages.paragraph(error))
    levels = audio.measure_levels(waveform)
    facts = {}
    if len(recordings.speaker_names) and recordings.speaker_ids[place] != UNKNOWN:
        facts["Speaker"] = recordings.speaker_names[recordings.speaker_ids[place]]
    if name in texts:
        facts["Text"] = texts[name]
    facts["Duration"] = f"{len(waveform) / rate:.2f} s"
    facts["Level"] = f"RMS {levels.rms:.1f} dBFS, peak {levels.peak:.1f} dBFS"
    shown = waveform[: SECONDS_SHOWN * rate]
    return pages.card(
        name,
        pages.picture(
            pictures.figure_of_recordings([("", shown, rate)]), "Waveform above spectrogram"
        ),
        pages.player(shown, rate),
        pages.facts(facts),
    )


def _model(recordings: data.Recordings) -> wt.WaveNet:
    """The model that training on the corpus would begin with."""
    speakers = None
    if len(recordings.speaker_names) and UNKNOWN not in recordings.speaker_ids:
        speakers = list(recordings.speaker_names)
    return wt.WaveNet.from_preset(
        _PRESET.value,
        sample_rate=recordings.sample_rate,
        num_speakers=speakers and len(speakers),
        speaker_names=speakers,
    )


def _training(recordings: data.Recordings, model: wt.WaveNet) -> Html:
    """A batch as training gives it to a model."""
    heading = "What training hears"
    try:
        training, _ = recordings.split(VALIDATION_FRACTION, model.receptive_field)
        batches = data.training_batches(
            training, model.crop_spec, BATCH_SIZE, _CROP_SECONDS.value, _SEED.value
        )
        inputs, targets, weights = next(batches.as_numpy_iterator())
    except command_line.InputError as error:
        return pages.section(heading, pages.paragraph(error))
    inputs = inputs if isinstance(inputs, dict) else {"audio": inputs}
    alike = inputs["audio"][:, 1:] == targets[:, :-1]
    # All that is heard, and the last target, which is not.
    context = inputs.get("context_audio", targets[:, :0])
    values = np.concatenate([context, inputs["audio"], targets[:, -1:]], axis=1)
    scored = np.zeros(values.shape, bool)
    scored[:, -targets.shape[1] :] = weights > 0
    waveforms = np.asarray(model.distribution.decode(values))
    cards = []
    for crop in range(BATCH_SIZE):
        facts = {}
        if model.speaker_names:
            speaker = inputs["speaker_id"][crop]
            facts["Speaker"] = f"id {speaker}, {model.speaker_names[speaker]}"
        facts["Scored"] = (
            f"{np.count_nonzero(scored[crop]):,} of {scored.shape[1]:,} samples "
            f"({scored[crop].mean():.1%})"
        )
        cards.append(
            pages.card(
                f"Crop {crop + 1}",
                pages.picture(
                    pictures.figure_of_crop(waveforms[crop], scored[crop], model.sample_rate),
                    "Waveform, with what is not scored shaded",
                ),
                pages.player(waveforms[crop], model.sample_rate),
                pages.facts(facts),
            )
        )
    return pages.section(
        heading,
        pages.paragraph(
            f"The first batch of a training with preset {_PRESET.value} and seed {_SEED.value}, "
            "decoded from its mu-law codes. Shaded is what is heard but not scored: the "
            f"{model.receptive_field - 1:,} samples of context at the beginning, which are silence "
            "where the crop is the first of its clip, and what lies beyond the clip's end. "
            f"{scored.mean():.1%} of the batch is scored."
        ),
        pages.paragraph(
            "Each target is the input one sample later: this holds for "
            f"{np.count_nonzero(alike):,} of the {alike.size:,} targets that are inputs too."
        ),
        pages.grid(*cards),
    )


if __name__ == "__main__":
    command_line.run(main)
