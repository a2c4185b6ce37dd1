"""Files whose headers are wrong, files joined end to end, and recordings with problems."""

import io
import itertools
import shutil
import struct
import warnings

import numpy as np
import pytest
import soundfile
from conftest import tone

import wavenet_tf as wt
from wavenet_tf import audio, data
from wavenet_tf.audio import decode_audio
from wavenet_tf.errors import InputError
from wavenet_tf.reports.corpus_statistics import measure_clips
from wavenet_tf.reports.opened_corpus import open_corpus

RATE = 8000
SAMPLES = np.round(32767 * tone(0.3)).astype(np.int16)


def encoded(samples=SAMPLES, file_format="WAV", subtype=None, rate=RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=file_format, subtype=subtype)
    return file.getvalue()


def decoded(contents: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(contents), dtype="float32")[0]


def with_field(contents: bytes, position: int, code: str, *values) -> bytes:
    contents = bytearray(contents)
    struct.pack_into(code, contents, position, *values)
    return bytes(contents)


def flac_of_length(length: int, samples=SAMPLES) -> bytes:
    """A FLAC whose header gives this length; 0 is what is written to a pipe."""
    contents = bytearray(encoded(samples, "FLAC"))
    width = int.from_bytes(contents[21:26], "big") >> 36 << 36
    contents[21:26] = (width | length).to_bytes(5, "big")
    return bytes(contents)


def wrong_sizes() -> dict[str, bytes]:
    """Files that hold SAMPLES, whose headers give another length."""
    wav, rf64, au = encoded(), encoded(file_format="RF64"), encoded(file_format="AU")
    caf, w64, aiff = (encoded(file_format=kind) for kind in ("CAF", "W64", "AIFF"))
    sizes = rf64.index(b"ds64") + 8
    files = {
        "pipe.flac": flac_of_length(0),
        "much.flac": flac_of_length(2**36 - 1),
        "more.flac": flac_of_length(10**7),
        "chunk.flac": flac_of_length(0, np.resize(SAMPLES, 2**16)),
        "extensible.wav": with_field(
            wide := encoded(file_format="WAVEX"), wide.index(b"data") + 4, "<I", 0
        ),
        "big_endian.wav": with_field(with_big_endian_header(wav), 40, ">I", 0),
        "zero.rf64": with_field(rf64, sizes, "<3Q", 0, 0, 0),
        "all.rf64": with_field(rf64, sizes, "<3Q", 2**64 - 1, 2**64 - 1, 0),
        "long.rf64": with_field(rf64, sizes + 8, "<Q", 2**63 - 1),
        "zero.w64": with_field(with_field(w64, 16, "<Q", 0), w64.index(b"data") + 16, "<Q", 0),
        "zero.aiff": with_field(aiff, aiff.index(b"SSND") + 4, ">I", 0),
        "nist.sph": encoded(file_format="NIST").replace(
            b"sample_count -i 2400\n", b"sample_count -i 0\n\n\n\n"
        ),
    }
    for size in (0, 2**31 - 1, 2**32 - 1):
        files[f"{size}.wav"] = with_field(with_field(wav, 4, "<I", size), 40, "<I", size)
        files[f"{size}.au"] = with_field(au, 8, ">I", size)
    for size in (-1, 0, 4, 2**63 - 1):
        files[f"{size}.caf"] = with_field(caf, caf.index(b"data") + 4, ">q", size)
    return files


def with_big_endian_header(wav: bytes) -> bytes:
    order = struct.unpack("<4sI4s4sIHHIIHH4sI", wav[:44])
    samples = np.frombuffer(wav[44:], "<i2").astype(">i2").tobytes()
    return struct.pack(">4sI4s4sIHHIIHH4sI", b"RIFX", *order[1:]) + samples


@pytest.fixture(scope="module")
def odd_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    for name, contents in wrong_sizes().items():
        (folder / name).write_bytes(contents)
    return folder


@pytest.mark.parametrize("name", sorted(wrong_sizes()))
def test_samples_are_read_whatever_length_the_header_gives(odd_folder, name):
    expected = SAMPLES / np.float32(2**15)
    if name == "chunk.flac":
        expected = np.resize(expected, 2**16)
    path = odd_folder / name
    samples, rate = wt.read_audio(path)
    assert rate == RATE
    np.testing.assert_array_equal(samples, expected)
    np.testing.assert_array_equal(decode_audio(path.read_bytes(), RATE), expected)
    for start, end in ((0.0, 0.1), (0.2, 0.25), (0.25, len(expected) / RATE)):
        part = wt.read_audio(path, start=start, end=end)[0]
        np.testing.assert_array_equal(part, expected[round(start * RATE) : round(end * RATE)])


