"""The web page of export/web, in a headless Chromium, compared with wavenet_tf.lite."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import benchmark_browser
import browser
import numpy as np
import pytest
import soundfile
from conftest import ROOT, randomise, small_model, tone
from registry import LOCAL, small_classifier

from wavenet_tf import audio, deployment, native, sampling, text
from wavenet_tf.models import DurationModel, LogF0Model
from wavenet_tf.models.class_targets import CLASS_TARGETS
from wavenet_tf.models.config import frame_channels

# Node, the browser and C run files of LiteRT, whose version is one for all sets of packages.
pytestmark = pytest.mark.once

lite = pytest.importorskip("wavenet_tf.lite", exc_type=ImportError)

RATE = 8000
NAMES = ["george", "lucas", "theo"]
PHONES = ("AA", "HH", "S", "oʊ", "sil")
# Too few to be compared with those of training, whose statistics are random in a small model.
FRAMES = 19
NO_NETWORK = "ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH"
NOT_COPIED = shutil.ignore_patterns("node_modules", "*.wasm")
FIGURES = ("speed", "factor", "first", "made", "played")


@pytest.fixture(scope="module")
def web(tmp_path_factory) -> Path:
    """A copy of the page's folder, with the packages that it needs."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    if not browser.program():
        pytest.skip("Chromium is not installed")
    folder = tmp_path_factory.mktemp("export") / "web"
    shutil.copytree(ROOT / "export" / "web", folder, ignore=NOT_COPIED)
    words = ["npm", "ci", "--no-audit", "--no-fund", "--prefer-offline"]
    words += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    made = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if made.returncode and re.search(NO_NETWORK, made.stderr):
        pytest.skip("npm reaches no registry, from which LiteRT comes")
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="module")
def models(web, tmp_path_factory) -> Path:
    """A folder of TFLite files."""
    folder = tmp_path_factory.mktemp("models")

    def write(name, model, *sizes, quantization="none"):
        signatures = deployment.TFLiteSignatures(model, *sizes)
        (folder / name).write_bytes(deployment.convert(signatures, quantization))

    write("plain.tflite", small_model())
    write("frames.tflite", small_model(**LOCAL, global_channels=2), 100)
    # Two streams, of a model that takes two uniforms a sample.
    kind = {"num_speakers": 3, "speaker_names": NAMES, "output_distribution": "logistic_mixture"}
    write("speakers.tflite", small_model(**kind), 64, 2)
    write("tags.tflite", small_model(global_channels=2, tag_names=["high", "low"]))
    # The converter leaves weights of less than 1,024 numbers as they are.
    wide = small_model(residual_channels=32, gate_channels=32)
    randomise(wide, scale=0.2)
    write("int8.tflite", wide, 100, quantization="dynamic_int8")
    (folder / "voice.tflite").write_bytes(deployment.convert(voice_signatures()))
    for targets in CLASS_TARGETS:
        model = small_classifier(targets, class_names=NAMES)
        signatures = deployment.TFLiteRecognizerSignatures(model, 240, 1 + (targets == "frames"))
        (folder / f"{targets}_classes.tflite").write_bytes(deployment.convert(signatures))
    return folder


def voice_signatures() -> deployment.TFLiteSpeechSignatures:
    """Those of a small voice of two speakers, with F0."""
    speakers = {"num_speakers": 2, "speaker_names": NAMES[:2]}
    features = {"features": ["f0"], "local_channels": frame_channels(["f0"], PHONES)}
    wavenet = small_model(phone_set=PHONES, upsample_factors=[5, 8], **features, **speakers)
    durations = DurationModel(PHONES, NAMES[:2])
    log_f0 = LogF0Model(PHONES, NAMES[:2], num_blocks=3)
    for model in (durations, log_f0):
        randomise(model, scale=0.02)
    durations.output_layer.bias.assign([np.log(16.0)])  # frames a phone
    prosody = deployment.ProsodySignature(durations, log_f0)
    return deployment.TFLiteSpeechSignatures(wavenet, prosody, block_size=200)


@pytest.fixture(scope="module")
def native_models(web, tmp_path_factory) -> Path:
    """A folder of files of libwavenet, which is built beside the page."""
    if not (native.is_available() and shutil.which("clang") and shutil.which("wasm-ld")):
        pytest.skip("clang and lld are not installed")
    words = ["sh", web / "build.sh", ROOT / "wavenet_tf" / "native" / "src"]
    built = subprocess.run(words, capture_output=True, text=True, check=False)
    if "file not found" in built.stderr:
        pytest.skip("wasi-libc is not installed")
    assert built.returncode == 0, built.stderr
    folder = tmp_path_factory.mktemp("native_models")
    mixture = {"num_speakers": 3, "output_distribution": "logistic_mixture"}
    for name, kind in (
        ("plain", {}),
        ("frames", {**LOCAL, "global_channels": 2}),
        ("speakers", {**mixture, "speaker_names": NAMES}),
    ):
        for precision in native.PRECISIONS.values():
            content = sampling.convert_native(small_model(**kind), precision, 100)
            (folder / f"{name}_{precision}.wn").write_bytes(content)
    return folder


