"""Scores of generated audio: figures, distances, verdicts, and checkpoints compared by them."""

import dataclasses
import json
import re

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
from conftest import SMALL, run_program, small_model, tone
from html_page import Page
from registry import small_classifier

import wavenet_tf as wt
from wavenet_tf import data, evaluation, reports, runs
from wavenet_tf.errors import InputError
from wavenet_tf.evaluation.frechet import classifier_embeddings

RATE = 8000
FIGURES = evaluation.AudioFigures(silence=0.1, clipping=0.0, noise=0.1, pitched=0.7, level=-20.0)


def noise(seconds=1.0, seed=0, scale=0.1):
    return np.random.default_rng(seed).normal(scale=scale, size=round(seconds * RATE))


def test_shares_are_those_of_a_clip_made_of_known_parts():
    meter = evaluation.AudioMeter([tone(1.0), noise()], RATE)
    clip = np.concatenate([tone(1.0), np.zeros(2 * RATE), noise(seed=1)])
    figures = meter.figures([clip])
    # Frames of 50 ms across the edges belong to either side.
    np.testing.assert_allclose(
        [figures.pitched, figures.silence, figures.noise], [0.25, 0.5, 0.25], atol=0.02
    )
    power = np.mean(np.square(np.concatenate([tone(1.0), noise(seed=1)])))
    assert abs(figures.level - 10 * np.log10(power)) < 0.3
    assert figures.clipping == 0.0
    assert meter.figures([np.clip(9.0 * tone(1.0), -1.0, 1.0)]).clipping > 0.5


def test_noise_with_the_spectrum_of_the_recordings_is_noise():
    coloring = scipy.signal.butter(2, 300.0, fs=RATE)
    recorded = [scipy.signal.lfilter(*coloring, noise(2.0, seed)) for seed in range(2)]
    colored = scipy.signal.lfilter(*coloring, noise(2.0, seed=9))
    assert evaluation.AudioMeter(recorded, RATE).figures([colored]).noise > 0.5


def test_spectrum_distance_is_that_of_the_filter():
    recorded, kernel = noise(20.0), np.array([1.0, 0.5])
    meter = evaluation.AudioMeter([recorded], RATE)
    filtered = 0.3 * np.convolve(recorded, kernel)[: len(recorded)]
    _, response = scipy.signal.freqz(kernel, worN=2 * np.pi * np.arange(1, 201) / 400)
    expected = np.std(20 * np.log10(np.abs(response)))
    assert abs(meter.spectrum_distance([filtered]) - expected) < 0.05
    assert meter.spectrum_distance([0.5 * recorded]) < 1e-9


def test_frechet_distance_is_that_of_the_matrix_root():
    generator = np.random.default_rng(0)
    first, second = (
        generator.normal(size=[50, 4]) @ generator.normal(size=[4, 4]) + generator.normal(size=4)
        for _ in range(2)
    )
    covariances = np.cov(first.T), np.cov(second.T)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.sum((first.mean(0) - second.mean(0)) ** 2)
    expected += np.trace(covariances[0] + covariances[1] - 2 * root)
    np.testing.assert_allclose(evaluation.frechet_distance(first, second), expected, rtol=1e-9)
    with pytest.raises(InputError, match=r"second must be at least two vectors.*shape \[1, 4\]"):
        evaluation.frechet_distance(first, second[:1])


def test_logits_are_a_linear_map_of_the_embeddings():
    model, clip = small_classifier(), tone(0.1)
    layer = model.class_layer
    logits = classifier_embeddings(model, [clip]) @ layer.kernel.numpy() + layer.bias.numpy()
    whole = model(model.distribution.encode(clip[None]))["classes"][0]
    np.testing.assert_allclose(logits, whole, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "spectrum", "verdict"),
    [
        ({"silence": 0.9, "noise": 0.0, "pitched": 0.0}, 1.0, "mostly silence"),
        ({"noise": 0.5}, 1.0, "mostly noise"),
        ({"clipping": 0.2}, 1.0, "clipped"),
        ({"pitched": 0.2}, 1.0, "too little pitch"),
        ({}, 9.0, r"another spectrum \(9.0 dB\)"),
        ({"level": -30.0}, 1.0, "10 dB off their level"),
        ({}, 1.0, "like the recordings by these scores"),
    ],
)
def test_verdicts(changes, spectrum, verdict):
    generated = dataclasses.replace(FIGURES, **changes)
    report = evaluation.GeneratedReport(1, 1.0, generated, FIGURES, spectrum)
    assert re.search(verdict, report.verdict)