@pytest.mark.parametrize("in_memory_bytes", [0, 2**30])
def test_clips_have_the_length_of_their_samples(odd_folder, in_memory_bytes):
    recordings = data.read_recordings(odd_folder, RATE, in_memory_bytes=in_memory_bytes)
    assert recordings.skipped == {}
    assert sorted(recordings.names) == sorted(wrong_sizes())
    for name, length, clip in zip(
        recordings.names, recordings.lengths, recordings.clips, strict=True
    ):
        expected = np.resize(SAMPLES, 2**16) if name == "chunk.flac" else SAMPLES
        assert length == len(expected), name
        np.testing.assert_array_equal(clip[:], expected)
        np.testing.assert_array_equal(clip[500:700], expected[500:700])
        np.testing.assert_array_equal(clip[length - 10 : length], expected[-10:])


@pytest.mark.parametrize("tail", [b"", b"LIST\x06\0\0\0INFO\0\0"])
def test_a_wav_that_is_empty_holds_no_samples(tmp_path, tail):
    """What comes after the samples of a WAV is not taken for samples."""
    (tmp_path / "empty.wav").write_bytes(encoded(SAMPLES[:0]) + tail)
    with pytest.raises(InputError, match=r"empty\.wav holds no samples"):
        wt.read_audio(tmp_path / "empty.wav")


def parts(file_format, subtype=None):
    """Three recordings of different lengths."""
    kinds = ((0.5, 300.0), (0.41, 500.0), (0.3, 700.0))
    return [encoded(tone(*kind[:1], RATE, kind[1]), file_format, subtype) for kind in kinds]


ID3 = b"ID3\x03\0\0\0\0\0\x0a" + bytes(10)
ID3_AT_END = b"TAG" + bytes(125)


@pytest.mark.parametrize(
    ("name", "between"),
    [
        *[(name, b"") for name in ("a.ogg", "a.opus", "a.mp3", "a.flac", "a.au")],
        *[(name, b"") for name in ("a.wav", "a.rf64", "a.aiff", "a.w64")],
        *[("a.mp3", between) for between in (ID3, ID3_AT_END, bytes(300))],
        ("a.flac", ID3),
    ],
)
def test_joined_recordings_are_all_read(tmp_path, name, between):
    kinds = {"a.ogg": ("OGG", "VORBIS"), "a.opus": ("OGG", "OPUS")}
    separate = parts(*kinds.get(name, (name[2:].upper(), None)))
    expected = np.concatenate([decoded(part) for part in separate])
    (tmp_path / name).write_bytes(between.join(separate))
    samples, _ = wt.read_audio(tmp_path / name)
    np.testing.assert_array_equal(samples, expected)
    np.testing.assert_array_equal(decode_audio(between.join(separate), RATE), expected)
    # From the end of the first to the beginning of the third.
    part, _ = wt.read_audio(tmp_path / name, start=0.4, end=0.95)
    np.testing.assert_array_equal(part, expected[3200:7600])
    recordings = data.read_recordings(tmp_path, RATE)
    np.testing.assert_array_equal(recordings.clip(0), audio.to_16_bits(expected))
    if name != "a.flac":  # which is searched only when all of it is read
        clip = data.read_recordings(tmp_path, RATE, in_memory_bytes=0).clips[0]
        np.testing.assert_array_equal(clip[:], audio.to_16_bits(expected))
        np.testing.assert_array_equal(clip[3990:4010], clip[:][3990:4010])


def test_an_ogg_joined_with_itself_and_a_joined_pipe_are_all_read(tmp_path):
    once = parts("OGG")[0]
    (tmp_path / "twice.ogg").write_bytes(once + once)
    samples, _ = wt.read_audio(tmp_path / "twice.ogg")
    np.testing.assert_array_equal(samples, np.tile(decoded(once), 2))
    (tmp_path / "pipes.flac").write_bytes(flac_of_length(0) * 2)
    samples, _ = wt.read_audio(tmp_path / "pipes.flac")
    np.testing.assert_array_equal(samples, np.tile(SAMPLES / np.float32(2**15), 2))


