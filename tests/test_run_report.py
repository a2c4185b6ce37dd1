"""Tests of the report about a training run, by what a browser finds in its page."""

import csv
import io
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from conftest import SMALL, run_program, tone
from html_page import Page

import wavenet_tf as wt
from wavenet_tf import audio, evaluation, runs

pytestmark = [pytest.mark.slow, pytest.mark.once]

SECONDS = 0.2
SAMPLES = round(SECONDS * 8000)
SCORES = {
    "bits_per_sample": 4.25,
    "files": {f"{bits}.wav": bits for bits in (3.5, 7.0, 2.0, 4.5)},
    "speakers_identified": 0.875,
    "log_spectral_distance": 9.876,
}
# Of a run with three speakers.
BY_SPEAKER = {"bits_per_sample": 4.0, "files": {}, "speakers": {"a": 3.5, "b": 4.25, "c": 4.5}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run on tones of two speakers, a vocoder, and a run that lost its recordings and log."""
    folder = tmp_path_factory.mktemp("report")
    for index in range(8):
        path = folder / "recordings" / f"{'ab'[index % 2]}_{index}.wav"
        wt.write_audio(path, tone(0.3, 8000, 300.0 + 50.0 * index), 8000)
    settings = {
        "data_dir": str(folder / "recordings"),
        "overrides": SMALL,
        "steps": 5,
        "steps_per_validation": 2,
        "crop_seconds": 0.05,
        "checkpoints_kept": 2,
        "validation_fraction": 0.4,
    }
    runs.train(runs.Settings(**settings, speakers="(.)_"), folder / "speakers")
    runs.train(runs.Settings(**{**settings, "steps": 1}, features="mel"), folder / "vocoder")
    (folder / "vocoder" / "evaluation.json").write_text(json.dumps(SCORES))
    for index in range(6):
        path = folder / "three" / f"{'abc'[index % 3]}_{index}.wav"
        wt.write_audio(path, tone(0.3, 8000, 300.0 + 50.0 * index), 8000)
    three = {**settings, "data_dir": str(folder / "three"), "steps": 1, "speakers": "(.)_"}
    runs.train(runs.Settings(**three), folder / "voices")
    (folder / "voices" / "evaluation.json").write_text(json.dumps(BY_SPEAKER))
    shutil.copytree(folder / "speakers", folder / "lost")
    (folder / "lost" / "log.csv").write_text("")
    lost = {**settings, "data_dir": str(folder / "nowhere"), "speakers": "(.)_"}
    (folder / "lost" / "settings.json").write_text(json.dumps(lost))
    with open(folder / "speakers" / "log.csv", "a") as file:
        file.write("3,5.0,")  # the run still trains, and is about to write
    (folder / "wrong.json").write_text('{"bits_per_sample": 1.0}')
    return folder


@pytest.fixture(scope="module")
def results(folder):
    """The result of the program for each set of arguments."""
    size = [f"--seconds={SECONDS}", "--streams=2"]
    arguments = {
        "speakers": [folder / "speakers", *size],
        "vocoder": [f"--model_dir={folder / 'vocoder'}", *size],
        "lost": [folder / "lost", *size],
        "voices": [folder / "voices", *size],
        "nowhere": [folder / "nowhere"],
        "two": ["a", "--model_dir=b"],
        "wrong": [folder / "lost", *size, f"--evaluation={folder / 'wrong.json'}"],
    }

    def run(name):
        output = f"--output={folder / name}.html"
        return run_program("report.py", *arguments[name], output)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(arguments, pool.map(run, arguments), strict=True))


def _page(folder, results, name):
    result = results[name]
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == f"the page is in {folder / name}.html"
    return Page(folder / f"{name}.html")


def _played(page, heading):
    (contents,) = page.card(heading)["audio"]
    samples, rate = soundfile.read(io.BytesIO(contents), dtype="int16")
    assert rate == 8000
    return samples


def _validation_split(folder, name, model):
    return runs.recordings_from_run(
        folder / name, model, folder / "recordings", "validation", validation_fraction=0.4
    )


def test_page_is_one_file_that_fetches_nothing(folder, results):
    page = _page(folder, results, "speakers")
    assert not page.tags & {"script", "link", "iframe", "object"}
    source = re.sub('"data:[^"]*"', "", page.source)
    for reference in ("http:", "https:", "href", "url(", "@import"):
        assert reference not in source, reference


def test_speakers_have_a_picture_and_their_bits(folder, results):
    page = _page(folder, results, "voices")
    assert len(page.card("Speaker embeddings")["img"]) == 1
    bits = page.facts("Bits per sample by speaker")
    assert bits == {"a": "3.5000", "b": "4.2500", "c": "4.5000"}
    assert "Speaker embeddings" not in _page(folder, results, "speakers").source


@pytest.mark.parametrize("name", ["speakers", "vocoder", "lost"])
def test_no_page_shows_where_the_folders_are(folder, results, name):
    page = _page(folder, results, name)
    assert str(folder) not in page.source
    assert page.facts("Model")["Folder"] == name
    assert page.facts("Settings")["data_dir"] == ("nowhere" if name == "lost" else "recordings")


def test_report_has_the_figures_of_the_log(folder, results):
    page, model = _page(folder, results, "speakers"), runs.load_model(folder / "speakers")
    with open(folder / "speakers" / "log.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["step"]]
    assert [row["step"] for row in rows] == ["2", "4", "5"]
    bits = [float(row["val_bits_per_sample"]) for row in rows]
    facts = page.facts("Training")
    assert facts["Steps"] == "5 of 5"
    assert facts["Last validation"] == f"{bits[-1]:.4f} bits per sample"
    best = rows[int(np.argmin(bits))]["step"]
    expected = f"{min(bits):.4f} bits per sample, at step {best}"
    assert facts["Best validation"] == expected
    assert facts["Uniform guessing"] == "8 bits per sample"
    facts = page.facts("Model")
    parameters = sum(np.prod(weight.shape) for weight in model.weights)
    assert facts["Parameters"] == f"{parameters:,}"
    assert facts["Receptive field"] == f"{model.receptive_field} samples (2 ms)"
    training = float(rows[-1]["bits_per_sample"])
    curve = page.card("Bits per sample")
    assert f"training {training:.4g}, validation {bits[-1]:.4g}" in curve["text"]
    for heading in ("Bits per sample", "Learning rate"):
        (picture,) = page.card(heading)["img"]
        assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    kept = {row[0]: row[1] for row in page.card("Model files")["rows"][1:]}
    names = {str(int(path.stem.split("_")[1])) for path in runs.checkpoints(folder / "speakers")}
    assert set(kept) == {*names, "model.keras"}
    assert kept["5"].startswith(f"{bits[-1]:.4f}")
    assert kept[best].endswith("(best)")
    assert page.facts("Settings")["validation_fraction"] == "0.4"
    assert page.facts("Model arguments")["residual_channels"] == "8"


def test_audio_is_generated_for_each_speaker(folder, results):
    page, model = _page(folder, results, "speakers"), runs.load_model(folder / "speakers")
    recordings = _validation_split(folder, "speakers", model)
    first = [int(np.argmax(recordings.speaker_ids == speaker)) for speaker in (0, 1)]
    chosen = recordings.select(sorted(first))
    assert sorted(chosen.speaker_ids) == [0, 1]
    generated = model.generate(SAMPLES, 2, speaker_id=chosen.speaker_ids, seed=0)
    for index in range(2):
        played = _played(page, f"Generated {index + 1}")
        np.testing.assert_array_equal(played, audio.to_16_bits(generated[index]))
        recorded = _played(page, f"Recorded {index + 1}")
        np.testing.assert_array_equal(recorded, chosen.clip(index)[:SAMPLES])
        speaker = "ab"[chosen.speaker_ids[index]]
        assert page.facts(f"Generated {index + 1}")["Speaker"] == speaker
        assert page.facts(f"Recorded {index + 1}")["Recording"] == chosen.names[index]
        assert len(page.card(f"Generated {index + 1}")["img"]) == 1


def test_report_evaluates_a_run_that_has_no_evaluation(folder, results):
    page, model = _page(folder, results, "speakers"), runs.load_model(folder / "speakers")
    recordings = _validation_split(folder, "speakers", model)
    scores = evaluation.score(model, recordings)
    assert page.facts("Scores")["Bits per sample"] == f"{scores.bits_per_sample:.4f}"
    worst = list(scores.bits_per_sample_by_name.items())[-1]
    assert page.card("Worst recordings")["rows"][0] == [worst[0], f"{worst[1]:.4f}"]


def test_report_of_a_vocoder_has_copy_synthesis(folder, results):
    page, model = _page(folder, results, "vocoder"), runs.load_model(folder / "vocoder")
    recordings = _validation_split(folder, "vocoder", model).select([0, 1])
    for index in range(2):
        recorded = _played(page, f"Recorded {index + 1}")
        np.testing.assert_array_equal(recorded, recordings.clip(index)[:SAMPLES])
    frames = np.stack([frames[: SAMPLES // 100] for frames in recordings.features])
    generated = model.generate(SAMPLES, 2, local_conditioning=frames, seed=0)
    for index in range(2):
        played = _played(page, f"Generated {index + 1}")
        np.testing.assert_array_equal(played, audio.to_16_bits(generated[index]))
        distance = evaluation.log_spectral_distance(
            recordings.waveform(index)[:SAMPLES], generated[index], 8000
        )
        facts = page.facts(f"Generated {index + 1}")
        assert facts["Log-spectral distance"] == f"{distance:.2f} dB"


def test_report_has_the_figures_of_the_evaluation_file(folder, results):
    page = _page(folder, results, "vocoder")
    facts = page.facts("Scores")
    assert facts["Bits per sample"] == "4.2500"
    assert facts["Speakers identified"] == "87.5%"
    assert facts["Log-spectral distance"] == "9.88 dB"
    assert "over 4 recordings" in page.card("Scores")["text"]
    assert page.card("Best recordings")["rows"] == [["2.0.wav", "2.0000"], ["3.5.wav", "3.5000"]]
    assert page.card("Worst recordings")["rows"] == [["7.0.wav", "7.0000"], ["4.5.wav", "4.5000"]]


def test_run_without_recordings_and_log_has_a_report(folder, results):
    page, model = _page(folder, results, "lost"), runs.load_model(folder / "lost")
    assert "cannot be read: no folder of recordings at nowhere" in page.text
    assert "no recordings to score" in page.text
    assert "no validation yet" in page.text
    assert page.facts("Training")["Best validation"] == "none yet"
    generated = model.generate(SAMPLES, 2, speaker_id=[0, 1], seed=0)
    np.testing.assert_array_equal(_played(page, "Generated 2"), audio.to_16_bits(generated[1]))
    assert page.facts("Generated 2")["Speaker"] == "b"
    assert not any(card["heading"].startswith("Recorded") for card in page.cards)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "no model directory at"),
        ("two", "name one model directory; received a, b"),
        ("wrong", "wrong.json as an evaluation report: no key 'files'"),
    ],
)
def test_bad_arguments_give_one_line(folder, results, name, message):
    result = results[name]
    assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr
    assert message in result.stderr
    assert not (folder / f"{name}.html").exists()