def test_audio_that_cannot_be_scored_is_refused():
    with pytest.raises(InputError, match=r"at least 0.05 s; received \[10\] samples"):
        evaluation.score_generated([tone(1.0)], [np.zeros(10)], RATE)
    with pytest.raises(InputError, match="sample rate of the audio, 16000 Hz; it has 8000 Hz"):
        evaluation.score_generated([tone()], [tone()], 16000, classifier=small_classifier())
    with pytest.raises(InputError, match="a vector that recordings do not have"):
        evaluation.generate_clips(small_model(global_channels=2), None, 1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"best_by": "beauty"}, "best_by must be one of silence, noise, .*received 'beauty'"),
        ({"best_by": "frechet"}, "best_by frechet needs best_by_classifier"),
        ({"best_by": "copy_synthesis"}, "needs features"),
        ({"best_by": "noise", "task": "classify", "classes": "(.)_"}, "for a generator"),
    ],
)
def test_wrong_scores_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        runs.Settings("recordings", **changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A generator whose checkpoints are compared by sound, and a classifier, of two speakers."""
    folder = tmp_path_factory.mktemp("scores")
    for index in range(10):
        path = folder / "recordings" / f"{'ab'[index % 2]}_{index}.wav"
        waveform = tone(0.3, RATE, 300.0 + 2.0 * index) if index % 2 else noise(0.3, index)
        wt.write_audio(path, waveform, RATE)
    settings = {
        "data_dir": str(folder / "recordings"),
        "overrides": SMALL,
        "steps_per_validation": 2,
        "crop_seconds": 0.1,
        "validation_fraction": 0.4,
        "tensorboard_audio": 0.0,
    }
    rule = {"task": "classify", "classes": "(.)_", "steps": 60, "steps_per_validation": 30}
    runs.train(runs.Settings(**{**settings, **rule}, learning_rate=0.02), folder / "classifier")
    by = {"best_by": "frechet", "best_by_classifier": str(folder / "classifier")}
    run = runs.Settings(**settings, **by, speakers="(.)_", steps=6, checkpoints_kept=1)
    runs.train(run, folder / "model")
    return folder


@pytest.mark.slow
@pytest.mark.once
def test_best_is_the_checkpoint_with_the_best_score(folder):
    log = runs.read_log(folder / "model")
    scores = log["val_generated_frechet"]
    assert np.isfinite(scores).all() and len(scores) == 3
    best = runs.best_validation(folder / "model")
    assert (best.metric, best.step) == ("generated_frechet", log["step"][np.argmin(scores)])
    kept = {int(path.stem[-8:]) for path in runs.checkpoints(folder / "model")}
    assert kept == {best.step, 6}
    # The logged score is that of the audio which the checkpoint generates.
    model = runs.load_model(folder / "model", "best")
    settings = runs.Settings.from_run(folder / "model")
    recordings = runs.read_run_recordings(settings, model, settings.data_dir)
    _, validation = runs.split_recordings(settings, recordings, model.receptive_field)
    classifier = runs.RunClassifier.load(folder / "classifier")
    report = runs.score_generated_audio(model, validation, 8, 2.0, classifier)
    assert report.frechet == pytest.approx(best.value, rel=1e-3)


@pytest.mark.slow
def test_recordings_taken_as_generated_audio_get_perfect_scores(folder):
    recordings = data.read_recordings(folder / "recordings", RATE).with_speakers("(.)_")
    recorded = list(recordings.waveforms())
    report = evaluation.score_generated(recorded, recorded, RATE, copies=True)
    assert set(report.scores.values()) == {0.0} and "by ear" in report.verdict
    same = evaluation.with_generated_clips(recordings, recorded)
    classifier = runs.RunClassifier.load(folder / "classifier")
    assert runs.evaluate_classifier(*classifier, same).error_rate.value == 0.0
    # A generator whose speakers are exchanged gets none right.
    exchanged = evaluation.with_generated_clips(recordings, recorded[::-1])
    assert runs.evaluate_classifier(*classifier, exchanged).error_rate.value == 1.0


@pytest.mark.slow
@pytest.mark.once
def test_the_program_and_the_report_show_scores(folder):
    model_dir = folder / "model"
    result = run_program(
        "evaluate.py",
        f"--model_dir={model_dir}",
        f"--data_dir={folder / 'recordings'}",
        "--generated=4",
        "--generated_seconds=0.2",
        f"--classifier_dir={folder / 'classifier'}",
        f"--json={model_dir / 'evaluation.json'}",
    )
    assert result.returncode == 0, result.stderr
    stored = json.loads((model_dir / "evaluation.json").read_text())["generated"]
    assert f"generated audio: {stored['verdict']}" in result.stdout
    assert stored["clips"] == 4 and stored["recorded_classes"] == 0.0
    reports.write_run_report(model_dir, folder / "report.html", streams=2, seconds=0.2)
    page = Page(folder / "report.html")
    assert f"Verdict: {stored['verdict']}." in page.source
    assert "By tools/evaluate.py, over 4 generated clips, 0.8 s." in page.source
    assert page.card("Generated 1")["audio"]
    (model_dir / "evaluation.json").unlink()
    reports.write_run_report(model_dir, folder / "report.html", streams=2, seconds=0.2)
    assert (
        "Of the clips below, over 2 generated clips, 0.4 s." in Page(folder / "report.html").source
    )


def test_a_classifier_without_generated_clips_is_refused(tmp_path):
    result = run_program(
        "evaluate.py",
        f"--model_dir={tmp_path}",
        f"--data_dir={tmp_path}",
        f"--classifier_dir={tmp_path}",
    )
    assert result.returncode == 1 and result.stderr.count("\n") == 1