def test_mp3s_without_a_header_of_their_own_are_all_read_where_they_are_joined(tmp_path):
    """The frames that a header, which is a frame too, does not count come after it."""
    whole, longer = parts("MP3")[0], parts("MP3")[1]
    sync = whole[:2]
    bare = longer[longer.index(sync, longer.index(b"Xing")) :]
    expected = np.concatenate([decoded(whole), decoded(bare)])
    (tmp_path / "a.mp3").write_bytes(whole + bare)
    np.testing.assert_array_equal(wt.read_audio(tmp_path / "a.mp3")[0], expected)
    (tmp_path / "b.mp3").write_bytes(bare + bare)
    samples, _ = wt.read_audio(tmp_path / "b.mp3")
    assert abs(len(samples) - 2 * len(decoded(bare))) < 1152


def test_joined_recordings_of_different_rates_are_an_error(tmp_path):
    (tmp_path / "a.ogg").write_bytes(
        encoded(file_format="OGG") + encoded(file_format="OGG", rate=16000)
    )
    message = r"a\.ogg holds recordings of different kinds, joined: 8000 Hz, 1 channels; 16000 Hz"
    with pytest.raises(InputError, match=message):
        wt.read_audio(tmp_path / "a.ogg")


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "IMA_ADPCM", "MS_ADPCM"])
def test_codings_that_cannot_be_sought_are_read(tmp_path, subtype):
    (tmp_path / "a.wav").write_bytes(encoded(subtype=subtype))
    expected, _ = soundfile.read(tmp_path / "a.wav", 10**6, dtype="float32")
    np.testing.assert_array_equal(wt.read_audio(tmp_path / "a.wav")[0], expected)
    part, _ = wt.read_audio(tmp_path / "a.wav", start=0.1, end=0.2)
    np.testing.assert_array_equal(part, expected[800:1600])
    clip = data.read_recordings(tmp_path, RATE, in_memory_bytes=0).clips[0]
    np.testing.assert_array_equal(clip[700:900], audio.to_16_bits(expected[700:900]))


