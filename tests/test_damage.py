"""Files as people have them: odd ones give their samples, damaged ones a message."""

import contextlib
import io
import warnings

import numpy as np
import pytest
import soundfile
from conftest import small_model, tone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wavenet_tf as wt
from wavenet_tf import audio, data
from wavenet_tf.errors import InputError

RATE = 8000
FUZZED = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def encoded(samples, rate=RATE, **kind) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **kind)
    return file.getvalue()


WHOLE = {
    "wav": encoded(tone(0.1), format="WAV", subtype="PCM_16"),
    "wav24": encoded(tone(0.1), format="WAV", subtype="PCM_24"),
    "float": encoded(tone(0.1), format="WAV", subtype="FLOAT"),
    "flac": encoded(tone(0.1), format="FLAC"),
    "ogg": encoded(tone(0.1), format="OGG"),
    "mp3": encoded(tone(0.1), format="MP3"),
    "aiff": encoded(tone(0.1), format="AIFF"),
    "sph": encoded(tone(0.1), format="NIST"),
}


@pytest.fixture
def odd_corpus(tmp_path):
    """Files of every kind; and what each of them should give: its samples, or a word why not."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    sound = tone(0.5)
    expected = {}

    def write(name, samples, rate=RATE, gives=sound, **kind):
        soundfile.write(folder / name, samples, rate, **kind)
        expected[name] = gives

    write("plain.wav", sound, subtype="PCM_16")
    write("wide.wav", sound, subtype="PCM_24")
    write("float.wav", sound, subtype="FLOAT")
    write("double.wav", sound, subtype="DOUBLE")
    write("narrow.wav", sound, subtype="PCM_U8")
    write("mu_law.wav", sound, subtype="ULAW")
    write("extensible.wav", sound, format="WAVEX", subtype="PCM_16")
    write("six.wav", np.stack([sound] * 6, axis=1), subtype="PCM_16")
    write("fast.wav", tone(0.5, 192000), 192000, subtype="PCM_16")
    write("grüße 你好.wav", sound, subtype="PCM_16")
    write("wrong.flac", sound, format="WAV", subtype="PCM_16")
    write("wrong.wav", sound, format="FLAC")
    write("LOUD.WAV", sound, subtype="PCM_16")
    nan = np.where(np.arange(len(sound)) == 100, np.nan, sound)
    write("nan.wav", nan, subtype="FLOAT", gives="not finite")
    write("zero.wav", sound[:0], subtype="PCM_16", gives="too short (0 samples)")
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 40000)
    write("cut.flac", noise, gives="")
    whole = (folder / "cut.flac").read_bytes()
    (folder / "cut.flac").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.mp3").write_text("this is no music")
    expected |= {"empty.wav": "", "text.mp3": ""}
    return folder, expected


@pytest.mark.parametrize("way", ["in memory", "when asked for", "prepared"])
def test_odd_files_give_their_samples_and_damaged_ones_a_message(odd_corpus, tmp_path, way):
    folder, expected = odd_corpus
    if way == "prepared":
        data.prepare(data.Preparation(str(folder), sample_rate=RATE), tmp_path / "p", workers=1)
        recordings = data.read_recordings(tmp_path / "p", RATE)
        report = (tmp_path / "p" / "report.json").read_text()
        assert '"nan.wav": "' in report
    else:
        budget = 0 if way == "when asked for" else 2**30
        recordings = data.read_recordings(folder, RATE, in_memory_bytes=budget)
        assert all(recordings.skipped.values())
    by_name = dict(zip(recordings.names, recordings.clips, strict=True))
    for name, gives in expected.items():
        if isinstance(gives, str):
            try:
                by_name[name][:]
                raise AssertionError(f"{name} was read")
            except KeyError:  # left out at once
                why = recordings.skipped.get(name, gives)
            except InputError as error:  # its header is whole
                why = str(error)
            assert gives in why, name
        else:
            tolerance = {"narrow.wav": 0.01, "mu_law.wav": 0.02, "fast.wav": 2e-3}.get(name, 1e-4)
            middle = slice(200, -200)  # resampling rings at the ends
            read = by_name[name][:] / 32768
            assert len(read) == len(gives), name
            np.testing.assert_allclose(read[middle], gives[middle], atol=tolerance, err_msg=name)
            np.testing.assert_array_equal(by_name[name][1000:1200], by_name[name][:][1000:1200])
    # And the rest goes on.
    model = small_model()
    scored = 0
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _, _, weights in data.evaluation_batches(recordings, model.crop_spec, 4, 0.25):
            scored += int(np.sum(weights))
    good = sum(not isinstance(gives, str) for gives in expected.values())
    # When asked for, the first half of what was cut off can be read too.
    more = scored - good * len(tone(0.5))
    assert 0 < more < 20000 if way == "when asked for" else not more
    assert bool(told) == (way == "when asked for")


def test_names_that_are_no_text_survive(tmp_path):
    """Linux lets a file's name be any bytes."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    plain = folder / "plain.wav"
    wt.write_audio(plain, tone(), RATE)
    name = b"caf\xe9.wav"  # Latin-1
    with open(bytes(folder) + b"/" + name, "wb") as file:
        file.write(plain.read_bytes())
    data.prepare(data.Preparation(str(folder), sample_rate=RATE), tmp_path / "p", workers=1)
    for directory in (folder, tmp_path / "p"):
        recordings = data.read_recordings(directory, RATE)
        assert sorted(recordings.names) == ["caf\udce9.wav", "plain.wav"]
        assert sorted(part.names[0] for part in recordings.split(0.5)) == sorted(recordings.names)
        np.testing.assert_array_equal(recordings.clip(0), recordings.clip(1))
        str(recordings.summary).encode("utf-8", "backslashreplace")


