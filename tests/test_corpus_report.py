"""Tests of the report about a corpus, by what a browser finds in its page."""

import io
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from conftest import run_program
from html_page import Page

import wavenet_tf as wt
from wavenet_tf import audio, data

pytestmark = [pytest.mark.slow, pytest.mark.once]

SAMPLE_RATE = 8000
ANA, BEN = "ana & <b>co", "ben"
ODD_NAME = f'{ANA}/Übung <1> & "2" $x$.wav'
LONG_NAME = f"{BEN}/long.wav"
PADDED_NAME = f"{BEN}/padded.wav"
CLIPPED_NAME = f"{BEN}/clipped.wav"


def _clip(number, seconds=0.5):
    """A sine of amplitude 0.5, with noise that makes clips differ and barely changes levels."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    noise = np.random.default_rng(number).normal(0.0, 1e-3, len(time))
    return 0.5 * np.sin(2 * np.pi * (300 + 40 * number) * time) + noise


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A folder of two speakers, and the clips in it by name, int16."""
    folder = tmp_path_factory.mktemp("recordings") / "the <corpus>"
    clips = {f"{ANA}/{number}.wav": _clip(number, 0.4 + 0.05 * number) for number in range(3)}
    clips |= {ODD_NAME: _clip(3), LONG_NAME: _clip(4, 11.0)}
    clips[PADDED_NAME] = np.pad(_clip(5), (4000, 8000))
    clips[CLIPPED_NAME] = np.clip(3.0 * _clip(6), -1.0, 1.0)
    for name, clip in clips.items():
        wt.write_audio(folder / name, clip, SAMPLE_RATE)
    (folder / BEN / "broken.wav").write_text("not audio")
    return folder, {name: audio.to_16_bits(clip) for name, clip in clips.items()}


@pytest.fixture(scope="module")
def prepared(corpus, tmp_path_factory):
    """The same clips and a duplicate of one, with a manifest, prepared."""
    folder, clips = corpus
    output = tmp_path_factory.mktemp("prepared") / "prepared"
    entries = [
        data.Clip(
            f"{folder.name}/{name}",
            speaker=name.split("/")[0],
            text=f"It's <{number}>",
            split=("train", "validation", "test")[max(0, number - 3) % 3],
        )
        for number, name in enumerate(clips)
    ]
    wt.write_audio(folder.parent / "again.wav", clips[ODD_NAME] / 2**15, SAMPLE_RATE)
    entries += [data.Clip("again.wav", speaker=ANA), data.Clip("lost.wav", speaker=ANA)]
    manifest = folder.parent / "manifest.jsonl"
    data.write_manifest(manifest, entries)
    data.prepare(data.Preparation(str(manifest), trim_db=60.0), output, workers=1)
    return output


@pytest.fixture(scope="module")
def runs(corpus, prepared, tmp_path_factory):
    """The result of the program for each set of arguments, and the folder of its page."""
    folder = tmp_path_factory.mktemp("runs")
    wt.write_audio(folder / "single" / "only.wav", _clip(0), SAMPLE_RATE)
    arguments = {
        "raw": [corpus[0], "--layout=folder", "--speakers=folder", "--clips=20"],
        "prepared": [f"--data_dir={prepared}"],
        "single": [folder / "single", "--sample_rate=4000"],
        "two folders": ["a", "--data_dir=b"],
        "no folder": [folder / "nowhere"],
    }

    def run(name):
        (folder / name).mkdir(exist_ok=True)
        output = f"--output={folder / name / 'page.html'}"
        return run_program("inspect_data.py", *arguments[name], output), folder / name

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(arguments, pool.map(run, arguments), strict=True))


def _page(run):
    result, folder = run
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert result.stdout.splitlines()[-1] == f"the page is in {folder / 'page.html'}"
    return Page(folder / "page.html")


@pytest.fixture(scope="module")
def page(runs):
    assert [path.name for path in runs["raw"][1].iterdir()] == ["page.html"]
    return _page(runs["raw"])


@pytest.fixture(scope="module")
def prepared_page(runs):
    return _page(runs["prepared"])