def test_neighbours_of_a_file_are_not_read(tmp_path):
    for name in ("a.mp3", "a.wav", "a.flac"):
        (tmp_path / name).write_bytes(encoded(file_format=name[2:].upper()))
        expected, _ = wt.read_audio(tmp_path / name)
        (tmp_path / f"._{name}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(60))
        (tmp_path / ".AppleDouble").mkdir(exist_ok=True)
        shutil.copy(tmp_path / f"._{name}", tmp_path / ".AppleDouble" / name)
        np.testing.assert_array_equal(wt.read_audio(tmp_path / name)[0], expected)
    assert data.read_recordings(tmp_path, RATE).names == ["a.flac", "a.mp3", "a.wav"]


@pytest.mark.parametrize("rate", [1, 999, 1_000_001, 2**31 - 1])
def test_rates_that_no_audio_has_are_named(tmp_path, rate):
    (tmp_path / "a.wav").write_bytes(with_field(encoded(), 24, "<I", rate))
    with pytest.raises(InputError, match=rf"a\.wav has a sample rate of {rate} Hz in its header"):
        wt.read_audio(tmp_path / "a.wav", 16000)
    with pytest.raises(InputError, match=rf"contents has a sample rate of {rate} Hz"):
        decode_audio((tmp_path / "a.wav").read_bytes(), 16000)
    wt.write_audio(tmp_path / "good.wav", tone(), RATE)
    for in_memory_bytes in (0, 2**30):
        recordings = data.read_recordings(tmp_path, RATE, in_memory_bytes=in_memory_bytes)
        assert recordings.names == ["good.wav"]
        assert f"sample rate of {rate} Hz" in recordings.skipped["a.wav"]
    (tmp_path / "good.wav").unlink()
    (tmp_path / "b.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    with pytest.raises(
        InputError, match=r"2 files, none .*; a.wav: .* rate of .*; b.m4a: .*WAV or"
    ):
        data.read_recordings(tmp_path, RATE)


@pytest.mark.parametrize("rate", [0, -1, 1, np.nan, np.inf, 2**31, 1.5, "16000", True, [8000]])
def test_requested_rates_that_no_audio_has_are_named(tmp_path, rate):
    wt.write_audio(tmp_path / "a.wav", tone(), RATE)
    message = r"sample_rate must be a whole number of Hz from 1000 to 1000000; received "
    for call in (
        lambda: wt.read_audio(tmp_path / "a.wav", rate),
        lambda: wt.write_audio(tmp_path / "b.wav", tone(), rate),
        lambda: decode_audio(b"", rate),
    ):
        with pytest.raises(InputError, match=message):
            call()
    assert not (tmp_path / "b.wav").exists()
    for whole in (np.int64(16000), 16000.0, np.float32(16000)):
        assert len(wt.read_audio(tmp_path / "a.wav", whole)[0]) == 2 * len(tone())


def test_too_few_samples_to_resample_are_an_error(tmp_path):
    wt.write_audio(tmp_path / "a.wav", tone()[1:2], 192000)
    with pytest.raises(InputError, match="too short: 1 samples at 192000 Hz are none at 1000 Hz"):
        wt.read_audio(tmp_path / "a.wav", 1000)


@pytest.fixture
def problem_folder(tmp_path):
    """Recordings that can be read, and are no good; and the kind of problem each has."""
    folder = tmp_path / "problems"
    folder.mkdir()
    wave = tone(0.5)
    stereo = np.stack([wave, -wave], axis=1)
    kinds = {
        "silent.wav": (np.zeros_like(wave), "PCM_16", "silent"),
        "faint.wav": (1e-6 * wave, "FLOAT", "silent"),
        "opposite.wav": (stereo, "PCM_16", "opposite_phase"),
        "nearly.flac": (np.stack([wave, 0.02 - wave], axis=1), None, "opposite_phase"),
        "loud.wav": (3.0 * wave, "FLOAT", "beyond_full_scale"),
        "good.wav": (wave, "FLOAT", None),
        "wide.wav": (stereo + np.roll(wave, 5)[:, None], "PCM_16", None),
        "one_side.wav": (np.stack([wave, 0 * wave], axis=1), "PCM_16", None),
    }
    for name, (samples, subtype, _) in kinds.items():
        soundfile.write(folder / name, samples, RATE, subtype=subtype)
    for name, samples in (("scaled.wav", 32767 * wave), ("scaled64.wav", 2.0**31 * wave)):
        soundfile.write(folder / name, samples, RATE, subtype="DOUBLE")
    return folder, {name: kind for name, (_, _, kind) in kinds.items()}


def test_problems_of_recordings_are_named(problem_folder, tmp_path):
    folder, kinds = problem_folder
    scaled = r"scaled\.wav holds values up to 16383\.5: .* divide values of 16-bit range by 32768"
    with pytest.raises(InputError, match=scaled):
        wt.read_audio(folder / "scaled.wav")
    wrong = {name: audio.PROBLEMS[kind] for name, kind in kinds.items() if kind}
    for name in kinds:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            wt.read_audio(folder / name)
            decode_audio((folder / name).read_bytes(), RATE)
        expected = [f"{prefix} {wrong.get(name)}" for prefix in (folder / name, "contents")]
        assert [str(warning.message) for warning in caught] == (expected if name in wrong else [])
    recordings = data.read_recordings(folder, RATE)
    assert recordings.problems == wrong
    assert sorted(recordings.skipped) == ["scaled.wav", "scaled64.wav"]
    assert "; skipped 2 files (scaled.wav: " in recordings.summary
    assert f"; problems in 5 clips (faint.wav: {wrong['faint.wav']}; " in recordings.summary
    # On demand, when a crop is read that shows it.
    lazy = data.read_recordings(folder, RATE, in_memory_bytes=0)
    by_name = dict(zip(lazy.names, lazy.clips, strict=True))
    with pytest.warns(UserWarning, match=r"opposite\.wav has channels of opposite phase"):
        by_name["opposite.wav"][100:200]
    assert lazy.skipped == recordings.skipped
    assert lazy.skipped["scaled.wav"].startswith("holds values up to 16383.5: audio as floating")
    # In the report of a preparation.
    report = data.prepare(data.Preparation(str(folder)), tmp_path / "prepared", workers=1)
    for kind in audio.PROBLEMS:
        named = sorted(name for name, found in kinds.items() if found == kind)
        assert sorted(report["warnings"][kind]["names"]) == named
    assert sorted(report["skipped"]["names"]) == ["scaled.wav", "scaled64.wav"]
    assert "clips whose channels are of opposite phase and cancel out: " in data.summarize(report)


def test_every_readable_file_of_a_folder_is_read_and_the_others_are_named(tmp_path):
    kinds = {
        "WAV": "wav wave bwf", "RF64": "rf64", "W64": "w64", "AIFF": "aif aiff aifc",
        "AU": "au snd", "CAF": "caf", "FLAC": "flac", "OGG": "ogg oga",
        "MP3": "mp3 mp2 mpga", "NIST": "sph nist",
        "VOC": "voc", "IRCAM": "sf ircam", "AVR": "avr", "PAF": "paf", "PVF": "pvf",
        "SVX": "svx 8svx", "SDS": "sds",
    }  # fmt: skip
    for file_format, suffixes in kinds.items():
        for suffix in suffixes.split():
            (tmp_path / f"a.{suffix}").write_bytes(encoded(file_format=file_format))
    (tmp_path / "a.opus").write_bytes(encoded(file_format="OGG", subtype="OPUS"))
    (tmp_path / "SHOUTED.OPUS").write_bytes(encoded(file_format="OGG", subtype="OPUS"))
    unreadable = {f"b{suffix}" for suffix in audio.UNREADABLE_SUFFIXES}
    for name in unreadable:
        (tmp_path / name).write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    for name in ("notes.txt", "cover.jpg", "labels.csv", "._a.wav"):
        (tmp_path / name).write_bytes(bytes(100))
    recordings = data.read_recordings(tmp_path, RATE)
    readable = {f"a.{suffix}" for suffixes in kinds.values() for suffix in suffixes.split()}
    assert set(recordings.names) == readable | {"a.opus", "SHOUTED.OPUS"}
    assert set(recordings.skipped) == unreadable
    assert all("convert them to WAV or FLAC" in why for why in recordings.skipped.values())
    for name, clip in zip(recordings.names, recordings.clips, strict=True):
        lossy = name.lower().endswith((".ogg", ".oga", ".opus", ".mp3", ".mp2", ".mpga"))
        middle = slice(600, 1800)
        np.testing.assert_allclose(
            clip[middle] / 32768, tone(0.3)[middle], atol=0.1 if lossy else 1e-2, err_msg=name
        )


def test_a_split_of_too_few_recordings_names_what_was_skipped(tmp_path):
    wt.write_audio(tmp_path / "short.wav", tone(), RATE)
    (tmp_path / "song.m4a").write_bytes(bytes(100))
    recordings = data.read_recordings(tmp_path, RATE)
    with pytest.raises(
        InputError, match=r"at least 2 rec.*; skipped 1 files \(song\.m4a: .*WAV or"
    ):
        recordings.split(0.1)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_one_channel_of_any_type_is_written(tmp_path, name):
    wave = tone(0.25)
    wt.write_audio(tmp_path / name, wave, RATE)
    expected = wt.read_audio(tmp_path / name)[0]
    for same in (wave[None], wave[:, None], wave.astype(np.float64), audio.to_16_bits(wave)):
        wt.write_audio(tmp_path / f"b{name}", same, RATE)
        assert soundfile.info(tmp_path / f"b{name}").channels == 1
        # The encoder of MP3 makes another file of what differs by less than a 16-bit step.
        atol = 0.1 if name == "a.mp3" else 1e-3
        np.testing.assert_allclose(wt.read_audio(tmp_path / f"b{name}")[0], expected, atol=atol)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros([2, 9]), r"audio must have shape \[samples\], .*received shape \[2, 9\]"),
        (np.zeros([1, 1, 9]), r"received shape \[1, 1, 9\]"),
        (np.float32(0.5), r"received shape \[\]"),
        ([], r"at least one sample; received shape \[0\]"),
        (np.zeros([1, 0]), r"received shape \[1, 0\]"),
        ([0.0, np.nan], "audio must be finite numbers; received NaN or infinity"),
        ([0.0, -np.inf], "audio must be finite numbers; received NaN or infinity"),
        ([0.0, 17000.0], r"audio must be in \[-1, 1\]; received values up to 17000"),
        *(
            (np.zeros(9, kind), rf"float in \[-1, 1\] or int16; received {kind} \(mu_law_decode")
            for kind in ("int8", "uint8", "uint16", "int32", "int64", "bool", "complex64", "<U1")
        ),
    ],
)
def test_audio_that_cannot_be_written_is_an_error(tmp_path, samples, message):
    for name in ("a.wav", "a.mp3"):
        with pytest.raises(InputError, match=message):
            wt.write_audio(tmp_path / name, samples, RATE)
    assert list(tmp_path.iterdir()) == []


