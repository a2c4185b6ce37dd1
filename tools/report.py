"""Shows how a training run went and what its model sounds like, on a web page that is one file.

    python tools/report.py runs/first --output report.html

The run may be going on still.
"""

from __future__ import annotations

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import dataclasses
import datetime
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pages
import pictures
from absl import flags
from pages import Html

import wavenet_tf as wt
from wavenet_tf import audio, data, files, runs
from wavenet_tf.runs.settings import stored_settings

_MODEL_DIR = command_line.define_model_dir(required=False)
_STEP = command_line.define_step()
_OUTPUT = command_line.define_path("output", "report.html", "Page to write.")
_DATA_DIR = command_line.define_path("data_dir", None, "Folder of recordings (the run's own).")
_EVALUATION = command_line.define_path(
    "evaluation", None, "What evaluate.py --json wrote (evaluation.json in the model directory)."
)
_STREAMS = flags.DEFINE_integer("streams", 4, "How many to generate, at most.", 1)
_SECONDS = command_line.define_positive("seconds", 3.0, "Of each.")
_SEED = command_line.define_seed(0)

# In a model directory.
EVALUATION = "evaluation.json"
# Where nobody evaluated, so many recordings are, and so much of each.
CLIPS_SCORED = 8
SECONDS_SCORED = 5.0
# Of recordings, the best and the worst ones.
FILES_SHOWN = 5
# Columns of the log, some of them also of the validation.
CURVES = {
    "bits_per_sample": "Bits per sample",
    "accuracy": "Accuracy",
    "loss": "Loss",
    "gradient_norm": "Gradient norm",
    "learning_rate": "Learning rate",
}


def main(argv: Sequence[str]) -> None:
    """Writes the page of the run named on the command line."""
    directories = [*argv[1:], *([] if _MODEL_DIR.value is None else [_MODEL_DIR.value])]
    if len(directories) != 1:
        raise command_line.InputError(
            f"name one model directory; received {', '.join(directories) or 'none'}"
        )
    command_line.check_output("output", _OUTPUT.value, _EVALUATION.value)
    runs.find_model(directories[0], _STEP.value)
    print(f"reading {directories[0]}")
    run = _Run.open(Path(directories[0]), _STEP.value, _DATA_DIR.value, _EVALUATION.value)
    with pages.figure_style():
        page = pages.page(
            run.directory.resolve().name,
            f"A WaveNet after {run.done:,} steps",
            _summary(run),
            _learning(run),
            _audio(run, _STREAMS.value, _SECONDS.value, _SEED.value),
            _evaluation(run),
            _configuration(run),
            _checkpoints(run),
        )
    files.write_text(_OUTPUT.value, page)
    print(f"the page is in {_OUTPUT.value}")


@dataclasses.dataclass(frozen=True)
class _Run:
    """What a training run left, or leaves.

    Attributes:
        directory: of the model.
        model: of the last step, or of the checkpoint that `step` names.
        settings: of the run, as far as they are known.
        log: the columns of the log, by name, `[validations]`; NaN where nothing stands.
        scores: what evaluate.py wrote, if it did.
        recordings: those kept aside; None where they are gone.
        gone: why, then.
    """

    directory: Path
    model: wt.WaveNet
    settings: dict[str, Any]
    log: dict[str, np.ndarray]
    best: runs.BestValidation | None
    scores: dict[str, Any] | None
    recordings: data.Recordings | None
    gone: str = ""

    @classmethod
    def open(cls, directory: Path, step: str, data_dir: str | None, scored: str | None) -> _Run:
        """Reads what there is.

        Args:
            directory: of the model.
            step: of the model, as `runs.load_model` takes it.
            data_dir: of the recordings; None takes the run's own.
            scored: what evaluate.py wrote; None looks in the directory.

        Raises:
            InputError: if there is no model, or the evaluation asked for is none.
        """
        model = runs.load_model(directory, step, verbose=True)
        settings = stored_settings(directory)
        log, best = runs.read_log(directory), runs.best_validation(directory)
        scores = None
        if scored is not None or (directory / EVALUATION).exists():
            scores = _read_evaluation(Path(scored or directory / EVALUATION))
        data_dir = data_dir or settings.get("data_dir")
        try:
            if data_dir is None:
                raise command_line.InputError("nothing says where they are: see --data_dir")
            recordings = runs.recordings_from_run(directory, model, data_dir, "validation")
        except (command_line.InputError, OSError) as error:
            gone = _without_folders(str(error), directory, data_dir)
            return cls(directory, model, settings, log, best, scores, None, gone)
        return cls(directory, model, settings, log, best, scores, recordings)

    @property
    def done(self) -> int:
        """Number of optimizer steps of the model."""
        return 0 if self.model.optimizer is None else wt.training.num_steps(self.model.optimizer)