def _played(contents):
    samples, rate = soundfile.read(io.BytesIO(contents), dtype="int16")
    assert rate == SAMPLE_RATE
    return samples


def _duration(samples):
    seconds = round(samples / SAMPLE_RATE)
    return f"0:{seconds // 60:02}:{seconds % 60:02}"


@pytest.mark.once
def test_page_is_one_file_that_fetches_nothing(page):
    assert not page.tags & {"script", "link", "iframe", "object", "b"}
    source = re.sub('"data:[^"]*"', "", page.source)
    for reference in ("http:", "https:", "href", "url(", "@import", "//"):
        assert reference not in source, reference


def test_summary_counts_clips_files_and_speakers(page, corpus):
    folder, clips = corpus
    samples = sum(map(len, clips.values()))
    facts = page.facts("Corpus")
    assert facts["Folder"] == str(folder.resolve())
    assert facts["Layout"] == "folder"
    assert facts["Clips"] == "7"
    assert facts["Duration"] == f"{_duration(samples)} ({samples / SAMPLE_RATE:.1f} s)"
    assert facts["Sample rate"] == "8,000 Hz"
    assert facts["Files"] == "WAV, Signed 16 bit PCM, mono, 8,000 Hz"
    assert facts["Speakers"] == "2"
    _, training, validation = page.card("Splits")["rows"]
    assert int(training[1]) + int(validation[1]) == 7


def test_warnings_name_clips(page):
    card = page.card("Warnings")
    assert "Files that cannot be used: 1" in card["text"]
    assert "Clips with clipped samples: 1" in card["text"]
    names = [row[0] for row in card["rows"]]
    assert names == [f"{BEN}/broken.wav", CLIPPED_NAME]


def test_distributions_are_those_of_the_clips(page, corpus):
    clips = list(corpus[1].values())
    seconds = np.array([len(clip) / SAMPLE_RATE for clip in clips])
    text = page.card("Durations")["text"]
    assert f"{min(seconds):.2f} to 11.00 s, median {np.median(seconds):.2f} s" in text
    # Most clips are sines of amplitude 0.5.
    assert "median RMS -9.0 dBFS, median peak -6.0 dBFS" in page.card("Levels")["text"]
    # 1.5 s of zeros surround the sound; 0.05 s and half a frame on each side are kept.
    silence = float(page.card("Silence at the ends")["text"].split("clips: ")[1].split("%")[0])
    assert silence == pytest.approx(100 * 1.37 / sum(seconds), abs=0.3)
    codes = wt.mu_law_encode(np.concatenate(clips) / 2**15).numpy()
    shares = np.unique(codes, return_counts=True)[1] / len(codes)
    entropy = -np.sum(shares * np.log2(shares))
    assert f"the entropy of the codes is {entropy:.3f} bits" in page.card("Codes")["text"]
    for heading in ("Durations", "Levels", "Silence at the ends", "Codes"):
        (picture,) = page.card(heading)["img"]
        assert picture.startswith(b"\x89PNG\r\n\x1a\n")


def test_speakers_are_listed_with_their_duration(page, corpus):
    samples = {speaker: 0 for speaker in (BEN, ANA)}
    for name, clip in corpus[1].items():
        samples[name.split("/")[0]] += len(clip)
    total = sum(samples.values())
    assert page.card("Speakers")["rows"] == [
        [speaker, "\n", f"{_duration(of)} ({of / total:.1%})"] for speaker, of in samples.items()
    ]


def test_players_have_the_samples_of_the_clips(page, corpus):
    for name, clip in corpus[1].items():
        (player,) = page.card(name)["audio"]
        np.testing.assert_array_equal(_played(player), clip[: 10 * SAMPLE_RATE])
        assert len(page.card(name)["img"]) == 1
        facts = page.facts(name)
        assert facts["Speaker"] == name.split("/")[0]
        assert facts["Duration"] == f"{len(clip) / SAMPLE_RATE:.2f} s"
    assert page.facts(ODD_NAME)["Level"] == "RMS -9.0 dBFS, peak -6.0 dBFS"


