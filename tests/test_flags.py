"""Programs refuse wrong flags with one line, before TensorFlow is imported."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, small_model, tone

import wavenet_tf as wt
from wavenet_tf import files, reports
from wavenet_tf.errors import InputError
from wavenet_tf.models.config import INTEGER_ARGUMENTS

sys.path.insert(0, str(ROOT / "export"))

PROGRAMS = [
    *(
        f"tools/{name}.py"
        for name in (
            "align",
            "benchmark",
            "benchmark_browser",
            "benchmark_runtimes",
            "benchmark_training",
            "demo",
            "evaluate",
            "generate",
            "import_checkpoint",
            "inspect_data",
            "make_demo_data",
            "make_reference",
            "make_speech_data",
            "make_trained_models",
            "plot",
            "prepare_data",
            "publish",
            "recognize",
            "report",
            "speak",
            "suggest",
            "train",
            "vocode",
        )
    ),
    *(
        f"export/{name}.py"
        for name in (
            "generate_native",
            "generate_tflite",
            "native",
            "recognize_served",
            "recognize_tflite",
            "saved_model",
            "serving_client",
            "tflite",
            "verify",
        )
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A recording, a folder with an unreadable model, and packages that end who imports them."""
    folder = tmp_path_factory.mktemp("flags")
    for package in ("tensorflow", "keras", "matplotlib"):
        (folder / "packages" / package).mkdir(parents=True)
        (folder / "packages" / package / "__init__.py").write_text("raise SystemExit('imported')")
    (folder / "model").mkdir()
    (folder / "model" / "model.keras").write_text("no model")
    (folder / "empty").mkdir()
    (folder / "text.wav").write_text("no audio")
    wt.write_audio(folder / "z.wav", tone(), 8000)
    (folder / "link.wav").symlink_to("z.wav")
    os.link(folder / "z.wav", folder / "hard.wav")
    return folder