def _without_folders(text: str, *paths: str | os.PathLike | None) -> str:
    """Text in which folders have their names only: the page is for others to see."""
    for path in (path for path in paths if path is not None):
        for full in sorted({os.path.realpath(path), os.path.abspath(path)}, key=len):
            text = text.replace(full, os.path.basename(full))
    return text


def _summary(run: _Run) -> Html:
    """The figures that matter most."""
    model, settings = run.model, run.settings
    milliseconds = 1000 * model.receptive_field / model.sample_rate
    of_model: dict[str, Any] = {
        "Folder": run.directory.resolve().name,
        "Preset": settings.get("preset", "unknown"),
        "Blocks": f"{model.config.num_stacks} x {model.config.layers_per_stack}",
        "Parameters": f"{model.count_params():,}",
        "Receptive field": f"{model.receptive_field:,} samples ({milliseconds:.0f} ms)",
        "Sample rate": f"{model.sample_rate:,} Hz",
        "Output": model.config.output_distribution.replace("_", " "),
        "Speakers": f"{model.config.num_speakers:,}" if model.config.num_speakers else "none",
        "Features": ", ".join(model.config.features or []) or "none",
    }
    steps = settings.get("steps")
    logged = run.log.get("step", np.zeros(1))[-1]
    of_training = {
        "Steps": f"{max(run.done, int(logged)):,}" + (f" of {steps:,}" if steps else ""),
        "Last validation": "none yet",
        "Best validation": "none yet",
        "Uniform guessing": f"{model.distribution.uniform_bits:g} bits per sample",
    }
    if run.best is not None:
        last = run.log["val_bits_per_sample"][-1]
        of_training["Last validation"] = f"{last:.4f} bits per sample"
        of_training["Best validation"] = (
            f"{run.best.bits_per_sample:.4f} bits per sample, at step {run.best.step:,}"
        )
    return pages.section(
        "Summary",
        pages.grid(
            pages.card("Model", pages.facts(of_model)),
            pages.card("Training", pages.facts(of_training)),
        ),
    )


def _learning(run: _Run) -> Html:
    """Returns the curves of the log over the steps."""
    heading = "Learning curves"
    if "step" not in run.log:
        return pages.section(heading, pages.paragraph("The log has no validation yet."))
    cards = []
    for column, name in CURVES.items():
        if column == "loss" and "bits_per_sample" in run.log:
            continue  # the same in nats
        splits = {"Training": column, "Validation": f"val_{column}"}
        curves = {split: run.log[kept] for split, kept in splits.items() if kept in run.log}
        cards += _curve(run, name, curves, run.best if column == "bits_per_sample" else None)
    return pages.section(heading, pages.grid(*cards))


def _curve(
    run: _Run,
    name: str,
    curves: Mapping[str, np.ndarray],
    marked: runs.BestValidation | None = None,
) -> list[Html]:
    """A card with what the log says, if it says anything."""
    if not curves:
        return []
    points = {split: (run.log["step"], values) for split, values in curves.items()}
    last = ", ".join(f"{split.lower()} {values[-1]:.4g}" for split, values in curves.items())
    place = None if marked is None else (marked.step, marked.bits_per_sample)
    figure = pictures.figure_of_progress(points, "Step", name, place)
    picture = pages.picture(figure, f"{name} over steps", f"The last: {last}.")
    return [pages.card(name, picture)]


