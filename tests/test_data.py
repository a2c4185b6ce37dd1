import dataclasses

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from conftest import small_model, tone

import wavenet_tf as wt
from wavenet_tf import audio, data
from wavenet_tf.errors import InputError

RATE = 8000


def write_ramps(folder, lengths):
    """Writes clips whose samples encode their index: sample t of clip c is 1 + t + 1000 c."""
    folder.mkdir(exist_ok=True)
    for clip, length in enumerate(lengths):
        samples = (1 + np.arange(length) + 1000 * clip).astype(np.int16)
        soundfile.write(folder / f"clip_{clip}.wav", samples, RATE, subtype="PCM_16")
    return data.read_recordings(folder, RATE)


class Identity:
    """Stands for a distribution: the value of a sample is its 16-bit number."""

    silence = 0

    @staticmethod
    def encode(waveform):
        return tf.cast(tf.round(waveform * 32768), tf.int32)


@pytest.fixture
def model():
    model = small_model()
    model.distribution = Identity()
    return model


def unpacked(dataset, batches):
    return [tuple(part.numpy() for part in batch) for batch in dataset.take(batches)]


@pytest.mark.slow
def test_crops_hold_context_then_scored_samples(tmp_path, model):
    recordings = write_ramps(tmp_path / "r", [300, 500])
    field, crop = model.receptive_field, 80
    starts = set()
    for inputs, targets, weights in unpacked(
        data.training_batches(recordings, model.crop_spec, 2, crop / RATE), 100
    ):
        assert inputs.shape == targets.shape == weights.shape == (2, field - 1 + crop)
        for values, shifted, weight in zip(inputs, targets, weights, strict=True):
            np.testing.assert_array_equal(values[1:], shifted[:-1])  # one sample later
            np.testing.assert_array_equal(weight, [0] * (field - 1) + [1] * crop)
            scored = shifted[field - 1 :]
            np.testing.assert_array_equal(np.diff(scored), 1)
            clip, start = divmod(scored[0] - 1, 1000)
            starts.add((clip, start))
            assert start + crop <= [300, 500][clip]
            # The context is the clip's past samples, and digital silence before the first one.
            times = np.arange(start - field, start)
            expected = np.where(times >= 0, 1 + times + 1000 * clip, 0)
            np.testing.assert_array_equal(values[:field], expected)
    assert {(0, 0), (1, 0)} <= starts  # generation starts there
    assert len(starts) > 50


