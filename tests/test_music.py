"""Music with tags: what is composed, how instruments sound, and soundfonts."""

import music
import numpy as np
import pytest
import soundfont
from conftest import run_program
from soundfont_file import write_soundfont

import wavenet_tf as wt
from wavenet_tf import audio, data
from wavenet_tf.errors import InputError

RATE = 16000


def piece(instrument, tempo="slow", mode="major", seed=0, seconds=3.0):
    samples = round(seconds * RATE)
    notes = music.compose(np.random.default_rng(seed), tempo, mode, samples, RATE)
    return notes, music.render(instrument, notes, samples, RATE)


@pytest.mark.parametrize("mode", music.MODES)
@pytest.mark.parametrize("instrument", ["flute", "organ", "strings"])
def test_pitches_are_those_of_the_composed_notes(instrument, mode):
    notes, waveform = piece(instrument, mode=mode)
    for note in notes[:-1]:
        assert (note.midi_note - 60) % 12 in music.MODES[mode]
        frame = waveform[note.start + 2400 : note.start + 4000].astype(np.float64)
        (found,) = audio.detect_pitch(frame[None] - frame.mean(), RATE, 200.0, 1200.0)
        assert abs(1200 * np.log2(found / note.frequency)) < 40.0


def test_modes_and_tempi_differ():
    both = {
        mode: {
            note.midi_note % 12
            for seed in range(8)
            for note in piece("organ", "fast", mode, seed)[0]
        }
        for mode in music.MODES
    }
    assert both["major"] - both["minor"] == {4, 9} and both["minor"] - both["major"] == {3, 8}
    numbers = {tempo: len(piece("organ", tempo)[0]) for tempo in music.TEMPOS}
    assert numbers["fast"] > 2 * numbers["slow"]


def timbre(waveform):
    """Harmonics of the loud frames relative to the first, and how long notes are loud."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform.astype(np.float64), 800)[::400]
    power = np.mean(frames**2, axis=1)
    loud = frames[power > 0.05 * power.max()]
    pitch = audio.detect_pitch(loud - loud.mean(axis=1, keepdims=True), RATE, 200.0, 1200.0)
    time, window = np.arange(800) / RATE, np.hanning(800)
    harmonics = np.array([1.0, 2.0, 2.76, 3.0, 4.0, 5.4])
    tones = np.exp(-2j * np.pi * pitch[:, None, None] * harmonics[:, None] * time)
    levels = np.log(np.abs((tones * (loud * window)[:, None]).sum(axis=-1)) + 0.1)
    relative = np.nanmedian(levels - levels[:, :1], axis=0)
    return np.append(relative[1:], 4.0 * np.mean(power > 0.3 * power.max()))


def test_instruments_can_be_told_apart():
    """The nearest mean over pieces of other seeds names the instrument."""
    names = list(music.INSTRUMENTS)
    assert len(names) >= 4
    conditions = [(tempo, mode) for tempo in music.TEMPOS for mode in music.MODES]

    def timbres(name, seed):
        return [timbre(piece(name, *condition, seed=seed)[1]) for condition in conditions]

    means = [np.mean([*timbres(name, 8), *timbres(name, 9)], axis=0) for name in names]
    nearest = [
        [int(np.argmin(np.linalg.norm(found - means, axis=1))) for found in timbres(name, 4)]
        for name in names
    ]
    assert np.mean(np.array(nearest) == np.arange(len(names))[:, None]) >= 0.9, nearest


def test_the_corpus_has_its_tags(tmp_path):
    paths = music.write_tagged_corpus(tmp_path, 20, 0.5, 8000, seed=1)
    recordings = data.read_recordings(tmp_path, 8000)
    assert recordings.tag_names == sorted([*music.INSTRUMENTS, *music.TEMPOS, *music.MODES])
    assert len({tuple(tags) for tags in recordings.tags}) == len(paths) == 20
    assert data.find_clip_classes("column:instrument", recordings) == sorted(music.INSTRUMENTS)
    music.write_tagged_corpus(tmp_path / "again", 3, 0.5, 8000, seed=1)
    for index in range(3):
        again = (tmp_path / "again" / paths[index].name).read_bytes()
        assert again == paths[index].read_bytes()
    with pytest.raises(InputError, match="at least 8000 Hz, not 4000"):
        music.write_tagged_corpus(tmp_path, 1, 0.5, 4000, seed=1)


def test_a_soundfont_plays_the_notes(tmp_path):
    pytest.importorskip("tinysoundfont")
    write_soundfont(tmp_path / "sine.sf2", [soundfont.PROGRAMS["flute"]])
    font = soundfont.SoundFont(tmp_path / "sine.sf2")
    notes = [music.Note(0, 8000, 69, 1.0), music.Note(8000, 16000, 81, 0.8)]
    waveform = font.play("flute", notes, 16000, RATE)
    assert np.abs(waveform).max() == pytest.approx(music.PEAK)
    for start, expected in ((2000, 441.0), (12000, 882.0)):
        frame = waveform[start : start + 1600].astype(np.float64)
        (found,) = audio.detect_pitch(frame[None] - frame.mean(), RATE, 200.0, 1200.0)
        assert abs(found - expected) < 3.0
    with pytest.raises(InputError, match=r"has no program 19 \(organ\)"):
        font.play("organ", notes, 16000, RATE)


def test_the_program_writes_tagged_music_and_refuses_what_is_no_soundfont(tmp_path):
    output = f"--output={tmp_path / 'music'}"
    size = ["--tagged", "--num_clips=4", "--clip_seconds=0.2"]
    result = run_program("make_demo_data.py", output, *size)
    assert result.returncode == 0, result.stderr
    assert data.read_recordings(tmp_path / "music", 8000).tags[0] == ("guitar", "slow", "major")
    wt.write_audio(tmp_path / "no.wav", np.zeros(800), 8000)
    result = run_program("make_demo_data.py", output, *size, f"--soundfont={tmp_path / 'no.wav'}")
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    assert "no.wav is no soundfont: expected" in result.stderr or "tinysoundfont" in result.stderr
    result = run_program("make_demo_data.py", output, "--soundfont=x.sf2")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
