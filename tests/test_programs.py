"""Every program as a user runs it, on audio made here."""

import json
import shlex
from concurrent.futures import ThreadPoolExecutor

import matplotlib.image
import numpy as np
import pytest
import soundfile
from conftest import run_program, tone

import wavenet_tf as wt

TINY_MODEL = ["--set=layers_per_stack=3", "--set=num_stacks=1", "--sample_rate=8000"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with recordings and a model trained on them by the program."""
    folder = tmp_path_factory.mktemp("programs")
    for index in range(6):
        wt.write_audio(
            folder / "recordings" / f"tone_{index}.flac", tone(0.5, 16000, 300 + 40 * index), 16000
        )
    (folder / "recordings" / "broken.wav").write_text("not audio")
    result = run_program(
        "train.py",
        f"--data_dir={folder / 'recordings'}",
        f"--model_dir={folder / 'model'}",
        "--preset=tiny",
        "--steps=4",
        "--steps_per_validation=2",
        "--crop_seconds=0.1",
        *TINY_MODEL,
    )
    assert result.returncode == 0, result.stderr
    assert "skipped 1 files (broken.wav" in result.stdout
    assert "step 4 of 4: " in result.stdout and " in validation, loss " in result.stdout
    return folder


@pytest.mark.slow
@pytest.mark.once
def test_a_dry_run_prints_an_estimate_and_writes_nothing(run, tmp_path):
    result = run_program(
        "train.py",
        f"--data_dir={run / 'recordings'}",
        f"--model_dir={tmp_path / 'model'}",
        "--preset=tiny",
        "--crop_seconds=0.1",
        "--dry_run",
        *TINY_MODEL,
    )
    assert result.returncode == 0, result.stderr
    for line in ("parameters, receptive field", "memory  ", "time  ", " steps of "):
        assert line in result.stdout
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_train_resumes_with_the_settings_of_the_run(run):
    result = run_program("train.py", f"--model_dir={run / 'model'}", "--steps=6")
    assert result.returncode == 0, result.stderr
    assert "resuming after step 4" in result.stdout


def test_generate_writes_audio_and_shows_progress(run, tmp_path):
    wt.write_audio(tmp_path / "prompt.wav", tone(0.1, 22050), 22050)  # at another rate
    result = run_program(
        "generate.py",
        f"--model_dir={run / 'model'}",
        f"--output={tmp_path / 'out.wav'}",
        "--seconds=0.3",
        "--batch_size=2",
        "--seed=1",
        f"--prompt={tmp_path / 'prompt.wav'}",
    )
    assert result.returncode == 0, result.stderr
    assert "100% 0.3 of 0.3 s" in result.stderr
    for index in range(2):
        audio, rate = soundfile.read(tmp_path / f"out_{index}.wav")
        assert rate == 8000
        assert audio.shape == (2400,)
        assert np.ptp(audio) > 0


@pytest.mark.slow
def test_evaluate_reports_every_file(run, tmp_path):
    result = run_program(
        "evaluate.py",
        f"--model_dir={run / 'model'}",
        f"--data_dir={run / 'recordings'}",
        "--per_file",
        f"--json={tmp_path / 'scores.json'}",
    )
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "scores.json").read_text())
    assert len(report["files"]) == 6
    np.testing.assert_allclose(np.mean(list(report["files"].values())), report["bits_per_sample"])
    assert f"{report['bits_per_sample']:.4f} bits per sample over 6 recordings" in result.stdout
    assert "tone_3.flac" in result.stdout


@pytest.mark.once
@pytest.mark.slow
def test_demo_goes_the_whole_way(tmp_path):
    result = run_program(
        "demo.py", f"--output_dir={tmp_path}", "--steps=2", "--clips=4", "--seconds=1"
    )
    assert result.returncode == 0, result.stderr
    for line in ("bits/sample", "notes ", "picture ", "composed 4 melodies"):
        assert line in result.stdout
    audio, rate = soundfile.read(tmp_path / "model" / "generated.wav")
    assert (len(audio), rate) == (8000, 8000)
    assert matplotlib.image.imread(tmp_path / "model" / "picture.png").shape[1] > 800


@pytest.mark.once
@pytest.mark.slow
def test_speakers_are_trained_saved_and_asked_for_by_name(tmp_path):
    for index in range(6):
        path = tmp_path / "recordings" / f"{index}_{'ana' if index % 2 else 'ben'}.wav"
        wt.write_audio(path, tone(0.5, 16000, 300 + 200 * (index % 2)), 16000)
    train = [
        f"--data_dir={tmp_path / 'recordings'}",
        f"--model_dir={tmp_path / 'model'}",
        "--preset=tiny",
        "--steps_per_validation=2",
        "--crop_seconds=0.1",
        *TINY_MODEL,
    ]
    result = run_program("train.py", *train, "--steps=2", "--speakers=_(.*)[.]wav")
    assert result.returncode == 0, result.stderr
    assert "2 speakers: ana, ben" in result.stdout
    result = run_program("train.py", f"--model_dir={tmp_path / 'model'}", "--steps=4")
    assert result.returncode == 0, result.stderr
    assert "resuming after step 2" in result.stdout
    evaluate = ["evaluate.py", f"--model_dir={tmp_path / 'model'}"]
    result = run_program(*evaluate, f"--data_dir={tmp_path / 'recordings'}")
    assert result.returncode == 0, result.stderr
    out = tmp_path / "out.wav"
    generate = ["generate.py", f"--model_dir={tmp_path / 'model'}", f"--output={out}"]
    result = run_program(*generate, "--speaker=ben", "--seconds=0.01")
    assert result.returncode == 0, result.stderr
    assert out.exists()
    for arguments, message in (
        (["--speaker=eve"], "unknown speaker 'eve': the model has the speakers ana, ben"),
        ([], "--speaker must be one of ana, ben"),
    ):
        result = run_program(*generate, *arguments)
        assert (result.returncode, result.stderr) == (1, f"generate.py: {message}\n")


@pytest.mark.once
@pytest.mark.slow
def test_a_vocoder_is_trained_scored_and_makes_a_recording_again(tmp_path):
    """16-bit outputs, mel and pitch features, speakers from a table."""
    folder = tmp_path / "ana's model"
    names = [f"{index}.wav" for index in range(4)]
    for index, name in enumerate(names):
        wt.write_audio(tmp_path / "recordings" / name, tone(0.31, 16000, 300 + 40 * index), 16000)
    table = "path,who\n" + "".join(f"{name},{'ab'[i % 2]}\n" for i, name in enumerate(names))
    (tmp_path / "recordings" / "table.csv").write_text(table)
    model = f"--model_dir={folder}"
    result = run_program(
        "train.py",
        f"--data_dir={tmp_path / 'recordings'}",
        model,
        "--preset=tiny",
        "--steps=4",
        "--steps_per_validation=2",
        "--crop_seconds=0.1",
        "--features=mel,f0",
        "--output_distribution=logistic_mixture",
        "--speakers=table.csv:who",
        "--context_stack=pooling=100,layers_per_stack=2,channels=8",
        *TINY_MODEL,
    )
    assert result.returncode == 0, result.stderr
    assert "16.00 is uniform guessing" in result.stdout
    words = shlex.split(result.stdout.splitlines()[-1].partition("to generate audio: ")[2])
    assert words[:4] == ["python", "tools/vocode.py", "--model_dir", str(folder)]
    assert words[4:] == ["--input", "in.wav", "--speaker", "a", "--output", "out.wav"]
    result = run_program(
        "evaluate.py",
        model,
        f"--data_dir={tmp_path / 'recordings'}",
        "--identify_speakers",
        "--copy_synthesis=2",
        "--step=2",
        f"--json={tmp_path / 'scores.json'}",
    )
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "scores.json").read_text())
    assert f"{report['log_spectral_distance']:.2f} dB log-spectral distance over 2" in result.stdout
    assert "% of recordings are most likely under their own speaker" in result.stdout
    vocode = ["vocode.py", model, f"--input={tmp_path / 'recordings' / '1.wav'}"]
    result = run_program(
        *vocode,
        f"--output={tmp_path / 'out.wav'}",
        "--speaker=b",
        f"--picture={tmp_path / 'both.png'}",
    )
    assert result.returncode == 0, result.stderr
    audio, rate = soundfile.read(tmp_path / "out.wav")
    assert (len(audio), rate) == (2480, 8000)
    assert (tmp_path / "both.png").exists()
    for program, arguments, message in (
        ("vocode.py", vocode[2:], "--speaker must be one of a, b"),
        ("vocode.py", [*vocode[2:], "--step=3"], "no checkpoint of step 3; there are 2, 4"),
        ("generate.py", [], "use tools/vocode.py"),
    ):
        result = run_program(program, model, f"--output={tmp_path / 'x.wav'}", *arguments)
        assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr
        assert message in result.stderr


@pytest.mark.slow
@pytest.mark.once
def test_a_corpus_is_prepared_trained_on_and_scored(tmp_path):
    """A corpus whose layout names speakers and a test set, prepared with features."""
    for take in range(8):
        for speaker, pitch in (("ana", 300), ("ben", 500)):
            path = tmp_path / "digits" / f"3_{speaker}_{take}.wav"
            wt.write_audio(path, tone(0.3, 8000, pitch + take), 8000)
    (tmp_path / "digits" / "3_eve_9.wav").write_text("no audio")
    prepared, model = f"--output={tmp_path / 'p'}", f"--model_dir={tmp_path / 'model'}"
    source = f"--source={tmp_path / 'digits'}"
    result = run_program("prepare_data.py", source, prepared, "--features=mel", "--trim_db=60")
    assert result.returncode == 0, result.stderr
    for line in ("16 clips, 4.8 s", "test 10 (3 s)", "speakers    2", "skipped     3_eve_9.wav: "):
        assert line in result.stdout, result.stdout
    train = ["train.py", f"--data_dir={tmp_path / 'p'}", model, "--preset=tiny", "--steps=2"]
    train += ["--crop_seconds=0.1", "--speakers=corpus", "--features=mel", "--balance_speakers"]
    result = run_program(*train, *TINY_MODEL[1:])  # the sample rate is the prepared one
    assert result.returncode == 0, result.stderr
    assert "2 speakers: ana, ben" in result.stdout
    # The corpus names a test set, and no clips to validate on.
    assert "training on 5 recordings (2 s), validating on 1 (0 s)\n" in result.stdout
    for split, clips in (("test", 10), ("all", 16)):
        result = run_program(
            "evaluate.py", model, f"--data_dir={tmp_path / 'p'}", f"--split={split}"
        )
        assert result.returncode == 0, result.stderr
        assert f"over {clips} recordings" in result.stdout
    for program, arguments, message in (
        ("prepare_data.py", [source, prepared], "holds another preparation: its trim_db is 60.0"),
        ("prepare_data.py", [source, prepared, "--layout=vctk:mic=1"], "holds another preparation"),
        (
            "prepare_data.py",
            [f"--source={tmp_path}/no", f"--output={tmp_path}/q"],
            "no folder of recordings at",
        ),
        (
            "train.py",
            [*train[1:2], f"--model_dir={tmp_path}/n", "--sample_rate=16000"],
            "at 8000 Hz",
        ),
        (
            "train.py",
            [f"--data_dir={tmp_path}/digits", f"--model_dir={tmp_path}/n", "--layout=ljspeech"],
            "layout 'ljspeech'",
        ),
    ):
        result = run_program(program, *arguments)
        assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr
        assert message in result.stderr


@pytest.mark.slow
@pytest.mark.once
def test_benchmark_measures_how_fast_a_corpus_feeds_training(run):
    result = run_program(
        "benchmark.py", f"--data={run / 'recordings'}", "--preset=tiny", "--repeats=1"
    )
    assert result.returncode == 0, result.stderr
    rows = [line.split("|")[1:4] for line in result.stdout.splitlines() if line.startswith("| ")]
    speeds = {name.strip(): float(speed.replace(",", "")) for name, speed, _ in rows[2:]}
    assert {"training", "raw, decoded when asked for", "prepared"} <= set(speeds)
    assert min(speeds.values()) > 0


@pytest.mark.slow
@pytest.mark.once
def test_benchmark_measures_how_fast_models_train(tmp_path):
    result = run_program(
        "benchmark_training.py",
        "--preset=tiny",
        "--precision=float32",
        "--precision=mixed_bfloat16",
        "--batch_sizes=1,2",
        "--crop_samples=200",
        "--repeats=1",
        f"--json={tmp_path / 'figures.json'}",
    )
    assert result.returncode == 0, result.stderr
    rows = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert [(row["precision"], row["batch_size"]) for row in rows] == [
        (precision, size) for precision in ("float32", "mixed_bfloat16") for size in (1, 2)
    ]
    weights = 16 * (2 * 32 * 64 + 32 * 32 + 32 * 64) + 64 * 64 + 64 * 256 - 32 * 32
    for row in rows:
        operations = 6 * weights * row["samples_per_second"] / 1e9
        share = operations / row["product_gigaflops"]
        np.testing.assert_allclose(row["share_of_products"], share, rtol=1e-6)
        assert f"| {row['batch_size']} x 200 | {row['samples_per_second']:,.0f} |" in result.stdout


@pytest.mark.slow
@pytest.mark.once
def test_benchmark_renews_its_table(tmp_path):
    (tmp_path / "page.md").write_text("above <!-- benchmark -->old<!-- end of benchmark --> below")
    result = run_program(
        "benchmark.py",
        "--preset=tiny",
        "--batch_sizes=1,8",
        "--threads=2",
        "--repeats=1",
        "--conditioning=tiny",
        f"--readme={tmp_path / 'page.md'}",
        f"--json={tmp_path / 'figures.json'}",
    )
    assert result.returncode == 0, result.stderr
    rows = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert [(row["batch_size"], row["threads"]) for row in rows] == [(1, 1), (8, 2)]
    for row in rows:
        assert row.pop("preset") == "tiny"
        assert min(row.values()) > 0
        ratio = row["step_microseconds"] / row["blas_microseconds"]
        np.testing.assert_allclose(row["ratio"], ratio)
    conditioned = json.loads((tmp_path / "figures.json").read_text())["conditioning"]
    assert [row["batch_size"] for row in conditioned] == [1, 8]
    assert all(min(row["step_microseconds"].values()) > 0 for row in conditioned)
    page = (tmp_path / "page.md").read_text()
    assert "| context stack | " in page
    assert page.startswith("above") and page.endswith("below")
    assert "old" not in page
    assert f"| `tiny` | 8 | 2 | {rows[1]['samples_per_second']:,.0f} |" in page


def test_the_benchmark_in_the_browser_names_what_is_missing(monkeypatch):
    monkeypatch.setenv("PATH", "")
    ran = run_program("benchmark_browser.py")
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1), ran.stderr
    assert "Node is missing" in ran.stderr


@pytest.mark.slow
def test_bad_input_gives_one_line_and_exit_code_1(run, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "one").mkdir()
    (tmp_path / "text.wav").write_text("hello")
    for name, samples in {"one_sample": [0.5], "silence": np.zeros(4000), "ok": tone()}.items():
        wt.write_audio(tmp_path / f"{name}.wav", samples, 8000)
    soundfile.write(tmp_path / "nan.wav", np.full(9, np.nan), 8000, subtype="FLOAT")
    wt.write_audio(tmp_path / "one" / "ok.wav", tone(), 8000)
    model = f"--model_dir={run / 'model'}"
    new_model, output = f"--model_dir={tmp_path / 'new'}", f"--output={tmp_path / 'out.wav'}"
    cases = [
        ("train.py", [new_model, f"--data_dir={tmp_path / 'empty'}"], "no usable recording"),
        ("train.py", [new_model, f"--data_dir={tmp_path / 'one'}"], "at least 2 recordings"),
        ("train.py", [model, "--preset=small"], "run of another model"),
        ("vocode.py", [model, output, f"--input={tmp_path / 'ok.wav'}"], "not trained with --feat"),
        (
            "evaluate.py",
            [model, f"--data_dir={run / 'recordings'}", "--identify_speakers"],
            "the model is not conditioned on speakers",
        ),
        ("generate.py", [model, output, f"--prompt={tmp_path / 'text.wav'}"], "cannot read"),
        ("generate.py", [model, output, f"--prompt={tmp_path / 'nan.wav'}"], "not finite"),
        ("evaluate.py", [model, f"--data_dir={tmp_path / 'empty'}"], "no usable recording"),
    ]
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda case: run_program(case[0], *case[1]), cases)
    for (program, arguments, message), result in zip(cases, results, strict=True):
        described = f"{program} {arguments}: {result.stderr}"
        assert result.returncode == 1, described
        assert message in result.stderr, described
        assert "Traceback" not in result.stderr, described
        assert result.stderr.startswith(f"{program}: "), described
        assert result.stderr.count("\n") == 1, described
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.slow
def test_odd_but_usable_input_works(run, tmp_path):
    """A prompt of one sample, a silent prompt: they are audio."""
    for name, samples in {"one_sample": np.float32([0.5]), "silence": np.zeros(4000)}.items():
        wt.write_audio(tmp_path / f"{name}.wav", samples, 8000)
        result = run_program(
            "generate.py",
            f"--model_dir={run / 'model'}",
            f"--output={tmp_path / 'out.wav'}",
            "--seconds=0.01",
            f"--prompt={tmp_path / name}.wav",
        )
        assert result.returncode == 0, result.stderr