@st.composite
def damaged(draw):
    """A file of some kind with bytes changed, cut off, or put in between."""
    contents = bytearray(WHOLE[draw(st.sampled_from(sorted(WHOLE)))])
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, min(len(contents), draw(st.sampled_from([64, 2**20]))) - 1))
        change = draw(st.sampled_from(["set", "cut", "insert"]))
        if change == "set":
            contents[place] = draw(st.integers(0, 255))
        elif change == "cut":
            del contents[place : place + draw(st.integers(1, 200))]
        else:
            contents[place:place] = draw(st.binary(max_size=40))
        if not contents:
            break
    return bytes(contents)


@pytest.mark.slow
@FUZZED
@given(contents=st.one_of(st.binary(max_size=200), damaged()), suffix=st.sampled_from([*WHOLE]))
def test_fuzzed_files_are_audio_or_an_error(tmp_path, contents, suffix):
    path = tmp_path / f"fuzzed.{suffix}"
    path.write_bytes(contents)
    with contextlib.suppress(InputError):
        waveform, rate = audio.read_audio(path, 16000)
        assert waveform.ndim == 1 and waveform.dtype == np.float32 and len(waveform)
        assert np.isfinite(waveform).all() and rate == 16000
    with contextlib.suppress(InputError):
        recordings = data.read_recordings(tmp_path, RATE, in_memory_bytes=0)
        clip = recordings.clips[0]
        assert len(clip[10:20]) == 10


@pytest.mark.slow
@FUZZED
@given(lines=st.lists(st.one_of(st.text(max_size=60), st.binary(max_size=60)), max_size=5))
def test_fuzzed_manifests_are_clips_or_an_error(tmp_path, lines):
    start = {".csv": b"path,start,end,tags,alignment\n", ".jsonl": b'{"path": "a.wav"}\n'}
    for suffix, first in start.items():
        path = tmp_path / f"manifest{suffix}"
        lines_as_bytes = [
            line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass")
            for line in lines
        ]
        path.write_bytes(first + b"\n".join(lines_as_bytes))
        with contextlib.suppress(InputError):
            for clip in data.read_manifest(path):
                assert isinstance(clip, data.Clip)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda values: st.one_of(
        st.lists(values, max_size=3), st.dictionaries(st.text(max_size=5), values, max_size=3)
    ),
    max_leaves=6,
)
COLUMNS = ["path", "start", "end", "speaker", "text", "tags", "alignment", "split", "other"]


@FUZZED
@given(row=st.dictionaries(st.sampled_from(COLUMNS), JSON, max_size=6))
def test_fuzzed_rows_are_clips_that_come_back_or_an_error(row):
    import json

    with contextlib.suppress(InputError):
        clip = data.Clip.from_row(row)
        assert data.Clip.from_row(json.loads(clip.to_json())) == clip


@pytest.fixture(scope="module")
def prepared_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzed")
    for number in range(4):
        wt.write_audio(folder / "corpus" / f"{number}.wav", tone(0.2 + 0.1 * number), RATE)
    preparation = data.Preparation(str(folder / "corpus"), sample_rate=RATE, shards=2)
    data.prepare(preparation, folder / "prepared", workers=1)
    clips = [clip[:] for clip in data.open_prepared(folder / "prepared").clips]
    return folder / "prepared", clips


@FUZZED
@given(st.data())
def test_fuzzed_preparations_give_their_samples_or_an_error(prepared_folder, drawn):
    folder, clips = prepared_folder
    files = ["clips.npy", "pieces.npy", "index.json", "names.npy", "shards/shard-00000.tfrecord"]
    path = folder / drawn.draw(st.sampled_from(files))
    original = path.read_bytes()
    contents = bytearray(original)
    for _ in range(drawn.draw(st.integers(1, 3))):
        contents[drawn.draw(st.integers(0, len(contents) - 1))] = drawn.draw(st.integers(0, 255))
    try:
        path.write_bytes(contents)
        with contextlib.suppress(InputError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            recordings = data.read_recordings(folder, RATE)
            for number, clip in enumerate(recordings.clips):
                with contextlib.suppress(InputError):
                    read = clip[:]
                    if path.suffix == ".tfrecord":
                        np.testing.assert_array_equal(read, clips[number])
    finally:
        path.write_bytes(original)