# Runs programs, each in a fork of a process that has imported what all of them import.
RUNNER = """
import json, os, runpy, sys
import absl.app, numpy, soundfile, soxr

for number, words in enumerate(json.load(sys.stdin)):
    if not os.fork():
        for descriptor in (1, 2):
            path = f"{sys.argv[1]}/{number}.{descriptor}"
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
        sys.argv = words = [os.fsdecode(w.encode("utf-8", "surrogateescape")) for w in words]
        sys.path.insert(0, os.path.dirname(words[0]))
        runpy.run_path(words[0], run_name="__main__")
        sys.exit(0)
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


def run(folder: Path, commands: list[list], **environment) -> list:
    """Runs programs in `folder`, where TensorFlow, Keras and matplotlib cannot be imported.

    Returns:
        The exit code, standard output and standard error of each.
    """
    variables = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    path = os.pathsep.join([str(folder / "packages"), str(ROOT)])
    words = [[str(ROOT / words[0]), *map(os.fsdecode, words[1:])] for words in commands]
    with tempfile.TemporaryDirectory() as written:
        ran = subprocess.run(
            [sys.executable, "-c", RUNNER, written],
            input=json.dumps(words),
            env={**variables, "HOME": str(folder / "home"), "PYTHONPATH": path, **environment},
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
            timeout=300,
            check=True,
        )
        texts = [
            [Path(written, f"{number}.{descriptor}").read_text() for descriptor in (1, 2)]
            for number in range(len(words))
        ]
    codes = map(int, ran.stdout.split())
    return [(code, *text) for code, text in zip(codes, texts, strict=True)]


GENERATE = ["tools/generate.py", "--model_dir=model"]
VOCODE = ["tools/vocode.py", "--model_dir=model"]
TFLITE = ["export/generate_tflite.py", "--model=z.wav"]
TRAIN = ["tools/train.py", "--model_dir=new", "--data_dir=empty"]
SPEECH = ["tools/make_speech_data.py", "--output=o"]
CLIENT = ["export/serving_client.py", "--output=o.wav"]
IMPORT = ["tools/import_checkpoint.py", "--output_dir=o"]
SEED = "flag --seed={0}: seed must be a whole number from 0 to 4294967295; received {0}"
REFUSED = [
    # Missing models, recordings and folders.
    ([*GENERATE[:1], "--model_dir=no", "--output=o.wav"], "no model directory at no"),
    ([*GENERATE[:1], "--model_dir=empty", "--output=o.wav"], "empty holds no model"),
    ([*GENERATE, "--output=o.wav", "--step=3"], "no checkpoint of step 3; there are none"),
    ([*GENERATE, "--output=o.wav", "--prompt=no.wav"], "no recording at no.wav"),
    ([*VOCODE, "--output=o.wav", "--input=no.wav"], "no recording at no.wav"),
    (["tools/evaluate.py", "--model_dir=no", "--data_dir=empty"], "no model directory at no"),
    (["tools/evaluate.py", "--model_dir=model", "--data_dir=no"], "no folder of recordings at no"),
    (["tools/report.py", "no"], "no model directory at no"),
    (["tools/inspect_data.py", "no"], "no folder of recordings at no"),
    (["tools/prepare_data.py", "--source=no", "--output=o"], "no folder of recordings at no"),
    (["tools/demo.py", "--data_dir=no"], "no folder of recordings at no"),
    (["tools/benchmark.py", "--data=no"], "no folder of recordings at no"),
    (["tools/train.py", "--model_dir=new", "--data_dir=no"], "no folder of recordings at no"),
    (["export/saved_model.py", "--model_dir=no", "--output_dir=o"], "no model directory at no"),
    (["export/tflite.py", "--model_dir=no", "--output=o"], "no model directory at no"),
    (["export/verify.py", "--model_dir=no", "--data_dir=empty"], "no model directory at no"),
    (["export/generate_tflite.py", "--model=no", "--output=o.wav"], "no TFLite file at no"),
    ([*IMPORT, "--checkpoint=no"], "no checkpoint at no"),
    ([*IMPORT, "--checkpoint=z.wav", "--config=no"], "no configuration at no"),
    ([*IMPORT, "--checkpoint=z.wav", "--source=keras"], "should be one of"),
    ([*GENERATE, "--output=o.wav", "--features=no.npy"], "no file of frames at no.npy"),
    ([*GENERATE, "--output=o.wav", "--features=z.wav"], "cannot read z.wav as a NumPy array"),
    # Seeds and other numbers.
    ([*GENERATE, "--output=o.wav", "--seed", "-1"], SEED.format(-1)),
    ([*VOCODE, "--output=o.wav", "--input=z.wav", "--seed=4294967296"], SEED.format(2**32)),
    ([*TRAIN, "--seed=-1"], SEED.format(-1)),
    (["tools/report.py", "model", "--seed=-1"], SEED.format(-1)),
    (["tools/inspect_data.py", "empty", "--seed=-1"], SEED.format(-1)),
    (["tools/make_demo_data.py", "--output=o", "--seed=4294967296"], SEED.format(2**32)),
    ([*SPEECH, "--seed=-1"], SEED.format(-1)),
    (["export/verify.py", "--model_dir=model", "--data_dir=empty", "--seed=-1"], SEED.format(-1)),
    ([*TFLITE, "--output=o.wav", "--seed=-1"], SEED.format(-1)),
    ([*CLIENT, "--seed=-1"], "flag --seed=-1: "),
    ([*GENERATE, "--output=o.wav", "--seed=x"], "seed must be a whole number from 0 to"),
    ([*GENERATE, "--output=o.wav", "--temperature=inf"], "temperature must be 0 or above, and fin"),
    ([*VOCODE, "--output=o.wav", "--input=z.wav", "--temperature=nan"], "temperature must be 0"),
    ([*TFLITE, "--output=o.wav", "--temperature=-1"], "temperature must be 0 or above, and finite"),
    ([*CLIENT, "--temperature=inf"], "temperature must be 0 or above, and finite; received inf"),
    ([*GENERATE, "--output=o.wav", "--top_p=nan"], "top_p must be above 0 and at most 1"),
    ([*GENERATE, "--output=o.wav", "--seconds=inf"], "seconds must be finite and give at least"),
    ([*TRAIN, "--features=mel,mel"], "names of features must differ"),
    ([*TRAIN, "--features=mfcc"], "names must be some of mel, energy, f0, f0_world"),
    ([*TRAIN, "--set=kernel_sise=3"], "no argument 'kernel_sise'"),
    ([*TRAIN, "--set=kernel_size"], "--set takes name=value; received 'kernel_size'"),
    ([*TRAIN, "--set=kernel_size=large"], "kernel_size must be a whole number"),
    ([*TRAIN, "--set=upsampling=cubic"], "upsampling must be one of"),
    ([*TRAIN, "--set=features=1"], "--set cannot set features"),
    ([*TRAIN, "--set=num_speakers=6"], "--set cannot set num_speakers"),
    ([*TRAIN, "--preset=huge"], "should be one of"),
    ([*TRAIN, "--batch_size=0"], "batch_size must be a whole number of at least 1"),
    ([*TRAIN, "--context_stack=pooling"], "takes name=number"),
    ([*GENERATE, "--output=o.wav", "--seconds=0"], "seconds must"),
    ([*GENERATE, "--output=o.wav", "--seconds", "1", "2"], "unexpected argument '2'"),
    (
        ["tools/benchmark.py", "--batch_sizes=many"],
        "batch_sizes must be whole numbers above 0; received 'many'",
    ),
    (["tools/benchmark.py", "--preset=tiny", "--threads=0"], "Flags parsing error"),
    (["tools/plot.py", "text.wav", "--output=x.png"], "cannot read"),
    ([*TRAIN, "--crop_seconds=nan"], "crop_seconds must be above 0"),
    (
        ["tools/prepare_data.py", "--source=empty", "--output=o", "--features=mel,mel"],
        "names of features must differ",
    ),
    (
        ["export/saved_model.py", "--model_dir=model", "--output_dir=o", "--max_seconds=nan"],
        "max_seconds must be a finite number above 0; received nan",
    ),
    (
        ["export/saved_model.py", "--model_dir=model", "--output_dir=o", "--max_seconds=inf"],
        "max_seconds must be a finite number above 0; received inf",
    ),
    ([*SPEECH, "--voices=en:pitch=120"], "pitch from 0 to 99 and a rate from 80 to 450; received"),
    ([*SPEECH, "--sentences=0"], "Flags parsing error: flag --sentences=0"),
    ([*SPEECH, "--kind=poems"], "should be one of <sentences|digit_strings|digits>"),
    ([*SPEECH, "--text=no.txt"], "cannot read the text no.txt: No such file or directory"),
    ([*SPEECH, "--text=z.wav"], "cannot read the text z.wav: it is not in UTF-8"),
    ([*CLIENT, "--deadline_seconds=nan"], "deadline_seconds must be a finite number above 0"),
    (
        [*CLIENT, "--server=http://localhost:8501"],
        "server must be host:port, such as localhost:8501; received 'http://localhost:8501'",
    ),
    ([*CLIENT, "--server=localhost"], "server must be host:port"),
    # Outputs.
    (["tools/prepare_data.py", "--source=empty", "--output=model/../empty"], "--output must be an"),
    ([*GENERATE, "--output=empty"], "its suffix must be one of"),
    ([*GENERATE, "--output=z.wav/o.wav"], "cannot write z.wav/o.wav: Not a directory"),
    ([*GENERATE, "--output=/proc/o.wav"], "cannot write /proc/o.wav: /proc: "),
    (["tools/plot.py", "z.wav", "--output=p.xyz"], "its suffix must be one of .png, .svg, .pdf"),
    (["tools/plot.py", "z.wav", "--output=folder.png"], "cannot write folder.png: it is a folder"),
    ([*VOCODE, "--input=z.wav", "--output=o.wav", "--picture=p.gif"], "must be one of .png, .svg"),
    (["tools/inspect_data.py", "empty", "--output=empty"], "cannot write empty: it is a folder"),
    (["tools/report.py", "model", "--output=empty"], "cannot write empty: it is a folder"),
    (["tools/prepare_data.py", "--source=empty", "--output=z.wav"], "cannot write z.wav: "),
    (["tools/make_demo_data.py", "--output=z.wav/o"], "cannot write z.wav/o: "),
    (["tools/make_speech_data.py", "--output=z.wav/o"], "cannot write z.wav/o: "),
    (["tools/train.py", "--data_dir=empty", "--model_dir=z.wav"], "z.wav"),
    (["tools/demo.py", "--output_dir=z.wav"], "cannot write z.wav: "),
    (["tools/benchmark_training.py", "--json=empty"], "cannot write empty: it is a folder"),
    (["export/tflite.py", "--model_dir=model", "--output=empty"], "cannot write empty: it is a"),
    ([*TFLITE, "--output=folder.wav"], "cannot write folder.wav: it is a folder"),
    # What would overwrite an input, by its name, another spelling or a link.
    ([*VOCODE, "--input=z.wav", "--output=z.wav"], "--output z.wav would overwrite z.wav, which"),
    ([*VOCODE, "--input=z.wav", "--output=empty/../z.wav"], "would overwrite z.wav"),
    ([*VOCODE, "--input=link.wav", "--output=z.wav"], "would overwrite link.wav"),
    ([*VOCODE, "--input=hard.wav", "--output=z.wav"], "would overwrite hard.wav"),
    ([*GENERATE, "--prompt=z.wav", "--output=z.wav"], "would overwrite z.wav"),
    ([*TFLITE, "--prompt=z.wav", "--output=z.wav"], "would overwrite z.wav"),
    ([*CLIENT[:1], "--prompt=z.wav", "--output=z.wav"], "would overwrite z.wav"),
    # The home folder, and names that are no UTF-8.
    ([*GENERATE, "--output=~/x/o.wav", "--prompt=~/no.wav"], "no recording at HOME/no.wav"),
    (["tools/evaluate.py", "--model_dir=~/no", "--data_dir=empty"], "no model directory at HOME"),
    ([*GENERATE, "--output=o.wav", b"--prompt=t\xe9st.wav"], "no recording at t\\udce9st.wav"),
    ([*TFLITE, "--output=o.wav", b"--prompt=t\xe9st.wav"], "no recording at t\\udce9st.wav"),
]


@pytest.mark.slow
@pytest.mark.once
def test_wrong_flags_are_refused_in_a_line_before_tensorflow_is_imported(folder):
    (folder / "folder.png").mkdir(exist_ok=True)
    (folder / "folder.wav").mkdir(exist_ok=True)
    before = sorted(folder.iterdir())
    results = run(folder, [words for words, _ in REFUSED])
    for (words, message), (code, _, error) in zip(REFUSED, results, strict=True):
        described = f"{words}: {error}"
        assert (code, error.count("\n")) == (1, 1), described
        assert error.startswith(f"{Path(words[0]).name}: "), described
        assert message.replace("HOME", str(folder / "home")) in error, described
    assert sorted(folder.iterdir()) == before


@pytest.mark.slow
def test_help_needs_no_tensorflow(folder):
    results = run(folder, [[program, "--help"] for program in PROGRAMS])
    helps = {program: text for program, (_, text, _) in zip(PROGRAMS, results, strict=True)}
    for program, text in helps.items():
        assert "flags:" in text, (program, text)
    for program in ("tools/generate.py", "export/verify.py", "tools/report.py"):
        shown = helps[program]
        assert "--step: Load the checkpoint" in shown and "--seed: " in shown


def test_every_argument_of_the_model_that_is_a_whole_number_is_checked():
    import inspect

    parameters = inspect.signature(wt.WaveNet).parameters.values()
    assert (
        tuple(parameter.name for parameter in parameters if type(parameter.default) is int)
        == INTEGER_ARGUMENTS
    )


class InterruptedStream:
    """A stream of audio during whose second block the user presses Ctrl-C."""

    def __init__(self, stream):
        self.stream, self.description = stream, stream.description
        self.close = stream.close
        self.blocks = 0

    def __next__(self):
        self.blocks += 1
        if self.blocks == 2:
            signal.raise_signal(signal.SIGINT)
        return next(self.stream)


@pytest.mark.slow
def test_an_interruption_keeps_the_audio_so_far(capsys):
    import command_line

    model = small_model()
    samples = 1000
    expected = next(model.stream(2, seed=3, block_size=400))
    stream = InterruptedStream(model.stream(2, seed=3, block_size=400))
    audio, complete = command_line.generate(stream, samples, 8000)
    assert not complete
    np.testing.assert_array_equal(audio, expected)
    assert "interrupted; writing 0.05 of 0.12 s" in capsys.readouterr().err
    audio, complete = command_line.generate(model.stream(2, seed=3, block_size=400), samples, 8000)
    assert complete and audio.shape == (2, samples)
    stream = InterruptedStream(model.stream(seed=3, block_size=400))
    stream.blocks = 1
    with pytest.raises(KeyboardInterrupt):  # there is nothing to keep
        command_line.generate(stream, samples, 8000)


def test_programs_need_no_setting_of_the_backend_and_say_what_is_not_installed(folder, tmp_path):
    folder = shutil.copytree(folder, tmp_path / "copy", symlinks=True)
    (folder / "packages" / "tensorflow" / "__init__.py").write_text("import keras")
    (folder / "packages" / "keras" / "__init__.py").write_text(
        "import os; raise ModuleNotFoundError(os.environ['KERAS_BACKEND'] + ' is missing')"
    )
    ((code, _, error),) = run(folder, [[*GENERATE, "--output=o.wav"]], KERAS_BACKEND="jax")
    assert code == 1
    hint = "pip install 'wavenet_tf[all]' installs what all programs use"
    assert error == f"generate.py: tensorflow is missing; {hint}\n"


INTERRUPTED = """
import os, signal, sys
sys.argv = ["tools/generate.py"]
sys.path.insert(0, "tools")
import command_line
signal.raise_signal(signal.SIGINT)  # during the imports of a program
"""


def test_an_interruption_of_imports_is_a_line():
    ran = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == -signal.SIGINT
    assert ran.stderr == "generate.py: interrupted\n"


NAMES = ["t\u00e9st \u2603.wav", os.fsdecode(b"t\xe9st.wav")]


def test_a_prompt_may_be_a_file_whose_header_has_no_length(tmp_path):
    import inputs

    path = tmp_path / "pipe.flac"
    wt.write_audio(path, tone(), 8000)
    expected, _ = wt.read_audio(path)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the number of samples, as encoders that write to a pipe leave it
    content[22:26] = bytes(4)
    path.write_bytes(content)
    np.testing.assert_array_equal(inputs.prompt(str(path), 8000), expected[None])


@pytest.mark.parametrize("name", NAMES)
def test_names_of_files_may_be_any_bytes(tmp_path, name):
    import inputs

    wt.write_audio(tmp_path / name, tone(), 8000)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    audio, rate = wt.read_audio(tmp_path / name)
    assert rate == 8000
    np.testing.assert_array_equal(inputs.prompt(str(tmp_path / name), 8000)[0], audio)
    reports.draw_recordings([(name, audio, rate)], tmp_path / f"{name}.png")
    files.write_text(tmp_path / "page.html", name)
    assert (tmp_path / "page.html").read_text(encoding="utf-8").endswith(".wav")


@pytest.mark.slow
def test_programs_take_any_name_in_any_locale(folder):
    locales = ({"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    for number, locale in enumerate(locales):
        for name in NAMES:
            name = os.fsencode(f"{number} {name}")
            words = ["tools/make_demo_data.py", b"--output=" + name, "--num_clips=1"]
            ((code, text, error),) = run(folder, [[*words, "--clip_seconds=1"]], **locale)
            assert (code, error) == (0, "") and "wrote 1 melodies" in text
            assert os.listdir(os.fsencode(folder) + b"/" + name) == [b"melody_000.wav"]
            shutil.rmtree(os.fsencode(folder) + b"/" + name)


@pytest.mark.parametrize(
    "suffix, first", [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")]
)
def test_a_picture_has_the_format_of_its_suffix(tmp_path, suffix, first):
    reports.draw_recordings([("tone", tone(), 8000)], tmp_path / f"p{suffix}")
    assert (tmp_path / f"p{suffix}").read_bytes().startswith(first)
    with pytest.raises(InputError, match=r"must be one of \.png, \.svg, \.pdf"):
        reports.draw_recordings([("tone", tone(), 8000)], tmp_path / "p.gif")
    assert len(list(tmp_path.iterdir())) == 1


def test_errors_of_writing_name_the_file_and_not_the_temporary_one(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "x", tmp_path / "folder"):
        with pytest.raises(OSError) as caught, files.atomic_path(path) as temporary:
            temporary.write_text("lost")
        assert caught.value.filename == str(path)
    with pytest.raises(FileNotFoundError) as caught, files.atomic_path(tmp_path / "x") as temporary:
        open(tmp_path / "missing").close()
    assert caught.value.filename == str(tmp_path / "missing")  # another file's error stays
    name = "n" * 250 + ".wav"  # close to the longest that file systems allow
    files.write_text(tmp_path / name, "text")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", name]
    with pytest.raises(InputError, match=r"cannot write n*: File name too long"):
        files.check_writable("n" * 256)
    with pytest.raises(InputError, match="cannot write /dev/null: it is no regular file"):
        files.check_writable("/dev/null")
    files.check_writable(tmp_path / "new" / "folder" / "x")
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
@pytest.mark.parametrize(
    "script, reason",
    [
        ("echo 'pyenv: python3.13: command not found' >&2; exit 127", "pyenv: python3.13: command"),
        ("exec {python} -c 'import sys; sys.version_info = (3, 9); exec(sys.argv[1])' \"$2\"", ""),
    ],
)
def test_make_says_why_a_python_cannot_be_used(tmp_path, script, reason):
    for name in ("requirements.txt", "setup.cfg"):
        (tmp_path / name).touch()
    python = tmp_path / "python3.13"
    python.write_text("#!/bin/sh\n" + script.format(python=sys.executable) + "\n")
    python.chmod(0o755)
    ran = subprocess.run(
        ["make", "-f", ROOT / "Makefile", "test", f"PYTHON={python}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 2
    expected = reason or "it is Python 3.9, and 3.10 to 3.13 is needed"
    assert f"{python} cannot be used: {expected}" in ran.stderr
    assert ("3.10 to 3.13" in ran.stderr) == (not reason)
