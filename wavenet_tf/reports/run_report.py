"""The report about a training run: a web page that is one file."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wavenet_tf import data, evaluation, files, runs
from wavenet_tf.models import WaveNet, WaveNetClassifier
from wavenet_tf.options import GENERATED, GENERATED_SCORES, compared_metric, describe_metric
from wavenet_tf.reports import html, pictures
from wavenet_tf.reports.recognition_section import recognition_section
from wavenet_tf.reports.run_audio import audio_section
from wavenet_tf.reports.run_contents import RunContents, read_run

# What is scored for the report if nobody evaluated the model.
NUM_SCORED = 8
SECONDS_SCORED = 5.0
# Number of best and of worst recordings.
NUM_RANKED = 5
# Names of the columns of the log that have curves.
CURVES = {
    "bits_per_sample": "Bits per sample",
    "classes_error_rate": "Error rate",
    "error_rate": "Error rate",
    "label_error_rate": "Error rate of labels, without a decoder",
    "classes_auc": "Area under the ROC curve",
    "auc": "Area under the ROC curve",
    "next_sample_bits_per_sample": "Bits per sample",
    "accuracy": "Accuracy",
    "loss": "Loss",
    "gradient_norm": "Gradient norm",
    "learning_rate": "Learning rate",
    **{f"{GENERATED}{score}": name.capitalize() for score, name in GENERATED_SCORES.items()},
}


def write_run_report(
    model_dir: str | os.PathLike,
    output: str | os.PathLike,
    *,
    step: int | str = runs.LAST,
    data_dir: str | os.PathLike | None = None,
    evaluation_path: str | os.PathLike | None = None,
    streams: int = 4,
    seconds: float = 3.0,
    seed: int = 0,
    verbose: bool = False,
) -> None:
    """Writes a web page about a training run: curves, audio, scores, settings, checkpoints.

    The run may still go on.

    Args:
        model_dir: of the training run.
        output: HTML file to write, whole or not at all.
        step: of the checkpoint to load, see `read_run`.
        data_dir: folder of recordings, see `read_run`.
        evaluation_path: JSON file that tools/evaluate.py wrote, see `read_run`.
        streams: number of waveforms to generate, at most.
        seconds: length of each waveform, in seconds.
        seed: of the generated audio.
        verbose: prints what is done, and shows progress bars.

    Raises:
        InputError: if there is no model, or the evaluation cannot be read.
        OSError: if the page cannot be written.
    """
    run = read_run(model_dir, step, data_dir, evaluation_path, verbose)
    recognizes = isinstance(run.model, WaveNetClassifier)
    with pictures.page_style():
        if recognizes:
            results = [recognition_section(run, verbose)]
        else:
            audio = audio_section(run, streams, seconds, seed, verbose)
            results = [audio, _evaluation_section(run, verbose)]
        page = html.page(
            run.name,
            f"A {'classifier' if recognizes else 'WaveNet'} after {run.num_steps:,} steps",
            _summary_section(run),
            _curves_section(run),
            *results,
            *_speakers_section(run),
            _configuration_section(run),
            _checkpoints_section(run),
        )
    files.write_text(output, page)


def _summary_section(run: RunContents) -> html.Html:
    return html.section(
        "Summary",
        html.grid(
            html.card("Model", html.facts(_model_facts(run))),
            html.card("Training", html.facts(_training_facts(run))),
        ),
    )


def _model_facts(run: RunContents) -> dict[str, Any]:
    model = run.model
    milliseconds = 1000 * model.receptive_field / model.sample_rate
    facts = {
        "Folder": run.name,
        "Preset": run.settings.get("preset", "unknown"),
        "Blocks": f"{model.config.num_stacks} x {model.config.layers_per_stack}",
        "Parameters": f"{model.count_params():,}",
        "Receptive field": f"{model.receptive_field:,} samples ({milliseconds:.0f} ms)",
        "Sample rate": f"{model.sample_rate:,} Hz",
    }
    if isinstance(model, WaveNetClassifier):
        classes = ", ".join(model.class_names or [])
        return {**facts, "Targets": model.targets, f"{model.num_classes} classes": classes}
    return {
        **facts,
        "Output": model.config.output_distribution.replace("_", " "),
        "Speakers": f"{model.config.num_speakers:,}" if model.config.num_speakers else "none",
        "Features": ", ".join(model.config.features or []) or "none",
    }


def _training_facts(run: RunContents) -> dict[str, Any]:
    steps = max(run.num_steps, int(run.log.get("step", np.zeros(1))[-1]))
    total = run.settings.get("steps")
    facts = {
        "Steps": f"{steps:,}" + (f" of {total:,}" if total else ""),
        "Last validation": "none yet",
        "Best validation": "none yet",
    }
    if isinstance(run.model, WaveNet):
        bits = run.model.distribution.uniform_bits
        facts["Uniform guessing"] = f"{bits:g} bits per sample"
    if run.best is not None:
        last = dataclasses.replace(run.best, value=run.log[f"val_{run.best.metric}"][-1])
        facts["Last validation"] = last.description
        facts["Best validation"] = f"{run.best.description}, at step {run.best.step:,}"
    return facts


def _curves_section(run: RunContents) -> html.Html:
    heading = "Learning curves"
    if "step" not in run.log:
        return html.section(heading, html.paragraph("The log has no validation yet."))
    cards = []
    for column, name in CURVES.items():
        if column == "loss" and "bits_per_sample" in run.log:
            continue  # the same in nats
        columns = {"Training": column, "Validation": f"val_{column}"}
        curves = {split: run.log[key] for split, key in columns.items() if key in run.log}
        if curves:
            best = run.best if run.best is not None and column == run.best.metric else None
            cards.append(_curves_card(run.log["step"], name, curves, best))
    return html.section(heading, html.grid(*cards))


def _curves_card(
    steps: np.ndarray,
    name: str,
    curves: Mapping[str, np.ndarray],
    best: runs.BestValidation | None,
) -> html.Html:
    """Returns a card with the curves of one figure of the log over the steps, by split."""
    points = {split: (steps, values) for split, values in curves.items()}
    marked = None if best is None else (best.step, best.value)
    figure = pictures.learning_curves_figure(points, "Step", name, marked)
    last = ", ".join(f"{split.lower()} {values[-1]:.4g}" for split, values in curves.items())
    return html.card(name, html.picture(figure, f"{name} over steps", f"Last values: {last}."))


def _evaluation_section(run: RunContents, verbose: bool) -> html.Html:
    """Returns the scores that tools/evaluate.py wrote, or those of a few recordings."""
    heading, report = "Evaluation", run.evaluation
    if report is not None:
        source = f"By tools/evaluate.py, over {len(report.files):,} recordings."
    elif run.recordings is not None:
        scored = data.select_excerpts(run.recordings, NUM_SCORED, SECONDS_SCORED)
        if verbose:
            print(f"scoring {len(scored.names)} recordings")
        report = evaluation.evaluate(run.model, scored)
        source = (
            f"Over at most {SECONDS_SCORED:g} s from the start of {len(scored.names):,} recordings "
            "of the validation split; tools/evaluate.py scores all of it."
        )
    else:
        return html.section(heading, html.paragraph("There are no recordings to score."))
    scores = html.card("Scores", html.facts(_score_facts(report)), html.paragraph(source))
    return html.section(heading, scores, html.grid(*_ranking_cards(report)))


def _score_facts(report: evaluation.EvaluationReport) -> dict[str, str]:
    facts = {"Bits per sample": f"{report.bits_per_sample:.4f}"}
    if report.speakers_identified is not None:
        facts["Speakers identified"] = f"{report.speakers_identified:.1%}"
    if report.log_spectral_distance is not None:
        facts["Log-spectral distance"] = f"{report.log_spectral_distance:.2f} dB"
    return facts


def _ranking_cards(report: evaluation.EvaluationReport) -> list[html.Html]:
    """Returns cards of the best and of the worst recordings; none for a single recording."""
    ranked = sorted(report.files.items(), key=lambda file: file[1])
    number = min(NUM_RANKED, len(ranked) // 2)
    if not number:
        return []
    rankings = {"Best recordings": ranked[:number], "Worst recordings": ranked[::-1][:number]}
    return [
        html.card(heading, html.table([(name, f"{bits:.4f}") for name, bits in ranking]))
        for heading, ranking in rankings.items()
    ]


def _speakers_section(run: RunContents) -> list[html.Html]:
    """Returns the section about the speakers of a model; none for fewer than three."""
    names = run.model.config.speaker_names
    if isinstance(run.model, WaveNetClassifier) or names is None or len(names) < 3:
        return []
    points, share = pictures.project_to_plane(run.model.trunk.speaker_embedding.embeddings.numpy())
    caption = f"The plane of the two main components, which have {share:.0%} of the variance."
    alternative = "Speaker embeddings"
    cards = [
        html.card(
            alternative,
            html.picture(pictures.points_figure(points, names), alternative, caption),
        )
    ]
    if run.evaluation is not None and run.evaluation.speakers:
        rows = [(name, f"{bits:.4f}") for name, bits in run.evaluation.speakers.items()]
        cards.append(html.card("Bits per sample by speaker", html.table(rows)))
    return [html.section("Speakers", html.grid(*cards))]


def _configuration_section(run: RunContents) -> html.Html:
    """Returns the settings of the run and the arguments of the model, without folders' paths."""
    settings = {
        name: os.path.basename(value) if os.path.isabs(str(value)) else value
        for name, value in run.settings.items()
    }
    arguments = {**run.model.get_config(), "dtype": run.model.dtype_policy.name}
    cards = []
    for heading, values in {"Settings": settings, "Model arguments": arguments}.items():
        facts = {name: str(value) for name, value in values.items() if value is not None}
        if facts:
            cards.append(html.card(heading, html.facts(facts)))
    return html.section("Configuration", html.grid(*cards))


def _checkpoints_section(run: RunContents) -> html.Html:
    """Returns a table of the model files."""
    metric = compared_metric(run.log) or "bits_per_sample"
    values = {}
    if f"val_{metric}" in run.log:
        values = dict(zip(run.log["step"].tolist(), run.log[f"val_{metric}"], strict=True))
    rows = []
    for path in runs.checkpoints(run.directory):
        step = int(path.stem.split("_")[1])
        validation = f"{values[step]:.4f}" if step in values else ""
        if run.best is not None and run.best.step == step:
            validation += " (best)"
        rows.append((f"{step:,}", validation, _format_size(path), _format_date(path)))
    final = run.directory / runs.FINAL_MODEL
    if final.exists():
        rows.append((final.name, "", _format_size(final), _format_date(final)))
    header = ["Step", f"Validation ({describe_metric(metric)})", "Size", "Written"]
    return html.section("Checkpoints", html.card("Model files", html.table(rows, header)))


def _format_size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:,.1f} MB"


def _format_date(path: Path) -> str:
    return f"{datetime.datetime.fromtimestamp(path.stat().st_mtime):%Y-%m-%d %H:%M}"