def test_a_rate_that_a_format_lacks_is_an_error(tmp_path):
    for name, rate in (("a.mp3", 12345), ("a.flac", 700_001)):
        with pytest.raises(
            InputError, match=rf"cannot write .*{name} with a sample_rate of {rate}"
        ):
            wt.write_audio(tmp_path / name, tone(), rate)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.jsonl"])
def test_columns_of_a_manifest_that_are_not_known_are_kept(tmp_path, name):
    wt.write_audio(tmp_path / "a.wav", tone(), RATE)
    wt.write_audio(tmp_path / "b.wav", tone(), RATE)
    rows = {
        "manifest.csv": ",path,text,mood,other\n0,a.wav,Hi,calm,1\n1,b.wav,Ho,,2\n",
        "manifest.jsonl": '{"path": "a.wav", "": "0", "mood": "calm", "other": 1, "text": "Hi"}\n'
        '{"path": "b.wav", "": "1", "mood": null, "other": 2, "text": "Ho"}\n',
    }
    (tmp_path / name).write_text(rows[name])
    recordings = data.read_recordings(tmp_path, RATE)
    assert recordings.names == ["a.wav", "b.wav"]
    others = [{"": "0", "mood": "calm", "other": "1"}, {"": "1", "other": "2"}]
    assert [clip.other for clip in recordings.metadata] == others
    data.prepare(data.Preparation(str(tmp_path)), tmp_path / "prepared", workers=1)
    prepared = data.open_prepared(tmp_path / "prepared")
    assert [clip.other for clip in prepared.metadata] == others
    assert list(prepared.texts) == ["Hi", "Ho"]