def _audio(run: _Run, streams: int, seconds: float, seed: int) -> Html:
    """What the model makes, beside recordings that it has not been trained on."""
    model, parts, recorded = run.model, [], None
    if run.recordings is None:
        parts.append(pages.paragraph(f"The recordings cannot be read: {run.gone}."))
    else:
        recorded = _cut(run.recordings, streams, seconds)
    if model.config.global_channels or (model.config.local_channels and recorded is None):
        parts.append(pages.paragraph("The model makes nothing without what it is conditioned on."))
    elif recorded is not None and model.config.local_channels:
        parts.append(pages.paragraph("Recordings kept aside, made again from their features."))
        print(f"making {len(recorded.names)} recordings again")
        generated = wt.evaluation.resynthesise(model, recorded, seed=seed, progress=True)
        parts.append(_beside(run, generated, recorded))
    else:
        beside = "" if recorded is None else ", beside recordings kept aside"
        parts.append(pages.paragraph(f"What the model makes up{beside}."))
        number, speakers = _speakers(model, recorded, streams)
        print(f"generating {number} streams of {seconds:g} s")
        samples = max(1, round(seconds * model.sample_rate))
        made_up = model.generate(samples, number, speaker_id=speakers, seed=seed, progress=True)
        parts.append(_beside(run, list(made_up), recorded))
    return pages.section("Audio", *parts)


def _beside(run: _Run, generated: Sequence[np.ndarray], recorded: data.Recordings | None) -> Html:
    """A card for each stream, and one for the recording that belongs to it."""
    cards = []
    for index, waveform in enumerate(generated):
        cards.append(_generated(run, recorded, index, waveform))
        if recorded is not None and index < len(recorded.names):
            cards.append(_recorded(recorded, index))
    return pages.grid(*cards)


