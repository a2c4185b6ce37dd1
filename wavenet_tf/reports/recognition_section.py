"""The evaluation of a classifier, for the report about its run."""

from __future__ import annotations

from pathlib import Path

from wavenet_tf import runs
from wavenet_tf.reports import html
from wavenet_tf.reports.run_contents import RunContents

# Number of recordings that are scored for the report.
NUM_SCORED = 100


def recognition_section(run: RunContents, verbose: bool) -> html.Html:
    """Returns error rates and confusions on recordings of the validation split.

    Args:
        run: of a classifier.
        verbose: prints what is done.
    """
    heading = "Evaluation"
    if run.recordings is None:
        message = f"There are no recordings to score: {run.recordings_error}"
        return html.section(heading, html.paragraph(message))
    scored = run.recordings.select(range(min(NUM_SCORED, len(run.recordings.names))))
    if verbose:
        print(f"scoring {len(scored.names)} recordings")
    report = runs.evaluate_classifier(run.directory, run.model, scored)
    rates = {
        "Error rate": report.error_rate,
        "Without a decoder": report.greedy_error_rate,
        "Frames": report.frame_error_rate,
        "Words": report.word_error_rate,
    }
    source_text = (
        f"Over {report.labels:,} labels of {len(scored.names):,} recordings of the validation "
        "split; tools/evaluate.py scores all of it."
    )
    facts = {name: str(rate) for name, rate in rates.items() if rate is not None}
    cards = [html.card("Scores", html.facts(facts), html.paragraph(source_text))]
    if report.confusions:
        rows = [(right, wrong, f"{count:,}") for right, wrong, count in report.confusions]
        table = html.table(rows, ["Right", "Recognized", "Number"])
        cards.append(html.card("Most frequent confusions", table))
    worst = sorted(report.files.items(), key=lambda file: -file[1])[:5]
    counts = [(Path(name).name, f"{errors:,}") for name, errors in worst if errors]
    if counts:
        cards.append(html.card("Recordings with the most errors", html.table(counts)))
    return html.section(heading, html.grid(*cards))