def test_a_column_with_almost_the_name_of_a_known_one_brings_a_warning(tmp_path):
    wt.write_audio(tmp_path / "a.wav", tone(), RATE)
    wt.write_audio(tmp_path / "b.wav", tone(), RATE)
    (tmp_path / "manifest.csv").write_text("path,Speakers,mood\na.wav,Ana,calm\nb.wav,Ben,calm\n")
    with pytest.warns(UserWarning) as caught:
        data.read_recordings(tmp_path, RATE)
    assert [str(warning.message) for warning in caught] == [
        f"{tmp_path / 'manifest.csv'}: column 'Speakers' is not read; did you mean 'speaker'?"
    ]


def test_a_row_of_a_manifest_with_too_many_values_is_an_error(tmp_path):
    (tmp_path / "manifest.csv").write_text("path,text\na.wav,Hi\nb.wav,Ho,more\n")
    with pytest.raises(InputError, match=r"manifest\.csv, line 3: more values than columns"):
        list(data.read_manifest(tmp_path / "manifest.csv"))


def test_preparing_and_inspecting_go_on_beside_odd_headers(tmp_path):
    """A streamed FLAC and headers of absurd rates; the first file's rate is not taken."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for place, rate in enumerate((1, 2**31 - 1)):
        contents = with_field(encoded(), 24, "<I", rate)
        (folder / f"{place}.wav").write_bytes(contents)
    (folder / "pipe.flac").write_bytes(flac_of_length(0))
    wt.write_audio(folder / "z.wav", tone(0.5), RATE)
    report = data.prepare(data.Preparation(str(folder)), tmp_path / "prepared", workers=1)
    assert report["statistics"]["seconds"] == 0.8
    assert sorted(report["skipped"]["names"]) == ["0.wav", "1.wav"]
    assert "sample rate of 1 Hz" in report["skipped"]["names"]["0.wav"]
    corpus = open_corpus(folder)
    assert corpus.recordings.sample_rate == RATE
    assert corpus.recordings.seconds == 0.8
    assert [header.format for header in corpus.headers] == ["FLAC", "WAV"]
    measurements = measure_clips(corpus.recordings)
    assert sorted(measurements.names) == ["pipe.flac", "z.wav"]


def test_windows_of_files_are_files():
    file = io.BytesIO(bytes(range(100)))
    window = audio.containers.Window(file, 10, 60, head=b"abc")
    expected = b"abc" + bytes(range(13, 60))
    assert window.read() == expected
    for position, count in itertools.product((0, 1, 2, 3, 20, 49, 50), (0, 1, 2, 5, 100)):
        assert window.seek(position) == position
        assert window.read(count) == expected[position : position + count]
    assert window.seek(-2, io.SEEK_END) == 48
    assert window.seek(-100, io.SEEK_CUR) == 0
    assert window.seek(2**70) == 50