def _cut(recordings: data.Recordings, clips: int, seconds: float) -> data.Recordings:
    """The beginnings of some recordings, of as many speakers as there are."""
    from wavenet_tf.training import tensorboard

    chosen = recordings.select(tensorboard.alternate_speakers(recordings)[:clips])
    samples = max(1, round(seconds * recordings.sample_rate))
    lengths = np.minimum(chosen.lengths, samples)
    cut = dataclasses.replace(
        chosen,
        clips=[chosen.clips[index][:length] for index, length in enumerate(lengths.tolist())],
        lengths=lengths,
    )
    if recordings.hop_length is None or not len(chosen.features):
        return cut
    frames = (-(-lengths // recordings.hop_length)).tolist()
    features = [chosen.features[index][:number] for index, number in enumerate(frames)]
    return dataclasses.replace(cut, features=features)


def _speakers(
    model: wt.WaveNet, recorded: data.Recordings | None, streams: int
) -> tuple[int, np.ndarray | None]:
    """How many streams to generate, and the speaker of each where the model knows some."""
    if not model.config.num_speakers:
        return streams, None
    if recorded is not None:
        return len(recorded.names), recorded.speaker_ids
    ids = np.arange(min(streams, model.config.num_speakers), dtype=np.int32)
    return len(ids), ids


def _generated(
    run: _Run, recorded: data.Recordings | None, index: int, waveform: np.ndarray
) -> Html:
    """One stream of the model."""
    model, facts = run.model, {}
    if model.config.num_speakers:
        id = index if recorded is None else int(recorded.speaker_ids[index])
        facts["Speaker"] = model.config.speaker_names[id] if model.config.speaker_names else id
    if recorded is not None and model.config.local_channels:
        distance = wt.evaluation.log_spectral_distance(
            recorded.waveform(index), waveform, model.sample_rate
        )
        facts["Log-spectral distance"] = f"{distance:.2f} dB"
    return _clip(f"Generated {index + 1}", waveform, model.sample_rate, facts)


def _recorded(recorded: data.Recordings, index: int) -> Html:
    """One recording."""
    facts = {"Recording": recorded.names[index]}
    if len(recorded.speaker_names):
        facts["Speaker"] = recorded.speaker_names[recorded.speaker_ids[index]]
    return _clip(f"Recorded {index + 1}", recorded.waveform(index), recorded.sample_rate, facts)


def _clip(heading: str, waveform: np.ndarray, sample_rate: int, facts: dict[str, Any]) -> Html:
    """Audio to be seen and heard."""
    levels = audio.measure_levels(waveform)
    facts["Duration"] = f"{len(waveform) / sample_rate:.2f} s"
    facts["Level"] = f"RMS {levels.rms:.1f} dBFS, peak {levels.peak:.1f} dBFS"
    figure = pictures.figure_of_recordings([("", waveform, sample_rate)])
    return pages.card(
        heading,
        pages.picture(figure, "Waveform above spectrogram"),
        pages.player(waveform, sample_rate),
        pages.facts(facts),
    )


def _evaluation(run: _Run) -> Html:
    """How well the model predicts recordings."""
    heading, report = "Evaluation", run.scores
    if report is not None:
        told = f"By tools/evaluate.py, over {len(report['files']):,} recordings."
    elif run.recordings is not None:
        scored = _cut(run.recordings, CLIPS_SCORED, SECONDS_SCORED)
        print(f"scoring {len(scored.names)} recordings")
        scores = wt.evaluation.score(run.model, scored)
        by_name = scores.bits_per_sample_by_name
        report = {"bits_per_sample": scores.bits_per_sample, "files": by_name}
        told = (
            f"Of {len(scored.names):,} recordings kept aside, the first {SECONDS_SCORED:g} s at "
            "most; tools/evaluate.py scores all."
        )
    else:
        return pages.section(heading, pages.paragraph("There are no recordings to score."))
    facts = {"Bits per sample": f"{report['bits_per_sample']:.4f}"}
    if "speakers_identified" in report:
        facts["Speakers told right"] = f"{report['speakers_identified']:.1%}"
    if "log_spectral_distance" in report:
        facts["Log-spectral distance"] = f"{report['log_spectral_distance']:.2f} dB"
    ranked = sorted(report["files"].items(), key=lambda file: file[1])
    number = min(FILES_SHOWN, len(ranked) // 2)
    shown = {"Best recordings": ranked[:number], "Worst recordings": ranked[::-1][:number]}
    cards = [
        pages.card(name, pages.table([(file, f"{bits:.4f}") for file, bits in rows]))
        for name, rows in shown.items()
        if rows
    ]
    figures = pages.card("Figures", pages.facts(facts), pages.paragraph(told))
    return pages.section(heading, figures, pages.grid(*cards))


def _read_evaluation(path: Path) -> dict[str, Any]:
    """What evaluate.py wrote.

    Raises:
        InputError: if it did not.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        figures = {"bits_per_sample": float(report["bits_per_sample"])}
        return {**report, **figures, "files": dict(report["files"])}
    except (ValueError, TypeError, KeyError) as error:
        raise command_line.InputError(
            f"{path} is not what evaluate.py --json writes: {error}"
        ) from error


def _configuration(run: _Run) -> Html:
    """All that was chosen."""
    model = {**run.model.get_config(), "dtype": run.model.dtype_policy.name}
    settings = {
        name: os.path.basename(value) if os.path.isabs(str(value)) else value
        for name, value in run.settings.items()
    }
    cards = [
        pages.card(
            name, pages.facts({key: str(of) for key, of in values.items() if of is not None})
        )
        for name, values in {"Settings": settings, "Model's arguments": model}.items()
        if values
    ]
    return pages.section("Configuration", pages.grid(*cards))


def _checkpoints(run: _Run) -> Html:
    """The models there are."""
    heading = "Checkpoints"
    bits = {}
    if "val_bits_per_sample" in run.log:
        bits = dict(zip(run.log["step"].tolist(), run.log["val_bits_per_sample"], strict=True))
    rows = []
    for path in runs.checkpoints(run.directory):
        step = int(path.stem.split("_")[1])
        validation = f"{bits[step]:.4f}" if step in bits else ""
        if run.best is not None and run.best.step == step:
            validation += " (best)"
        rows.append((f"{step:,}", validation, _size(path), _date(path)))
    final = run.directory / runs.FINAL_MODEL
    if final.exists():
        rows.append((final.name, "", _size(final), _date(final)))
    header = ["Step", "Validation (bits per sample)", "Size", "Written"]
    return pages.section(heading, pages.card("Kept", pages.table(rows, header)))


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:,.1f} MB"


def _date(path: Path) -> str:
    return f"{datetime.datetime.fromtimestamp(path.stat().st_mtime):%Y-%m-%d %H:%M}"


if __name__ == "__main__":
    command_line.run(main)