@contextmanager
def served(folder, *files):
    """The address that the server of a folder prints."""
    words = ["node", folder / "server.js", "--port=0", *files]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def address(web, models):
    """The address of the page with the plain model."""
    with served(web, models / "plain.tflite") as address:
        yield address


@pytest.fixture(scope="module")
def tab(web, tmp_path_factory):
    with browser.opened(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def page(tab, address):
    """The page without a model, which leaves no error in the browser's console."""
    tab.go(address.partition("?")[0])
    tab.errors.clear()
    yield tab
    assert not tab.errors


def choose(page, path):
    page.choose("#file", path)
    page.wait(lambda: page.enabled("#settings") or page.text("#problem"))


def set_up(page, **settings):
    for name, value in settings.items():
        page.fill(f"#{name}", value)


def sample(page, **settings) -> np.ndarray:
    """The steps of the WAV file, once all is sampled."""
    set_up(page, **settings)
    page.click("#start")
    page.wait(lambda: page.visible("#download") or page.text("#problem"))
    return saved(page)


def saved(page) -> np.ndarray:
    assert not page.text("#problem")
    steps, rate = soundfile.read(page.download("#download"), dtype="int16")
    assert rate == RATE and steps.ndim == 1
    return steps


def expected(path, samples, seed, temperature=1.0, **conditions) -> np.ndarray:
    """What the runner gives, of its first stream."""
    # Kernels that round as those of WebAssembly do.
    runner = native.Runner(path, target="portable") if path.suffix == ".wn" else lite.Runner(path)
    stream = runner.stream(seed=seed, temperature=temperature, **conditions)
    blocks = []
    while stream.samples_done < samples:
        blocks.append(next(stream)[0])
    steps = audio.to_16_bits(np.concatenate(blocks)[:samples])
    assert len(np.unique(steps)) > 20
    return steps


def figure(page, name) -> float:
    """The number that is shown, 0 for none."""
    shown = re.match(r"[\d,.]+", page.text(f"#{name}"))
    return float(shown[0].replace(",", "")) if shown else 0.0


def test_random_numbers_are_numpys(page):
    for seed in (0, 1, 2**32 - 1, 2**32, 2**64 + 3, 2**200 + 12345):
        numbers = page.evaluate(
            f"""import("/random.js").then(({{ Generator }}) => {{
                const generator = new Generator({seed}n);
                return [...generator.random(3), ...generator.random(1000)];
            }})"""
        )
        wanted = np.random.default_rng(seed).random(1003, np.float32)
        np.testing.assert_array_equal(np.float32(numbers), wanted)


def test_steps_of_16_bits_are_pythons(page):
    values = np.concatenate([np.arange(-9, 10) / 2**16, [-1.5, -1, 1, 1.5], np.linspace(-1, 1, 99)])
    values = values.astype(np.float32)
    steps = page.evaluate(
        f"""import("/wav.js").then(({{ to16Bits }}) =>
            Array.from(to16Bits(Float32Array.from({values.tolist()}))))"""
    )
    np.testing.assert_array_equal(steps, audio.to_16_bits(values))


def test_it_plays_blocks_as_they_come_and_waits_for_late_ones(page):
    # At 0 s there is as much as it begins with, then too little for it to go on, then more.
    steps = page.evaluate(
        """(async () => {
            const context = new OfflineAudioContext(1, 16000, 8000);
            await context.audioWorklet.addModule("/player_worklet.js");
            const node = new AudioWorkletNode(context, "player", { numberOfInputs: 0 });
            const reported = [];
            node.port.onmessage = ({ data }) => reported.push(data);
            node.connect(context.destination);
            let next = 1;
            const post = (count) =>
                node.port.postMessage(Float32Array.from({ length: count }, () => next++ / 16384));
            const at = (seconds, action) =>
                context.suspend(seconds).then(async () => {
                    action();
                    await new Promise((resolve) => setTimeout(resolve, 100));
                    context.resume();
                });
            at(0, () => (post(777), post(123)));
            at(0.256, () => post(2000));
            at(0.512, () => post(6000));
            at(0.768, () => (post(1), post(99), node.port.postMessage("end")));
            const rendered = await context.startRendering();
            await new Promise((resolve) => setTimeout(resolve, 100));
            return [Array.from(rendered.getChannelData(0), (x) => x * 16384), reported];
        })()"""
    )
    rendered, reported = np.array(steps[0]), steps[1]
    np.testing.assert_array_equal(rendered[:900], np.arange(1, 901))
    assert not rendered[900:4096].any()
    np.testing.assert_array_equal(rendered[4096 : 4096 + 8100], np.arange(901, 9001))
    assert not rendered[4096 + 8100 :].any()
    assert reported[-1] == {"played": 9000, "gaps": 1, "over": True}
    played = [progress["played"] for progress in reported]
    assert played == sorted(played) and len(played) > 5


def test_same_audio_as_the_runner(page, models):
    path = models / "plain.tflite"
    assert not page.enabled("#start")
    choose(page, path)
    assert page.text("#model") == "plain.tflite: 8000 Hz, float32, blocks of 256 samples"
    assert "Ready" in page.text("#status") and not page.enabled("#stop")
    steps = sample(page, seconds=0.3, seed=5)
    np.testing.assert_array_equal(steps, expected(path, 2400, seed=5))
    page.wait(lambda: page.text("#status") == "Done; seed 5.")
    assert page.text("#speed").endswith(" samples/s") and figure(page, "speed") > 100
    assert figure(page, "factor") == pytest.approx(figure(page, "speed") / RATE, abs=0.006)
    assert page.text("#first").endswith(" ms") and figure(page, "first") >= 1
    assert page.text("#made") == "0.30 s" and page.text("#played").startswith("0.30 s")
    # Once more, with a seed beyond the whole numbers of JavaScript.
    steps = sample(page, seconds=0.05, seed=2**60 + 1, temperature=0.5)
    np.testing.assert_array_equal(steps, expected(path, 400, 2**60 + 1, temperature=0.5))
    # Without a seed, each run has one of its own, which is reported.
    first, second = sample(page, seed=""), sample(page, seed="")
    assert not np.array_equal(first, second)
    seed = int(re.search(r"\d+", page.text("#status"))[0])
    np.testing.assert_array_equal(second, expected(path, 400, seed, temperature=0.5))


def test_speakers_and_streams(page, models):
    path = models / "speakers.tflite"
    choose(page, path)
    assert "2 streams at once, of which the first is played" in page.text("#model")
    assert page.text("#speaker").split() == NAMES
    for speaker in (0, 2):
        steps = sample(page, seconds=0.1, seed=5, speaker=speaker)
        wanted = expected(path, 800, 5, speaker_id=speaker)
        # Rounding differs in WebAssembly, and what is drawn feeds back.
        assert np.mean(steps == wanted) > 0.9
        np.testing.assert_allclose(steps, wanted, atol=4)


def test_tags_have_sliders_that_may_be_moved_while_it_samples(page, models):
    path = models / "tags.tflite"
    choose(page, path)
    assert page.text("#tags_row").split()[-2:] == ["high", "low"]
    assert not page.visible("#global") and not page.visible("#speaker")
    steps = sample(page, seconds=0.1, seed=5, tag_0=0.25, tag_1=1)
    wanted = expected(path, 800, 5, global_conditioning=[[0.25, 1.0]])
    np.testing.assert_array_equal(steps, wanted)
    set_up(page, seconds="", seed=5, tag_0=1, tag_1=0)
    page.click("#start")
    page.wait(lambda: figure(page, "played") > 0.1)
    set_up(page, tag_0=0, tag_1=1)
    page.evaluate("document.querySelector('#tags_row').dispatchEvent(new Event('input'))")
    made = figure(page, "made")
    page.wait(lambda: figure(page, "made") > made + 1.0)
    page.click("#stop")
    page.wait(lambda: page.visible("#download"))
    steps = saved(page)
    unchanged = expected(path, len(steps), 5, global_conditioning=[[1.0, 0.0]])
    differs = int(np.argmax(steps != unchanged))
    assert differs >= 256 and differs % 256 < 128  # from the beginning of some block on
    assert np.mean(steps[differs:] == unchanged[differs:]) < 0.5


def test_weights_of_8_bits(page, models):
    path = models / "int8.tflite"
    choose(page, path)
    assert "dynamic_int8" in page.text("#model")
    # Not for long, as the inputs of products are rounded to 8 bits, and what is drawn feeds back.
    steps = sample(page, seconds=0.0125, seed=5)
    np.testing.assert_array_equal(steps, expected(path, 100, seed=5))


def test_local_and_global_conditioning(page, models, tmp_path):
    path, generator = models / "frames.tflite", np.random.default_rng(0)
    frames = generator.normal(size=[FRAMES, LOCAL["local_channels"]])
    vector = [0.5, -1.25]
    wanted = expected(
        path,
        FRAMES * 20,  # its last block is cut
        seed=5,
        local_conditioning=frames[None].astype(np.float32),
        global_conditioning=[vector],
    )
    choose(page, path)
    assert not page.enabled("#seconds") and not page.visible("#speaker")
    set_up(page, seed=5, **{"global": "0.5, -1.25"})
    np.save(tmp_path / "single.npy", frames.astype(np.float32))
    np.save(tmp_path / "double.npy", frames[None])
    (tmp_path / "list.json").write_text(json.dumps(frames.tolist()))
    for name in ("single.npy", "double.npy", "list.json"):
        page.choose("#frames", tmp_path / name)
        np.testing.assert_array_equal(sample(page), wanted)


def test_phones_are_spoken_as_in_python(page, models):
    path = models / "voice.tflite"
    choose(page, path)
    assert not page.enabled("#seconds") and page.visible("#speaker")
    phones = "HH oʊ1 | sil | S AA2 S | SIL"
    runner = lite.Runner(path)
    sentence = text.sentence_of_phones(phones)
    settings = ((0, 1.0, 0.0), (1, 1.25, -2.5))
    for speaker, rate, pitch in settings:
        steps = sample(page, seed=5, phones=phones, speaker=speaker, rate=rate, pitch=pitch)
        _, frames = runner.frames_of_phones(sentence.phones, speaker, rate, pitch)
        samples = frames.shape[1] * 40
        wanted = expected(path, samples, 5, speaker_id=[speaker], local_conditioning=frames)
        assert len(steps) == samples
        # Not for long: rounding differs in WebAssembly, and what is drawn feeds back.
        assert np.mean(steps[:1000] == wanted[:1000]) > 0.95
    for phones, rate, message in (
        ("", 1, "type the phones to speak, such as HH AH0 L OW1"),
        ("| sil", 1, "type the phones to speak"),
        ("HH OW1", 1, 'phones must be of AA, HH, S, oʊ, sil; "OW" is not'),
        ("HH 1", 1, 'phones must be like HH AH0 L OW1; "1" is not'),
        ("HH " * 249, 1, "at most 250 phones and pauses at once; these are 251"),
        ("HH " * 240, 0.1, "at most 4000 frames are spoken at once"),
    ):
        set_up(page, phones=phones, rate=rate)
        page.click("#start")
        page.wait(lambda: page.text("#problem"))
        assert message in page.text("#problem")
        page.evaluate("problem.textContent = ''")


@pytest.mark.parametrize("precision", native.PRECISIONS.values())
def test_libwavenet_gives_the_audio_of_its_runner(page, native_models, tmp_path, precision):
    path = native_models / f"plain_{precision}.wn"
    choose(page, path)
    assert page.text("#model") == f"{path.name}: 8000 Hz, {precision}, blocks of 100 samples"
    assert "Ready: libwavenet and the model" in page.text("#status")
    for seed, temperature in ((5, 1.0), (2**60 + 1, 0.5)):
        steps = sample(page, seconds=0.3, seed=seed, temperature=temperature)
        np.testing.assert_array_equal(steps, expected(path, 2400, seed, temperature))
    path = native_models / f"speakers_{precision}.wn"
    choose(page, path)
    for speaker in (0, 2):
        steps = sample(page, seconds=0.1, seed=5, temperature=1, speaker=speaker)
        # Functions of C libraries differ in the last place.
        np.testing.assert_allclose(steps, expected(path, 800, 5, speaker_id=speaker), atol=10)
    path, vector = native_models / f"frames_{precision}.wn", [0.5, -1.25]
    frames = (
        np.random.default_rng(0).normal(size=[FRAMES, LOCAL["local_channels"]]).astype(np.float32)
    )
    np.save(tmp_path / "frames.npy", frames)
    choose(page, path)
    page.choose("#frames", tmp_path / "frames.npy")
    set_up(page, seed=5, **{"global": "0.5, -1.25"})
    conditions = {"local_conditioning": frames[None], "global_conditioning": [vector]}
    for _ in range(2):
        np.testing.assert_array_equal(sample(page), expected(path, FRAMES * 20, 5, **conditions))


def test_files_that_are_none_of_libwavenet(page, native_models, tmp_path):
    content = (native_models / "plain_float32.wn").read_bytes()
    bad = tmp_path / "bad.wn"
    for file, message in (
        (content[:4], "bad.wn is no TFLite file and none of libwavenet, or is damaged"),
        (content[:40], "bad.wn is no TFLite file and none of libwavenet, or is damaged"),
        (content.replace(b'"__metadata__"', b"#__metadata__#"), "bad.wn is damaged"),
        (content.replace(b'"wavenet"', b'"wavelet"'), "bad.wn is no file that export/native.py"),
        (content[:-1], "cannot run bad.wn: the file is no model of export/native.py, or is corr"),
    ):
        bad.write_bytes(file)
        page.choose("#file", bad)
        page.wait(lambda: page.text("#problem"))
        assert page.text("#problem").startswith(message)
        page.evaluate("problem.textContent = ''")


def test_it_plays_while_it_samples_until_stopped(page, models):
    path = models / "plain.tflite"
    choose(page, path)
    set_up(page, seconds="", seed=5)
    page.click("#start")
    assert not page.enabled("#start")
    page.wait(lambda: figure(page, "played") > 0.2)
    assert page.text("#status") == "Sampling. Seed 5." and not page.visible("#download")
    before = figure(page, "played"), figure(page, "made")
    page.wait(lambda: figure(page, "played") > before[0] and figure(page, "made") > before[1])
    # It does not go far ahead of what is played.
    for _ in range(20):
        ahead = page.evaluate("parseFloat(made.textContent) - parseFloat(played.textContent)")
        assert 0 <= ahead < 5.5
        time.sleep(0.02)
    page.click("#stop")
    page.wait(lambda: page.visible("#download"))
    played, made = figure(page, "played"), page.text("#made")
    assert page.text("#status") == "Done; seed 5." and not page.enabled("#stop")
    steps = saved(page)
    assert made == f"{len(steps) / RATE:.2f} s"
    np.testing.assert_array_equal(steps, expected(path, len(steps), seed=5))
    assert (figure(page, "played"), page.text("#made")) == (played, made)
    # Stopped once all is sampled, it is silent too.
    np.testing.assert_array_equal(sample(page, seconds=5)[:1000], steps[:1000])
    assert page.text("#status") == "Sampled; playing. Seed 5."
    page.click("#stop")
    assert page.text("#status") == "Done; seed 5." and figure(page, "played") < 5
    # In the midst of a run, another model takes its place.
    page.click("#start")
    page.wait(lambda: figure(page, "made"))
    page.choose("#file", models / "speakers.tflite")
    page.choose("#file", path)  # before that one is there
    page.wait(lambda: "Ready" in page.text("#status"))
    assert all(page.text(f"#{name}") == "-" for name in FIGURES) and not page.visible("#download")
    np.testing.assert_array_equal(sample(page, seconds=0.05), steps[:400])


def test_files_that_are_no_models(page, models, tmp_path):
    content = (models / "plain.tflite").read_bytes()
    middle = len(content) // 2
    bad = tmp_path / "bad.tflite"

    def refused(file):
        bad.write_bytes(file)
        page.choose("#file", bad)
        page.wait(lambda: page.text("#problem"))
        message = page.text("#problem")
        assert "\n" not in message and message.startswith("bad.tflite "), message
        assert not page.enabled("#start") and not page.text("#status")
        page.evaluate("problem.textContent = ''")
        return message

    for cut in np.linspace(0, len(content) - 1, 7).astype(int):
        assert "is damaged" in refused(content[:cut])
    unknown = "is no TFLite file and none of libwavenet, or is damaged"
    assert unknown in refused(b"no model" * 1000)
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    assert "is damaged: its checksum" in refused(flipped)
    assert "it has no metadata" in refused(content.replace(b"wavenet\0", b"wavelet\0"))
    for old, new, message in (
        (b"generate_block", b"generate_clock", "it lacks generate_block"),
        (b'"sample_rate"', b'"simple_rate"', "has no sample_rate"),
        (b'"conditioning"', b'"konditioning"', "what it is conditioned on"),
        (b'"uniforms_per_sample"', b'"uniforms_per_simple"', "has no uniforms_per_sample"),
    ):
        assert message in refused(lite.with_checksum(content.replace(old, new)))
    content = (models / "frames.tflite").read_bytes()
    content = lite.with_checksum(content.replace(b'"local_conditioning"', b'"vocal_conditioning"'))
    assert "is conditioned on vocal_conditioning, which this page does not know" in refused(content)
    content = (models / "frames.tflite").read_bytes()
    for key in ("global_channels", "local_channels", "hop_length", "frames_after"):
        changed = content.replace(f'"{key}"'.encode(), f'"{key[:-1]}_"'.encode())
        assert f"has no {key}" in refused(lite.with_checksum(changed))
    # What only LiteRT finds, each time.
    content = (models / "plain.tflite").read_bytes()
    bad.write_bytes(lite.with_checksum(content.replace(b'"batch_size": 1', b'"batch_size": 2')))
    choose(page, bad)
    for _ in range(2):
        page.click("#start")
        page.wait(lambda: page.text("#problem"))
        assert page.text("#problem").startswith("cannot run bad.tflite: TensorBuffer ")
        assert page.enabled("#start") and not page.enabled("#stop")
    choose(page, models / "plain.tflite")
    steps = sample(page, seconds=0.05, seed=5)
    np.testing.assert_array_equal(steps, expected(models / "plain.tflite", 400, seed=5))


def rows_of_classes(page) -> list[tuple[str, float]]:
    """The names and probabilities that the page shows."""
    items = "[...document.querySelectorAll('#classes li')]"
    texts = "[...item.children].map((x) => x.textContent)"
    # At once, as they change while the microphone is on.
    shown = page.evaluate(f"{items}.map((item) => [{texts}, item.querySelector('meter').value])")
    rows = [row for row, _ in shown]
    for (_, _, figure), bar in shown:
        assert float(figure) == pytest.approx(bar, abs=1e-4)
    return [(name, float(figure)) for name, _, figure in rows]


@pytest.mark.parametrize("targets", CLASS_TARGETS)
def test_a_recording_is_recognized_as_in_python(page, models, tmp_path, targets):
    """Of a length that is no whole number of frames or blocks, twice, in two channels."""
    path = models / f"{targets}_classes.tflite"
    steps = audio.to_16_bits(np.stack([tone(0.777), tone(0.777, frequency=1000.0)], axis=1))
    soundfile.write(tmp_path / "in.wav", steps, RATE, subtype="PCM_16")
    waveform = soundfile.read(tmp_path / "in.wav", dtype="float32")[0].mean(axis=1)
    page.choose("#file", path)
    page.wait(lambda: page.enabled("#recognition"))
    assert page.text("#model") == f"{path.name}: 8000 Hz, float32, 3 classes of {targets}"
    assert not page.visible("#settings") and page.visible("#recording")
    recognizer = lite.Recognizer(path)
    known = recognizer.recognize(waveform)
    for _ in range(2):
        page.choose("#recording", tmp_path / "in.wav")
        page.wait(lambda: page.text("#status").startswith("Done"))
        assert page.text("#recognized") == "0.78 s" and figure(page, "factor") > 0.0
        rows = rows_of_classes(page)
        if known.classes:
            assert [name for name, _ in rows] == [name for name, _ in known.classes]
            np.testing.assert_allclose(
                [p for _, p in rows], [p for _, p in known.classes], atol=2e-4
            )
            chosen = f": {', '.join(known.chosen)}" if known.chosen else ""
            assert page.text("#status") == f"Done{chosen}."
        else:
            spans = [(start, end, label) for start, end, label, _ in known.segments]
            spans[-1] = (spans[-1][0], 0.78, spans[-1][2])  # to the end of the last frame
            segments = [f"{start:.2f}-{end:.2f} {label}" for start, end, label in spans]
            assert page.text("#segments") == ", ".join(segments)
            assert page.evaluate("document.querySelectorAll('#classes li').length") == 3


def test_the_microphone_is_recognized_until_it_is_stopped(page, models):
    page.choose("#file", models / "clip_classes.tflite")
    page.wait(lambda: page.enabled("#recognition"))
    page.click("#listen")
    page.wait(lambda: page.text("#status") == "Recording.")
    assert not page.enabled("#listen")
    page.wait(lambda: page.text("#recognized") != "-" and figure(page, "recognized") > 0.3)
    assert sum(p for _, p in rows_of_classes(page)) == pytest.approx(1.0, abs=1e-3)
    page.click("#halt")
    page.wait(lambda: page.text("#status").startswith("Done: "))
    assert page.enabled("#listen") and not page.enabled("#halt")
    # A generator in its place.
    choose(page, models / "plain.tflite")
    assert page.visible("#settings") and not page.visible("#recognition")


def test_recordings_that_are_none(page, models, tmp_path):
    page.choose("#file", models / "clip_classes.tflite")
    page.wait(lambda: page.enabled("#recognition"))
    (tmp_path / "text.wav").write_text("no audio")
    page.choose("#recording", tmp_path / "text.wav")
    page.wait(lambda: page.text("#problem"))
    assert page.text("#problem").startswith("cannot read text.wav as audio: ")
    content = (models / "clip_classes.tflite").read_bytes()
    bad = tmp_path / "bad.tflite"
    for old, new, message in (
        (b'"look_ahead"', b'"look_behin"', "has no look_ahead"),
        (b'"targets": "clip"', b'"targets": "clap"', "has classes of clap, which this page does"),
        (b'"task": "recog', b'"task": "rerog', "is a model of rerognition, which this page does"),
        (b'"num_classes": 3', b'"num_classes": 4', "has no name for each class"),
    ):
        bad.write_bytes(lite.with_checksum(content.replace(old, new)))
        page.evaluate("problem.textContent = ''")
        page.choose("#file", bad)
        page.wait(lambda: page.text("#problem"))
        assert message in page.text("#problem")


def test_settings_that_the_model_cannot_take(page, models, tmp_path):
    path, frames = models / "frames.tflite", tmp_path / "frames.npy"
    wrong = np.zeros([7, 4])
    choose(page, path)

    def refused():
        page.click("#start")
        page.wait(lambda: page.text("#problem"))
        assert page.enabled("#start") and not page.enabled("#stop") and not page.text("#status")
        message = page.text("#problem")
        assert "\n" not in message
        page.evaluate("problem.textContent = ''")
        return message

    assert "global conditioning takes 2 numbers" in refused()
    set_up(page, seed=5, **{"global": "1, two"})
    assert "global conditioning takes 2 numbers" in refused()
    set_up(page, **{"global": "1 2"})
    assert "choose a file of them" in refused()
    for content, message in (
        (wrong, "must have shape [frames, 5]; it has [7, 4]"),
        (np.zeros([2, 7, 5]), "it has [2, 7, 5]"),
        (np.zeros([0, 5]), "it has [0, 5]"),
        (np.full([7, 5], np.nan), "not finite"),
        (np.full([7, 5], 1e300), "not finite"),
        (np.zeros([7, 5], int), "must be float32 or float64"),
        (np.asfortranarray(np.zeros([7, 5])), "in C order"),
    ):
        np.save(frames, content)
        page.choose("#frames", frames)
        assert message in refused()
    np.save(frames, np.zeros([7, 5]))
    whole = frames.read_bytes()
    for content, message in ((whole[:-1], "it is cut off"), (whole[:9], "it is no .npy file")):
        frames.write_bytes(content)
        page.choose("#frames", frames)
        assert message in refused()
    text = tmp_path / "frames.json"
    for content in ("[[0, 1], [2]]", '[["a", 1, 2, 3, 4]]', "[[0, 1", "7"):
        text.write_text(content)
        page.choose("#frames", text)
        assert "cannot read frames from frames.json" in refused()
    text.write_text(json.dumps([[0.0] * 5] * 7))
    page.choose("#frames", text)
    assert len(sample(page)) == 7 * 20
    # What the form itself refuses.
    page.fill("#temperature", -1)
    page.click("#start")
    assert not page.evaluate("form.checkValidity()") and page.enabled("#start")


def test_address_of_a_model_and_its_settings(page, address, models):
    page.go(f"{address}&seed=5&temperature=0.5&seconds=0.3&autostart")
    page.wait(lambda: page.visible("#download"))
    # Before the user has done anything, browsers play no audio.
    assert "click anywhere on this page" in page.text("#status") and page.text("#played") == "-"
    page.click("h1")
    page.wait(lambda: page.text("#status") == "Done; seed 5.")
    assert page.text("#played").startswith("0.30 s")
    wanted = expected(models / "plain.tflite", 2400, 5, temperature=0.5)
    np.testing.assert_array_equal(saved(page), wanted)
    # Held back, it can be stopped, and gives way to another model.
    page.go(f"{address}&seconds=0.05&autostart")
    page.wait(lambda: page.visible("#download"))
    page.click("#stop")
    assert page.text("#status").startswith("Done") and page.text("#played") == "-"
    page.choose("#file", models / "speakers.tflite")
    page.wait(lambda: "Ready" in page.text("#status"))
    page.go(address.replace("plain", "none"))
    page.wait(lambda: page.text("#problem"))
    assert page.text("#problem") == "cannot read none.tflite: 404 Not Found"
    page.wait(lambda: page.errors)
    assert "404" in page.errors.pop()  # the browser's own


def test_page_without_its_packages(page, models, tmp_path):
    shutil.copytree(ROOT / "export" / "web", tmp_path / "web", ignore=NOT_COPIED)
    with served(tmp_path / "web", models / "plain.tflite") as address:
        page.go(address)
        page.wait(lambda: page.text("#problem"))
        assert "LiteRT is not installed: run npm ci" in page.text("#problem")
    content = sampling.convert_native(small_model())
    (tmp_path / "plain.wn").write_bytes(content)
    with served(tmp_path / "web", tmp_path / "plain.wn") as address:
        page.go(address)
        page.wait(lambda: page.text("#problem"))
        assert "libwavenet is not built: run npm run build" in page.text("#problem")
        page.go("about:blank")
    page.errors.clear()  # the browser's own


needs_node = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")


@pytest.mark.slow
@needs_node
def test_what_the_server_cannot_serve_is_told_at_its_start(tmp_path):
    (tmp_path / "model.tflite").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.tflite").touch()
    whole = "--port must be a whole number from 0 to 65535; received "
    for arguments, message in (
        (["--port=http"], f"{whole}http"),
        (["--port=70000"], f"{whole}70000"),
        (["--port=-1"], f"{whole}-1"),
        (["--port=8000.5"], f"{whole}8000.5"),
        (["--port="], whole),
        (["--port"], "'--port <value>' argument missing"),
        (["--prot=8000"], "Unknown option '--prot'"),
        (["none.tflite"], "cannot read the model none.tflite: no such file"),
        (["model.tflite", "none.tflite"], "cannot read the model none.tflite: no such file"),
        (["other"], "cannot read the model other: it is no file"),
        (["model.tflite", "other/model.tflite"], "two models are named model.tflite"),
    ):
        made = subprocess.run(
            ["node", ROOT / "export" / "web" / "server.js", "--port=0", *arguments],
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if name != "INIT_CWD"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert made.returncode == 1 and not made.stdout, made
        (line,) = made.stderr.splitlines()
        assert line.startswith("server.js: ") and message in line


# In Node, with a sampler that gives numbers: each run's own, one at a time.
OVERLAPPING_RUNS = """
globalThis.self = globalThis;
const posted = [];
globalThis.postMessage = (message) => posted.push(message);
require("./worker.cjs");
const send = (data) => self.onmessage({ data });
(async () => {
  send({ type: "stop" });  // before there is a run
  send({ type: "played", samples: 1 });
  await send({ type: "load", bytes: null, facts: { runtime: "LiteRT" } });
  const runs = [1, 2, 3].map((seed) =>
    send({ type: "start", settings: { seed }, samples: seed === 3 ? 4 : Infinity }));
  await Promise.all(runs);
  console.log(JSON.stringify(posted.map(({ type, audio }) => [type, ...(audio ?? [])])));
})();
"""
NUMBERS = """
export class Sampler {
  static async load() { return new Sampler(); }
  metadata = { sample_rate: 1000 };
  length = Infinity;
  busy = false;
  async alone(action) {
    if (this.busy) throw new Error("two runs share the sampler");
    this.busy = true;
    await new Promise((resolve) => setTimeout(resolve, 5));
    this.busy = false;
    return action();
  }
  start({ seed }) { return this.alone(() => { this.seed = seed; this.made = 0; }); }
  next() {
    return this.alone(() => Float32Array.of(this.seed, (this.made += 2)));
  }
}
"""


@needs_node
def test_a_run_ends_before_the_next_begins(tmp_path):
    worker = (ROOT / "export" / "web" / "worker.js").read_text()
    (tmp_path / "worker.cjs").write_text(worker)
    (tmp_path / "sampler.js").write_text(NUMBERS)
    (tmp_path / "main.cjs").write_text(OVERLAPPING_RUNS)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    words = ["node", tmp_path / "main.cjs"]
    made = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout) == [["loaded"], ["block", 3, 2], ["block", 3, 4], ["finished"]]


def test_server(web, address):
    place = urlsplit(address)

    def status(path, method="GET"):
        connection = HTTPConnection(place.netloc)
        connection.request(method, path)
        return connection.getresponse().status

    assert status("/") == status("/models/plain.tflite") == status("/", "HEAD") == 200
    (web.parent / "beside.js").touch()
    for path in ("/none.js", "/models/frames.tflite", "/..%2fbeside.js", "/../beside.js", "/%"):
        assert status(path) == 404
    assert status("/", "POST") == status("/.npmrc") == status("/node_modules") == 404
    # This machine's own address alone, though others lead here too.
    assert place.hostname == "127.0.0.1"
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", place.port), timeout=5):
        pass
    words = ["node", web / "server.js", f"--port={place.port}"]
    made = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert made.returncode == 1 and "cannot listen on port" in made.stderr, made


def test_the_benchmark_measures_models_in_turn(web, models, monkeypatch):
    monkeypatch.setattr(benchmark_browser, "WEB", web)
    paths = [models / "plain.tflite", models / "int8.tflite"]
    speeds = benchmark_browser.measure(paths, seconds=0.1, repeats=2)
    assert list(speeds) == ["plain.tflite", "int8.tflite"]
    assert min(speeds.values()) > 0
