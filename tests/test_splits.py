"""The split into training and validation."""

import json

import numpy as np
import pytest
import soundfile
from conftest import small_model

import wavenet_tf as wt
from wavenet_tf import data, runs
from wavenet_tf.data.splits import split_by_recording, split_by_time
from wavenet_tf.errors import InputError

RATE = 8000


def write_segments(folder, name, starts, seconds):
    """One recording of noise, and a manifest of segments of it."""
    folder.mkdir(parents=True)
    length = round((max(starts) + seconds) * RATE)
    samples = np.random.default_rng(0).integers(-9000, 9000, length).astype(np.int16)
    soundfile.write(folder / name, samples, RATE, subtype="PCM_16")
    clips = [
        data.Clip(name, start=start, end=start + seconds, text=f"from {start}") for start in starts
    ]
    data.write_manifest(folder / "manifest.jsonl", clips)
    return samples, data.read_recordings(folder, RATE)


def span(recordings):
    """Start and end of a part in its recording, and the duration of the part, in seconds."""
    starts = [float(name.split("#")[1].split("-")[0]) for name in recordings.names]
    ends = np.array(starts) + recordings.lengths / RATE
    return min(starts), ends.max(), recordings.seconds


@pytest.mark.parametrize("name", ["take5.wav", "take1.wav", "other.wav"])
def test_segments_of_one_recording_are_split_in_time(tmp_path, name):
    """Whatever the name; 20 segments once gave 1 and 19, or 19 and 1."""
    starts = [float(start) for start in range(20)]
    samples, recordings = write_segments(tmp_path / "r", name, starts, 1.0)
    assert recordings.splits_by_time
    training, validation = recordings.split(0.1, gap=800)
    assert sorted(validation.names) == [f"{name}#18.0-19.0", f"{name}#19.0-20.0"]
    assert len(training.names) == 18
    assert span(training) == pytest.approx((0.0, 17.9, 17.9))
    assert training.names[17] == f"{name}#17.0-17.9"
    np.testing.assert_array_equal(training.clip(17), samples[17 * RATE : 18 * RATE - 800])
    # A part of a clip has no text: the clip's text is longer than what is said in the part.
    assert training.texts[16] == "from 16.0"
    assert training.texts[17] is None
    assert sorted(validation.texts) == ["from 18.0", "from 19.0"]


def test_a_single_recording_trains_and_validates_on_its_end(tmp_path):
    samples = np.arange(20 * RATE).astype(np.int16)
    (tmp_path / "r").mkdir()
    soundfile.write(tmp_path / "r" / "one.wav", samples, RATE, subtype="PCM_16")
    data.prepare(data.Preparation(str(tmp_path / "r")), tmp_path / "p", workers=1)
    for recordings in (
        data.read_recordings(tmp_path / "r", RATE),
        data.read_recordings(tmp_path / "r", RATE, in_memory_bytes=0),
        data.read_recordings(tmp_path / "p", RATE),
    ):
        training, validation = recordings.split(0.05, gap=1000)
        np.testing.assert_array_equal(training.clip(0), samples[: 19 * RATE - 1000])
        np.testing.assert_array_equal(validation.clip(0), samples[19 * RATE :])
        np.testing.assert_array_equal(validation.clips[0][7:9], samples[19 * RATE :][7:9])
        assert training.names[0] == "one.wav#0.0-18.875"
        assert validation.names[0] == "one.wav#19.0-20.0"
        assert not recordings.has_split
        model = small_model()
        for _, _, weights in data.evaluation_batches(validation, model.crop_spec, 4, 0.5):
            assert np.sum(weights) == RATE
    for fraction in (0.001, 0.999):  # at least 0.1 s on each side
        parts = recordings.split(fraction, gap=1000)
        assert all(part.seconds >= 0.1 for part in parts)
        assert sum(part.seconds for part in parts) == pytest.approx(20 - 1000 / RATE)
    with pytest.raises(InputError, match=r"at least 2 recordings, or one of 21.00 s; .* 20.00 s"):
        recordings.split(0.1, gap=20 * RATE)