def test_batch_has_codes_of_the_files(page, corpus):
    """The scored codes of each crop are a segment of one file of its speaker."""
    files = {
        name: wt.mu_law_encode(clip / 2**15).numpy().astype(np.uint8).tobytes()
        for name, clip in corpus[1].items()
    }
    context, scored_samples = 511, 0
    for number in range(1, 5):
        facts = page.facts(f"Crop {number}")
        crop = _played(page.card(f"Crop {number}")["audio"][0])
        assert len(crop) == context + 1 + SAMPLE_RATE
        scored = int(facts["Scored"].split()[0].replace(",", ""))
        assert facts["Scored"] == f"{scored:,} of 8,512 samples ({scored / 8512:.1%})"
        codes = wt.mu_law_encode(crop[context + 1 :][:scored] / 2**15).numpy().astype(np.uint8)
        found = [name for name, file in files.items() if codes.tobytes() in file]
        assert len(found) == 1
        index, speaker = facts["Speaker"].split(", ")
        assert found[0].startswith(f"{speaker}/")
        assert index == f"id {sorted([ANA, BEN]).index(speaker)}"
        scored_samples += scored
    assert f"{scored_samples / (4 * 8512):.1%} of the batch is scored" in page.text
    pairs = f"{4 * (context + SAMPLE_RATE - 1):,}"
    assert f"this holds for {pairs} of the {pairs} targets" in page.text


def test_prepared_corpus_has_the_figures_of_its_preparation(prepared_page, prepared, corpus):
    page, recordings = prepared_page, data.open_prepared(prepared)
    facts = page.facts("Corpus")
    assert facts["Layout"] == "prepared"
    assert facts["Clips"] == "8"
    recorded = sum(map(len, corpus[1].values())) + len(corpus[1][ODD_NAME])
    cut = recorded / SAMPLE_RATE - recordings.seconds
    assert facts["Trimmed silence"].startswith(f"{cut:.1f} s (")
    assert cut > 1.0
    card = page.card("Warnings")
    for line in (
        "Files that cannot be used: 1",
        "Clips with clipped samples: 1",
        "Clips that repeat another, sample by sample: 1",
    ):
        assert line in card["text"]
    assert "All clips before preparation" in page.card("Levels")["text"]
    training, validation = recordings.split(0.1)
    tested = np.count_nonzero(recordings.splits == 2)
    assert len(training.names) + len(validation.names) + tested == 8
    assert [row[:2] for row in page.card("Splits")["rows"][1:]] == [
        ["Training", str(len(training.names))],
        ["Validation", str(len(validation.names))],
        ["Test", str(tested)],
    ]


def test_players_have_the_stored_samples_of_prepared_clips(prepared_page, prepared):
    page, recordings = prepared_page, data.open_prepared(prepared)
    stored = {name: recordings.clip(index) for index, name in enumerate(recordings.names)}
    shown = [card for card in page.cards if card["heading"] in stored]
    assert len(shown) == 6
    for card in shown:
        (player,) = card["audio"]
        clip = stored[card["heading"]]
        np.testing.assert_array_equal(_played(player), clip[: 10 * SAMPLE_RATE])
    texts = [page.facts(card["heading"]).get("Text") for card in shown]
    assert "It's <3>" in texts


def test_corpus_that_cannot_be_split_has_a_report(runs):
    page = _page(runs["single"])
    assert page.facts("Corpus")["Sample rate"] == "4,000 Hz"
    assert page.facts("Corpus")["Speakers"] == "none"
    assert "None." in page.card("Warnings")["text"]
    assert page.text.count("takes at least 2 recordings") == 2  # for the splits, for the batch
    assert {card["heading"] for card in page.cards}.isdisjoint({"Speakers", "Crop 1"})


@pytest.mark.parametrize(
    ("run", "message"),
    [("two folders", "name one folder of recordings; received a, b"), ("no folder", "nowhere")],
)
def test_bad_arguments_give_one_line(runs, run, message):
    result, folder = runs[run]
    assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr
    assert message in result.stderr
    assert not list(folder.iterdir())