def test_an_epoch_takes_every_clip_by_its_length(tmp_path, model):
    recordings = write_ramps(tmp_path / "r", [160, 480, 800])
    batches = unpacked(data.training_batches(recordings, model.crop_spec, 3, 160 / RATE), 6)
    firsts = [batch[1][:, model.receptive_field - 1] - 1 for batch in batches]
    for epoch in (firsts[:3], firsts[3:]):
        clips, counts = np.unique(np.concatenate(epoch) // 1000, return_counts=True)
        assert clips.tolist() == [0, 1, 2]
        assert counts.tolist() == [1, 3, 5]
    assert (np.concatenate(firsts[:3]) != np.concatenate(firsts[3:])).any()  # in another order


def test_short_clips_are_padded_with_weight_zero(tmp_path, model):
    recordings = write_ramps(tmp_path / "r", [200])
    for dataset in (
        data.training_batches(recordings, model.crop_spec, 1, 500 / RATE),
        data.evaluation_batches(recordings, model.crop_spec, 1, 500 / RATE),
    ):
        _, targets, weights = unpacked(dataset, 1)[0]
        context = model.receptive_field - 1
        assert weights[0].tolist() == [0] * context + [1] * 200 + [0] * 300
        assert targets[0, context : context + 200].tolist() == list(range(1, 201))
        assert (targets[0, context + 200 :] == 0).all()


@pytest.mark.slow
def test_batches_depend_on_the_seed_and_resume_in_the_middle(tmp_path, model):
    recordings = write_ramps(tmp_path / "r", [300, 500, 700])

    def batches(seed, first_batch=0, number=8):
        dataset = data.training_batches(
            recordings, model.crop_spec, 2, 50 / RATE, seed, first_batch
        )
        return [inputs for inputs, _, _ in unpacked(dataset, number)]

    np.testing.assert_array_equal(batches(1), batches(1))
    assert (np.array(batches(1)) != np.array(batches(2))).any()
    np.testing.assert_array_equal(batches(1, first_batch=5, number=3), batches(1)[5:])


@pytest.mark.parametrize("crop", [50, 64, 1000])
def test_evaluation_scores_every_sample_once(tmp_path, model, crop):
    lengths = [170, 333, 512]
    recordings = write_ramps(tmp_path / "r", lengths)
    batches = unpacked(data.evaluation_batches(recordings, model.crop_spec, 2, crop / RATE), 1000)
    scored = np.concatenate([targets[weights > 0] for _, targets, weights in batches])
    expected = [1 + np.arange(n) + 1000 * clip for clip, n in enumerate(lengths)]
    np.testing.assert_array_equal(scored, np.concatenate(expected))


def test_split_is_by_file_stable_and_never_empty(tmp_path):
    recordings = write_ramps(tmp_path / "r", [200] * 40)
    train, held_out = recordings.split(0.25)
    assert sorted([*train.names, *held_out.names]) == recordings.names
    assert 8 <= len(held_out.names) <= 12
    for part in (train, held_out):
        for index, name in enumerate(part.names):
            original = recordings.clip(recordings.names.index(name))
            np.testing.assert_array_equal(part.clip(index), original)
    fewer = recordings.select([i for i in range(40) if i % 3])
    held_out_of_fewer = set(fewer.split(0.25)[1].names)
    assert len(held_out_of_fewer) in (6, 7)
    assert held_out_of_fewer < set(held_out.names)  # none changes sides but to keep the fraction
    for fraction in (1e-9, 1 - 1e-9):
        assert all(len(part.names) >= 1 for part in recordings.split(fraction))
    with pytest.raises(InputError, match="at least 2 recordings"):
        recordings.select([0]).split(0.1)
    with pytest.raises(InputError, match=r"between 0 and 1; received 1.5"):
        recordings.split(1.5)


def test_reads_folders_in_folders_at_one_rate(tmp_path):
    wt.write_audio(tmp_path / "a" / "x.wav", tone(0.5, 16000), 16000)
    wt.write_audio(tmp_path / "a" / "b" / "y.FLAC", tone(0.25, 8000), 8000)
    (tmp_path / "notes.txt").write_text("not audio, not looked at")
    recordings = data.read_recordings(tmp_path, RATE)
    assert recordings.names == ["a/x.wav", "a/b/y.FLAC"]
    assert recordings.lengths.tolist() == [4000, 2000]
    assert recordings.skipped == {}
    middle = recordings.clip(0)[1000:3000] / 32768
    np.testing.assert_allclose(middle, tone(0.5, 8000)[1000:3000], atol=2e-3)


def test_files_that_cannot_be_used_are_skipped_and_named(tmp_path):
    wt.write_audio(tmp_path / "good.wav", tone(), RATE)
    wt.write_audio(tmp_path / "silent.wav", np.zeros(4000), RATE)  # silence is audio
    whole = tmp_path / "whole.flac"
    wt.write_audio(whole, np.random.default_rng(0).uniform(-1, 1, 40000), RATE)
    (tmp_path / "truncated.flac").write_bytes(whole.read_bytes()[:20000])
    whole.unlink()
    (tmp_path / "header.wav").write_bytes((tmp_path / "good.wav").read_bytes()[:30])
    (tmp_path / "text.wav").write_text("hello")
    (tmp_path / "nothing.wav").write_bytes(b"")
    wt.write_audio(tmp_path / "one_sample.wav", np.zeros(1), RATE)
    nan = np.where(np.arange(4000) == 7, np.nan, 0.0).astype(np.float32)
    soundfile.write(tmp_path / "nan.wav", nan, RATE, subtype="FLOAT")
    recordings = data.read_recordings(tmp_path, RATE)
    assert recordings.names == ["good.wav", "silent.wav"]
    assert set(recordings.skipped) == {
        "header.wav",
        "nan.wav",
        "nothing.wav",
        "one_sample.wav",
        "text.wav",
        "truncated.flac",
    }
    assert "2 recordings, 1.0 s at 8000 Hz; skipped 6 files (header.wav:" in recordings.summary
    assert ", ...); problems in 1 clips (silent.wav: is silent" in recordings.summary
    assert "too short (1 samples)" in recordings.skipped["one_sample.wav"]


def test_nothing_to_use_is_an_error_that_says_what_was_looked_for(tmp_path):
    with pytest.raises(InputError, match=r"no folder of recordings at .*nowhere"):
        data.read_recordings(tmp_path / "nowhere", RATE)
    with pytest.raises(
        InputError, match=r"no usable recording in .*looked for .wav, .* files in it and below"
    ):
        data.read_recordings(tmp_path, RATE)
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(InputError, match=r"found 1 files, none of them usable; text.wav: "):
        data.read_recordings(tmp_path, RATE)


@pytest.mark.slow
def test_audio_datasets_feed_fit(recordings_dir, capsys):
    model = small_model()
    model.compile("adam")
    train, validation = wt.audio_datasets(recordings_dir, model, batch_size=2, crop_seconds=0.1)
    assert "8 recordings, 4.0 s at 8000 Hz" in capsys.readouterr().out
    history = model.fit(train, steps_per_epoch=3, validation_data=validation, verbose=0).history
    assert np.isfinite(history["val_bits_per_sample"]).all()
    with pytest.raises(InputError, match=r"crop_seconds must .* received 0.0"):
        wt.audio_datasets(recordings_dir, model, crop_seconds=0.0)


def write_speakers(folder):
    """Writes two clips of ana and one of ben; the samples of each clip have one value."""
    for clip, name in enumerate(["ana/one.wav", "ana/two.wav", "ben/three.wav"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        samples = np.full(500, 1 + 1000 * clip, np.int16)
        soundfile.write(folder / name, samples, RATE, subtype="PCM_16")
    return data.read_recordings(folder, RATE)


@pytest.mark.parametrize(
    ("rule", "names", "ids"),
    [
        ("folder", ["ana", "ben"], [0, 0, 1]),
        ("^(...)/", ["ana", "ben"], [0, 0, 1]),
        ("one|two|three", ["one", "three", "two"], [0, 2, 1]),
    ],
)
def test_speakers_by_folder_and_regular_expression(tmp_path, rule, names, ids):
    recordings = write_speakers(tmp_path).with_speakers(rule)
    assert recordings.names == ["ana/one.wav", "ana/two.wav", "ben/three.wav"]
    assert recordings.speaker_names == names
    assert recordings.speaker_ids.tolist() == ids
    assert recordings.select([2, 0]).speaker_ids.tolist() == [ids[2], ids[0]]


def test_known_speakers_keep_their_ids(tmp_path):
    recordings = write_speakers(tmp_path).with_speakers("folder", ["zoe", "ben", "ana"])
    assert recordings.speaker_ids.tolist() == [2, 2, 1]


@pytest.mark.parametrize(
    ("rule", "known", "message"),
    [
        ("(", None, r"speakers must be 'folder', 'table.csv:column' or a regular .* received '\('"),
        ("t(.*)", None, "ana/one.wav has no speaker"),
        ("folder", ["ana"], "ben/three.wav is of speaker 'ben'; known are ana"),
    ],
)
def test_clips_without_a_known_speaker_are_named(tmp_path, rule, known, message):
    with pytest.raises(InputError, match=message):
        write_speakers(tmp_path).with_speakers(rule, known)


def test_batches_carry_the_speaker_of_their_clip(tmp_path):
    model = small_model(num_speakers=2)
    model.distribution = Identity()
    recordings = write_speakers(tmp_path).with_speakers("folder")
    training = data.training_batches(recordings, model.crop_spec, 2, 0.02).take(20)
    seen = set()
    for batches in (training, data.evaluation_batches(recordings, model.crop_spec, 2, 0.02)):
        for inputs, targets, weights in batches:
            clips = tf.reduce_max(tf.cast(targets, tf.float32) * weights, axis=1).numpy() // 1000
            np.testing.assert_array_equal(inputs["speaker_id"], clips == 2)
            seen.update(clips)
    assert seen == {0, 1, 2}


def test_speakers_and_model_have_to_agree(tmp_path):
    recordings = write_speakers(tmp_path)
    with pytest.raises(InputError, match=r"conditioned on 2 speakers; the recordings .* with none"):
        data.evaluation_batches(recordings, small_model(num_speakers=2).crop_spec, 2, 0.02)
    # A model without speakers ignores the speakers of recordings.
    labelled = recordings.with_speakers("folder")
    for inputs, _, _ in data.evaluation_batches(labelled, small_model().crop_spec, 2, 0.02):
        assert inputs.dtype == tf.int32
    with pytest.raises(InputError, match="no global_conditioning"):
        data.evaluation_batches(recordings, small_model(global_channels=2).crop_spec, 2, 0.02)


@pytest.mark.parametrize("causal", [False, True])
def test_crops_of_a_conditioned_model_hold_the_frames_of_their_targets(tmp_path, causal):
    """Frames encode clip and frame number, samples encode clip and sample index."""
    hop = 10
    model = small_model(local_channels=1, upsample_factors=(2, 5), causal_upsampling=causal)
    model.distribution = Identity()
    recordings = write_ramps(tmp_path / "r", [303, 500])
    frames = [np.arange(31.0), 100.0 + np.arange(50.0)]
    frames = [clip[:, None].astype(np.float32) for clip in frames]
    recordings = dataclasses.replace(recordings, features=frames, hop_length=hop)
    training = data.training_batches(recordings, model.crop_spec, 2, 75 / RATE).take(40)
    starts, ends, all_scored, longest = set(), set(), [], 0
    for kind, batches in (
        ("training", training),
        ("evaluation", data.evaluation_batches(recordings, model.crop_spec, 2, 75 / RATE)),
    ):
        for inputs, targets, weights in batches:
            assert targets.shape[1] == inputs["local_conditioning"].shape[1] * hop
            np.testing.assert_array_equal(inputs["audio"][:, 1:], targets[:, :-1])
            for values, features, weight in zip(
                targets.numpy(), inputs["local_conditioning"].numpy(), weights.numpy(), strict=True
            ):
                scored = np.flatnonzero(weight)
                clip, index = np.divmod(values[scored] - 1, 1000)
                expected = 100 * clip + index // hop  # the frame of the sample that is predicted
                np.testing.assert_array_equal(np.repeat(features, hop)[scored], expected)
                # The crop holds all inputs of the scored samples: receptive field, frames around.
                assert scored[0] >= model.receptive_field - 1 + hop
                assert len(weight) - 1 - scored[-1] >= model.trunk.upsampler.look_ahead
                assert len(scored) <= 80
                longest = max(longest, len(scored))
                starts.add(index[0])
                ends.add((clip[0], index[-1]))
                if kind == "evaluation":
                    all_scored.extend(1000 * clip + index)
        if kind == "training":  # to the last sample, which is in no whole frame
            assert {(0, 302), (1, 499)} <= ends
    assert all_scored == [*range(303), *range(1000, 1500)]
    assert longest == 80  # 75 samples, rounded up to whole frames
    assert len(starts) > 20
    assert all(start % hop == 0 for start in starts)


def test_recordings_carry_features_of_each_clip(tmp_path):
    write_ramps(tmp_path, [300, 520])
    recordings = data.read_recordings(tmp_path, RATE).with_features(["mel", "energy"], 100)
    assert [clip.shape for clip in recordings.features] == [(3, 81), (6, 81)]
    expected = audio.extract_features(recordings.waveform(1), RATE, 100, ["mel", "energy"])
    np.testing.assert_array_equal(recordings.select([1, 0]).features[0], expected)
    assert recordings.waveform(1)[3] == (1 + 3 + 1000) / 32768


def test_features_and_model_have_to_agree(tmp_path):
    recordings = write_ramps(tmp_path, [300, 520])
    model = small_model(local_channels=3, upsample_factors=(100,))
    with pytest.raises(InputError, match=r"on 3 local channels; the recordings .* of none"):
        data.evaluation_batches(recordings, model.crop_spec, 2, 0.02)
    recordings = recordings.with_features(["energy"], 100)
    with pytest.raises(InputError, match=r"on 3 local channels; the recordings .* of 1"):
        data.evaluation_batches(recordings, model.crop_spec, 2, 0.02)
    # A model without local conditioning ignores the features of recordings.
    for inputs, _, _ in data.evaluation_batches(recordings, small_model().crop_spec, 2, 0.02):
        assert inputs.dtype == tf.int32


@pytest.mark.slow
def test_audio_datasets_extract_and_normalize_features(recordings_dir):
    model = small_model(local_channels=80, upsample_factors=(10, 10), features=["mel"])
    model.trunk.upsampler.mean.assign(np.zeros(80))
    model.trunk.upsampler.scale.assign(np.ones(80))
    model.compile("adam")
    train, validation = wt.audio_datasets(recordings_dir, model, batch_size=2, crop_seconds=0.1)
    training, _ = data.read_recordings(recordings_dir, RATE).split(0.1)
    frames = np.concatenate(training.with_features(["mel"], 100).features)
    np.testing.assert_allclose(model.trunk.upsampler.mean, frames.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(1 / model.trunk.upsampler.scale, frames.std(axis=0), rtol=1e-3)
    # Another folder leaves the statistics of a model that has some.
    wt.audio_datasets(recordings_dir, model, validation_fraction=0.8)
    np.testing.assert_allclose(model.trunk.upsampler.mean, frames.mean(axis=0), rtol=1e-4)
    history = model.fit(train, steps_per_epoch=2, validation_data=validation, verbose=0).history
    assert np.isfinite(history["val_bits_per_sample"]).all()


def test_speakers_by_the_column_of_a_table(tmp_path):
    recordings = write_speakers(tmp_path)
    table = "path,who,age\nben/three.wav,Ben,7\nana/one.wav,Ana,8\nana/two.wav,Ana,\n"
    (tmp_path / "table.csv").write_text(table, encoding="utf-8-sig")
    labelled = recordings.with_speakers("table.csv:who")
    assert labelled.speaker_names == ["Ana", "Ben"]
    assert labelled.speaker_ids.tolist() == [0, 0, 1]
    for rule, message in (
        ("table.csv:age", "ana/two.wav has no speaker: 'table.csv:age' finds none for it"),
        ("table.csv:name", "table.csv has no column 'name': it has path, who, age"),
        ("none.csv:who", "cannot read .*none.csv as a table of speakers"),
    ):
        with pytest.raises(InputError, match=message):
            recordings.with_speakers(rule)


def test_crops_of_a_model_with_context_stacks_hold_their_context(tmp_path):
    model = small_model(context_stacks=[{"pooling": 16, "layers_per_stack": 3}])
    model.distribution = Identity()
    recordings = write_ramps(tmp_path / "r", [700])
    context = model.receptive_field - model.config.trunk_receptive_field
    assert context > 100
    for inputs, targets, weights in data.training_batches(
        recordings, model.crop_spec, 2, 0.01
    ).take(20):
        audio_in = np.concatenate([inputs["context_audio"], inputs["audio"]], axis=1)
        assert inputs["context_audio"].shape[1] == context
        assert weights.shape == inputs["audio"].shape
        np.testing.assert_array_equal(inputs["audio"][:, 1:], targets[:, :-1])
        for row, target in zip(audio_in, targets.numpy(), strict=True):
            expected = target[-1] - np.arange(len(row), 0, -1)
            np.testing.assert_array_equal(row, np.maximum(expected, 0))


def test_crops_for_16_bit_models_have_drifts_that_the_targets_decrease(tmp_path):
    model = small_model(output_distribution="logistic_mixture")
    wt.write_audio(tmp_path / "r" / "silence.wav", np.zeros(RATE, np.float32), RATE)
    recordings = data.read_recordings(tmp_path / "r", RATE)
    batches = unpacked(data.training_batches(recordings, model.crop_spec, 4, 0.2), 20)
    audio_in, targets = (np.concatenate(parts) for parts in list(zip(*batches, strict=True))[:2])
    step = 2.0**-15
    # Each target is the sample's input with the drift reduced by 2%.
    np.testing.assert_allclose(targets[:, :-1], 0.98 * audio_in[:, 1:], atol=step)
    drifting = np.abs(audio_in).max(axis=1) > step
    assert 0.3 < drifting.mean() < 0.7
    assert 0.1 < np.abs(audio_in).max() <= 0.2
    # Nothing above 60 Hz, but for the rounding to 16 bits.
    levels = np.abs(np.fft.rfft(audio_in * np.hanning(audio_in.shape[1]), axis=1))
    frequencies = np.fft.rfftfreq(audio_in.shape[1], 1 / RATE)
    assert levels[:, frequencies > 90].max() < 1e-3 * levels.max()
    # There is no drift in evaluation, nor for the categorical distribution.
    for _inputs, expected, _ in unpacked(
        data.evaluation_batches(recordings, model.crop_spec, 4, 0.2), 1
    ):
        assert not expected.any()
    categorical = small_model()
    for inputs, _, _ in unpacked(
        data.training_batches(recordings, categorical.crop_spec, 4, 0.2), 5
    ):
        assert (inputs == categorical.distribution.silence).all()


def labelled_ramps(folder):
    """Writes long clips of ana, a short one of ben and a shorter one of eve."""
    recordings = write_ramps(folder, [900, 200, 900, 160])
    ids = np.array([0, 1, 0, 2], np.int32)
    return dataclasses.replace(recordings, speaker_names=["ana", "ben", "eve"], speaker_ids=ids)


@pytest.mark.slow
def test_balanced_speakers_have_equally_many_crops(tmp_path):
    model = small_model(num_speakers=3)
    model.distribution = Identity()
    recordings = labelled_ramps(tmp_path / "r")
    counts = {}
    for balanced in (False, True):
        batches = data.training_batches(
            recordings, model.crop_spec, 10, 50 / RATE, seed=1, balance_speakers=balanced
        )
        speakers, firsts = [], []
        for inputs, targets, weights in batches.take(60):
            clips = (tf.reduce_max(targets * tf.cast(weights, tf.int32), axis=1) - 1) // 1000
            np.testing.assert_array_equal(inputs["speaker_id"], np.array([0, 1, 0, 2])[clips])
            speakers.extend(inputs["speaker_id"].numpy())
            firsts.extend(targets[:, model.receptive_field - 1].numpy())
        counts[balanced] = np.bincount(speakers, minlength=3)
        assert len(set(firsts)) > 100  # all over the clips
    # Crops of 50 samples: 36 of ana, 4 of ben and 4 of eve.
    np.testing.assert_allclose(counts[False] / 600, np.array([36, 4, 4]) / 44, atol=0.02)
    # Three standard deviations of 600 draws of a third.
    np.testing.assert_allclose(counts[True], 200, atol=3 * (600 * 2 / 9) ** 0.5)
    unlabelled = write_ramps(tmp_path / "u", [500])
    with pytest.raises(InputError, match="balance_speakers needs recordings with speakers"):
        data.training_batches(unlabelled, small_model().crop_spec, 2, 0.01, balance_speakers=True)


@pytest.mark.parametrize("balanced", [False, True])
def test_shares_of_workers_are_together_the_batches_of_one(tmp_path, balanced):
    model = small_model(num_speakers=3)
    recordings = labelled_ramps(tmp_path / "r")

    def batches(**sharding):
        dataset = data.training_batches(
            recordings, model.crop_spec, 6, 50 / RATE, 5, 2, balance_speakers=balanced, **sharding
        )
        return list(dataset.take(7))

    alone = batches()
    shares = [batches(worker=worker, num_workers=3) for worker in range(3)]
    for whole, *parts in zip(alone, *shares, strict=True):
        joined = tf.nest.map_structure(lambda *values: tf.concat(values, axis=0), *parts)
        tf.nest.map_structure(np.testing.assert_array_equal, joined, whole)
    for wrong in ({"num_workers": 4}, {"worker": 3, "num_workers": 3}, {"worker": -1}):
        with pytest.raises(InputError, match="batch_size must be a multiple of num_workers"):
            batches(**wrong)


@pytest.mark.parametrize("prepared", [False, True])
def test_an_iterator_is_saved_and_restored_in_the_middle_of_an_epoch(tmp_path, prepared):
    recordings = write_ramps(tmp_path / "r", [900, 500])
    if prepared:
        preparation = data.Preparation(str(tmp_path / "r"), sample_rate=RATE)
        data.prepare(preparation, tmp_path / "p", workers=1)
        recordings = data.read_recordings(tmp_path / "p", RATE)
    dataset = data.training_batches(recordings, small_model().crop_spec, 2, 50 / RATE, seed=4)
    iterator = iter(dataset)
    for _ in range(5):
        next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "saved"))
    expected = [next(iterator) for _ in range(4)]
    other = iter(dataset)
    tf.train.Checkpoint(iterator=other).restore(path)
    for batch in expected:
        tf.nest.map_structure(np.testing.assert_array_equal, next(other), batch)