def test_parts_of_a_prepared_recording_begin_with_whole_frames_of_features(tmp_path):
    samples, _ = write_segments(tmp_path / "r", "one.wav", [0.0], 3.0)
    settings = data.Preparation(str(tmp_path / "r"), features=("energy",), hop_length=150)
    data.prepare(settings, tmp_path / "p", workers=1)
    recordings = data.read_recordings(tmp_path / "p", RATE)
    whole = recordings.features[0][:]
    training, validation = recordings.split(0.1, gap=500)
    (start,) = {recordings.lengths[0] - validation.lengths[0]}
    assert start % 150 == 0
    assert 0 <= start - round(0.9 * 3 * RATE) < 150
    np.testing.assert_array_equal(validation.clip(0), samples[start:])
    np.testing.assert_array_equal(validation.features[0][:], whole[start // 150 :])
    frames = -(-training.lengths[0] // 150)
    np.testing.assert_array_equal(training.features[0][:], whole[:frames])
    assert len(training.sample_frames()) == frames


def test_overlapping_and_distant_segments_keep_the_gap():
    generator = np.random.default_rng(1)
    for _ in range(50):
        starts = np.sort(generator.integers(0, 100000, 30))
        lengths = generator.integers(800, 9000, 30)
        training, validation = split_by_time(starts, lengths, 0.2, gap=700, shortest=100)
        used = [part[:, 1] > part[:, 0] for part in (training, validation)]
        last_trained = (starts + training[:, 1])[used[0]].max()
        first_validated = (starts + validation[:, 0])[used[1]].min()
        assert first_validated - last_trained >= 700
        share = np.diff(validation).sum() / lengths.sum()
        assert 0.15 <= share <= 0.25
        assert (validation[used[1], 1] == lengths[used[1]]).all()


@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.5, 0.9])
def test_splits_by_recording_are_near_the_fraction_by_duration(fraction):
    for seed in range(20):
        generator = np.random.default_rng(seed)
        recordings = generator.random(200)
        of_clip = generator.integers(0, 200, 700)
        lengths = generator.exponential(10.0, 700)
        lengths[of_clip == 7] += 500.0  # an hour among minutes
        chosen = split_by_recording(recordings[of_clip], lengths, fraction)
        share = lengths[chosen].sum() / lengths.sum()
        assert abs(share - fraction) <= 0.25 * min(fraction, 1 - fraction)
        sides = [set(of_clip[side]) for side in (chosen, ~chosen)]
        assert not sides[0] & sides[1]


def test_few_recordings_are_split_as_near_as_they_can_be():
    for seed in range(100):
        generator = np.random.default_rng(seed)
        for number, validated in ((2, 1), (5, 1), (10, 1), (20, 2), (40, 4)):
            chosen = split_by_recording(generator.random(number), np.full(number, 3.0), 0.1)
            assert chosen.sum() == validated
    # The only long recording is trained on, whatever its hash.
    for position in range(3):
        hashes, lengths = np.array([0.01, 0.5, 0.9]), np.full(3, 2.0)
        lengths[position] = 100.0
        assert not split_by_recording(hashes, lengths, 0.1)[position]


def test_recordings_keep_their_side_when_others_are_added():
    """Of a large corpus every one, as the hashes alone decide; of a small one most."""
    for total, added, changes in ((20000, 5000, 0), (100, 10, 3)):
        hashes = np.random.default_rng(3).random(total + added)
        before = split_by_recording(hashes[:total], np.ones(total), 0.1)
        after = split_by_recording(hashes, np.ones(total + added), 0.1)
        assert (before != after[:total]).sum() <= changes


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan"), float("inf"), "0.1", None])
def test_fractions_out_of_range_are_errors(tmp_path, fraction):
    _, recordings = write_segments(tmp_path / "r", "one.wav", [0.0, 1.0], 1.0)
    with pytest.raises(InputError, match="validation_fraction must be between 0 and 1; received"):
        recordings.split(fraction)


def test_metadata_follow_the_clips(tmp_path):
    """Raw and prepared, through selections and splits; alignments by the stored audio."""
    (tmp_path / "r").mkdir()
    silence, noise = np.zeros(RATE), np.random.default_rng(0).uniform(-0.5, 0.5, RATE)
    clips = []
    for number in range(6):
        wt.write_audio(tmp_path / "r" / f"{number}.wav", np.concatenate([silence, noise]), RATE)
        alignment = {"words": [(1.0, 1.5, f"first {number}"), (1.5, 2.0, "second")]}
        clips.append(
            data.Clip(f"{number}.wav", text=f"é {number}", tags=("a",), alignment=alignment)
        )
    data.write_manifest(tmp_path / "r" / "manifest.jsonl", clips)
    data.prepare(data.Preparation(str(tmp_path / "r"), trim_db=60.0), tmp_path / "p", workers=1)
    raw, prepared = (data.read_recordings(tmp_path / name, RATE) for name in "rp")
    for recordings in (raw, prepared):
        for part in (recordings, recordings.select([4, 1]), *recordings.split(0.3)):
            assert len(part.texts) == len(part.tags) == len(part.alignments) == len(part.names)
            for index, name in enumerate(part.names):
                assert part.texts[index] == f"é {name[0]}"
                assert part.tags[index] == ("a",)
                (start, _, first), (_, end, _) = part.alignments[index]["words"]
                assert first == f"first {name[0]}"
                assert end == pytest.approx(part.lengths[index] / RATE, abs=1e-3)
                assert end - start == pytest.approx(1.0, abs=1e-3)
    # The preparation's manifest is that of the source, whose times are the source's.
    assert prepared.lengths[0] < raw.lengths[0]
    source = list(data.read_manifest(tmp_path / "p" / "source.jsonl"))
    assert source == clips


def test_any_fraction_works_on_a_prepared_corpus(tmp_path):
    (tmp_path / "r").mkdir()
    for number in range(30):
        wt.write_audio(tmp_path / "r" / f"{number}.wav", np.full(4000, 0.1), RATE)
    data.prepare(data.Preparation(str(tmp_path / "r")), tmp_path / "p", workers=1)
    raw, prepared = (data.read_recordings(tmp_path / name, RATE) for name in "rp")
    assert not prepared.has_split
    for fraction in (0.1, 0.5):
        sides = [part.split(fraction)[1].names for part in (raw, prepared)]
        assert list(sides[0]) == list(sides[1])
        assert len(sides[0]) == pytest.approx(30 * fraction, rel=0.2)


def test_a_run_is_scored_on_its_own_validation_split(tmp_path):
    """Of a single recording, too: the fraction and the gap are those of the run."""
    (tmp_path / "r").mkdir()
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 20 * RATE)
    wt.write_audio(tmp_path / "r" / "one.wav", samples, RATE)
    model, model_dir = small_model(), tmp_path / "run"
    model_dir.mkdir()
    settings = runs.Settings(data_dir=str(tmp_path / "r"), validation_fraction=0.05)
    (model_dir / "settings.json").write_text(settings.to_json())
    for fraction, seconds in ((None, 1.0), (0.2, 4.0)):
        part = runs.recordings_from_run(model_dir, model, tmp_path / "r", "validation", fraction)
        assert part.seconds == pytest.approx(seconds)
        assert part.names[0] == f"one.wav#{20 - seconds}-20.0"
    assert json.loads(settings.to_json())["validation_fraction"] == 0.05
