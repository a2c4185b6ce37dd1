"""Condition sources: what each gives for a clip or a crop, and recordings that lack something."""

import dataclasses
import re
import warnings

import numpy as np
import pytest
import tensorflow as tf
from conftest import small_model

import wavenet_tf as wt
from wavenet_tf import data
from wavenet_tf.data.conditions import MissingSource
from wavenet_tf.data.crops import Cropper
from wavenet_tf.errors import InputError

RATE, HOP = 8000, 100
TAGS = {
    "0.wav": ("slow", "piano"),
    "1.wav": (),
    "2.wav": ("fast", "odd"),
    "3.wav": ("piano", "new"),
}


def level(number):
    """The constant value of a clip: crops are assigned to clips by it."""
    return 0.1 + 0.1 * number


def write_clips(folder, seconds=0.5, **metadata):
    """Four recordings of constant values, and a manifest."""
    clips = []
    for number, name in enumerate(TAGS):
        waveform = np.full(round(seconds * RATE), level(number), np.float32)
        wt.write_audio(folder / name, waveform, RATE)
        values = {key: of_clip(number, name) for key, of_clip in metadata.items()}
        clips.append(data.Clip(name, **values))
    data.write_manifest(folder / "manifest.jsonl", clips)
    return folder


def clips_of_batch(targets, weights):
    """The clip that each crop of a batch is of."""
    scored = np.argmax(weights, axis=1)
    values = wt.mu_law_decode(np.take_along_axis(targets.numpy(), scored[:, None], axis=1))
    return np.round((values.numpy()[:, 0] - level(0)) / 0.1).astype(int)


@pytest.fixture
def tagged(tmp_path):
    return write_clips(tmp_path / "tagged", tags=lambda number, name: TAGS[name])


@pytest.mark.parametrize("prepared", [False, True])
def test_tags_become_multi_hot_vectors(tagged, tmp_path, prepared):
    names = ["piano", "fast", "slow"]
    vectors = [[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 0, 0]]
    if prepared:
        data.prepare(data.Preparation(str(tagged), sample_rate=RATE), tmp_path / "p", workers=1)
    recordings = data.read_recordings(tmp_path / "p" if prepared else tagged, RATE)
    assert recordings.tag_names == ["fast", "new", "odd", "piano", "slow"]
    assert recordings.select([1]).tag_names == recordings.tag_names
    spec = small_model(global_channels=3).crop_spec.with_sources(data.TagSource(names))
    seen = set()
    for make in (data.training_batches, data.evaluation_batches):
        with pytest.warns(UserWarning) as caught:
            batches = make(recordings, spec, 4, 0.1)
        messages = [str(entry.message) for entry in caught if entry.category is UserWarning]
        assert messages == ["the model has no input for the tags new, odd: they are ignored"]
        for inputs, targets, weights in batches.take(10):
            clips = clips_of_batch(targets, weights)
            assert inputs["global_conditioning"].dtype == tf.float32
            np.testing.assert_array_equal(
                inputs["global_conditioning"], np.array(vectors, np.float32)[clips]
            )
            seen.update(clips)
    assert seen == {0, 1, 2, 3}


@pytest.mark.slow
def test_a_model_trains_on_tags(tagged):
    model = small_model(global_channels=5)
    model.compile("adam")
    source = data.TagSource(data.read_recordings(tagged, RATE).tag_names)
    training, validation = wt.audio_datasets(
        tagged, model, batch_size=2, crop_seconds=0.1, sources=[source]
    )
    history = model.fit(training, steps_per_epoch=2, validation_data=validation, verbose=0).history
    assert np.isfinite(history["val_bits_per_sample"]).all()


def test_tags_and_model_have_to_agree(tagged, tmp_path):
    recordings = data.read_recordings(tagged, RATE)
    model = small_model(global_channels=2)
    with pytest.raises(
        InputError, match="recordings have no global_conditioning: give a condition"
    ):
        data.training_batches(recordings, model.crop_spec, 2, 0.1)
    with pytest.raises(InputError, match=r"must have shape \[2\]; its source has shape \[1\]"):
        model.crop_spec.with_sources(data.TagSource(["slow"]))
    spec = model.crop_spec.with_sources(data.TagSource(["loud", "quiet"]))
    with pytest.raises(
        InputError, match=r"on the tags loud, quiet; the recordings have fast, new, odd, \.\.\."
    ):
        data.training_batches(recordings, spec, 2, 0.1)
    with pytest.raises(InputError, match="the recordings have none"):
        untagged = data.read_recordings(write_clips(tmp_path / "untagged"), RATE)
        data.training_batches(untagged, spec, 2, 0.1)
    for names in ([], ["slow", "slow"]):
        with pytest.raises(InputError, match="tag_names must be different tags"):
            data.TagSource(names)


def test_a_clip_whose_tags_cannot_be_read_is_left_out(tagged, tmp_path):
    data.prepare(
        data.Preparation(str(tagged), sample_rate=RATE, shards=2), tmp_path / "p", workers=1
    )
    path = tmp_path / "p" / "shards" / "shard-00000.tfrecord"
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 4] ^= 1  # in the first clip
    path.write_bytes(contents)
    recordings = data.read_recordings(tmp_path / "p", RATE)
    source = data.TagSource(recordings.tag_names)
    spec = small_model(global_channels=5).crop_spec.with_sources(source)
    with pytest.warns(UserWarning, match="left out: .*shard-00000.tfrecord is corrupted"):
        batches = list(data.training_batches(recordings, spec, 4, 0.1).take(10))
    clips = np.concatenate([clips_of_batch(*batch[1:]) for batch in batches])
    assert set(clips) == {1, 2, 3}


def write_frames(folder, channels=2, extra=0):
    """Frames for `write_clips`: number of the clip, number of the frame."""
    for number, name in enumerate(TAGS):
        frames = np.stack([np.full(40 + extra, number), np.arange(40 + extra)], axis=1)
        path = (folder / name).with_suffix(".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, frames[:, :channels])


def frames_model(**overrides):
    return small_model(local_channels=2, upsample_factors=(10, 10), **overrides)


@pytest.mark.parametrize("folder", [None, "frames", "flat"])
def test_frames_are_read_from_files_beside_the_recordings(tmp_path, folder):
    recordings_folder = tmp_path / "r"
    write_clips(recordings_folder / "below" if folder else recordings_folder)
    if folder:  # two ways to name the same file
        (recordings_folder / "below" / "manifest.jsonl").unlink()
    frames_folder = {None: "r", "frames": "frames/below", "flat": "flat"}[folder]
    write_frames(tmp_path / frames_folder, extra=1)
    recordings = data.read_recordings(recordings_folder, RATE)
    source = data.FrameFileSource(2, HOP, folder and tmp_path / folder)
    model = frames_model()
    spec = model.crop_spec.with_sources(source)
    for make in (data.training_batches, data.evaluation_batches):
        for inputs, targets, weights in make(recordings, spec, 4, 0.1).take(10):
            frames = inputs["local_conditioning"].numpy()
            clips = clips_of_batch(targets, weights)
            # A frame of context and one for the upsampler, 8 of the crop, one for the upsampler.
            assert frames.shape == (len(clips), 11, 2)
            assert targets.shape[1] == 11 * HOP
            np.testing.assert_array_equal(frames[:, :, 0], np.repeat(clips[:, None], 11, axis=1))
            expected = np.clip(frames[:, 2:3, 1] + np.arange(-2, 9), 0, 39)
            np.testing.assert_array_equal(frames[:, :, 1], expected)
    assert source.sample_frames(recordings).shape == (160, 2)


def test_edge_frames_repeat():
    class Ten(data.FrameSource):
        name, shape, hop_length = "ten", (1,), HOP

        def check(self, recordings):
            pass

        def clip_value(self, recordings, index):
            return np.arange(10)[:, None]

    def frames(first, number):
        return Ten().crop_value(None, 0, first, number)[:, 0].tolist()

    assert frames(-2, 4) == [0, 0, 0, 1]
    assert frames(7, 5) == [7, 8, 9, 9, 9]
    assert frames(-1, 12) == [0, *range(10), 9]
    assert frames(-5, 2) == [0, 0]
    assert frames(20, 2) == [9, 9]


@pytest.mark.slow
def test_a_model_adapts_to_frames_of_files_and_trains_on_them(tmp_path):
    write_clips(tmp_path)
    write_frames(tmp_path)
    model = frames_model()
    model.trunk.upsampler.mean.assign(np.zeros(2))
    model.trunk.upsampler.scale.assign(np.ones(2))
    model.compile("adam")
    training, validation = wt.audio_datasets(
        tmp_path, model, batch_size=2, crop_seconds=0.1, sources=[data.FrameFileSource(2, HOP)]
    )
    assert model.trunk.upsampler.mean.numpy()[1] == pytest.approx(np.arange(40).mean())
    history = model.fit(training, steps_per_epoch=2, validation_data=validation, verbose=0).history
    assert np.isfinite(history["val_bits_per_sample"]).all()


def test_frames_of_segments_start_at_the_nearest_frame(tmp_path):
    wt.write_audio(tmp_path / "a.wav", np.full(8000, 0.1), RATE)
    np.save(tmp_path / "a.npy", np.arange(80)[:, None])
    clips = [
        data.Clip("a.wav", start=start, end=end)
        for start, end in ((0.0, 0.1), (0.25, 0.5), (0.303, 0.4), (0.307, 0.401), (0.957, 1.0))
    ]
    data.write_manifest(tmp_path / "manifest.jsonl", clips)
    recordings = data.read_recordings(tmp_path, RATE)
    source = data.FrameFileSource(1, HOP)
    source.check(recordings)
    spans = [source.clip_value(recordings, index)[[0, -1], 0].tolist() for index in range(5)]
    assert spans == [[0, 7], [20, 39], [24, 31], [25, 32], [77, 79]]
    # A single recording is divided in time, which gives segments too.
    (tmp_path / "manifest.jsonl").unlink()
    _, validation = data.read_recordings(tmp_path, RATE).split(0.25)
    frames = source.clip_value(validation, 0)
    assert frames[[0, -1], 0].tolist() == [60, 79]


def replace_frames(frames):
    return lambda path: np.save(path, frames)


def replace_by_archive(path):
    np.savez(path.with_suffix(".npz"), a=1)
    path.with_suffix(".npz").rename(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), r"cannot read .*2\.npy, the frames of 2\.wav: .*No such file"),
        (lambda path: path.write_bytes(b""), r"cannot read .*2\.npy, the frames of 2\.wav"),
        (lambda path: path.write_bytes(b"text"), r"cannot read .*2\.npy, the frames of 2\.wav"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), r"cannot read .*2\.npy"),
        (replace_by_archive, r"2\.npy must hold an array .* an archive"),
        (replace_frames(np.zeros([40, 3])), r"2\.npy must hold .* \[frames, 2\]; .*\[40, 3\]"),
        (replace_frames(np.zeros(40)), r"2\.npy must hold .* \[frames, 2\]; received .*\[40\]"),
        (replace_frames(np.zeros([40, 2], "U1")), r"2\.npy must hold an array of numbers"),
        (replace_frames(np.zeros([39, 2])), r"2\.npy must hold 40 frames, one for .*received 39"),
        (replace_frames(np.zeros([80, 2])), r"2\.npy must hold 40 frames.*4000 .*received 80"),
    ],
)
def test_frame_files_that_cannot_be_used_are_named(tmp_path, damage, message):
    write_clips(tmp_path)
    write_frames(tmp_path)
    damage(tmp_path / "2.npy")
    spec = frames_model().crop_spec.with_sources(data.FrameFileSource(2, HOP))
    recordings = data.read_recordings(tmp_path, RATE)
    with pytest.raises(InputError, match=message):
        data.training_batches(recordings, spec, 2, 0.1)


def test_a_frame_file_belongs_to_one_recording(tmp_path):
    for speaker in "ab":
        wt.write_audio(tmp_path / "r" / speaker / "1.wav", np.full(4000, 0.1), RATE)
    (tmp_path / "f").mkdir()
    np.save(tmp_path / "f" / "1.npy", np.zeros([40, 2]))
    recordings = data.read_recordings(tmp_path / "r", RATE)
    with pytest.raises(
        InputError, match=r"1\.npy must hold the frames of one .*a/1.wav and of b/1"
    ):
        data.FrameFileSource(2, HOP, tmp_path / "f").check(recordings)


def test_crops_whose_frames_disappear_are_replaced(tmp_path):
    write_clips(tmp_path)
    write_frames(tmp_path)
    recordings = data.read_recordings(tmp_path, RATE)
    spec = frames_model().crop_spec.with_sources(data.FrameFileSource(2, HOP))
    batches = data.training_batches(recordings, spec, 4, 0.1)
    (tmp_path / "1.npy").unlink()
    with pytest.warns(UserWarning, match=r"left out: cannot read .*1\.npy"):
        read = list(batches.take(10))
    assert 1 not in np.concatenate([clips_of_batch(*batch[1:]) for batch in read])
    assert list(recordings.unreadable) == ["1.wav"]


class DurationSource(data.ConditionSource):
    """A toy source of a value per clip, written as a user would write one."""

    name, shape, dtype = "global_conditioning", (1,), np.float32

    def check(self, recordings):
        too_long = np.flatnonzero(recordings.lengths > 10 * recordings.sample_rate)
        if len(too_long):
            raise InputError(f"{recordings.names[too_long[0]]} must last at most 10 s")

    def clip_value(self, recordings, index):
        return [recordings.lengths[index] / recordings.sample_rate]


@dataclasses.dataclass(frozen=True)
class PhoneSource(data.FrameSource):
    """A toy source of frames: the aligned phone of each frame, one-hot."""

    phones: tuple[str, ...]
    hop_length: int = HOP
    name: str = "local_conditioning"

    @property
    def shape(self):
        return (len(self.phones),)

    def check(self, recordings):
        for name, alignment in zip(recordings.names, recordings.alignments, strict=True):
            if "phones" not in alignment:
                raise InputError(f"{name} has no aligned phones")

    def clip_value(self, recordings, index):
        frames = np.zeros([-(-recordings.lengths[index] // self.hop_length), len(self.phones)])
        for start, end, phone in recordings.alignments[index]["phones"]:
            first, last = (
                round(t * recordings.sample_rate / self.hop_length) for t in (start, end)
            )
            frames[first:last, self.phones.index(phone)] = 1.0
        return frames


@pytest.mark.slow
def test_a_toy_source_conditions_a_model(tmp_path):
    """Nothing but the two classes above is needed for new conditions."""
    phones = [(0.0, 0.25, "a"), (0.25, 0.5, "b")]
    write_clips(tmp_path, alignment=lambda number, name: {"phones": phones})
    model = small_model(global_channels=1, local_channels=2, upsample_factors=(10, 10))
    model.compile("adam")
    sources = (DurationSource(), PhoneSource(("a", "b")))
    training, validation = wt.audio_datasets(
        tmp_path, model, batch_size=2, crop_seconds=0.1, sources=sources
    )
    spec = model.crop_spec.with_sources(*sources)
    for inputs, targets, _ in training.take(10):
        assert (inputs["global_conditioning"] == 0.5).numpy().all()
        assert inputs["local_conditioning"].shape == [2, targets.shape[1] // HOP, 2]
        assert (tf.reduce_sum(inputs["local_conditioning"], axis=-1) == 1.0).numpy().all()
    model.fit(training, steps_per_epoch=2, validation_data=validation, verbose=0)
    # One clip is enough to score, and its alignment is found again in the frames.
    recordings = data.read_recordings(tmp_path, RATE).select([2])
    (batch,) = data.evaluation_batches(recordings, spec, 1, 0.5)
    first = spec.samples_before // HOP
    frames = batch[0]["local_conditioning"].numpy()[0, first : first + 40]
    np.testing.assert_array_equal(np.argmax(frames, axis=-1), np.repeat([0, 1], 20))


def test_errors_of_a_toy_source_name_the_clip(tmp_path):
    model = small_model(local_channels=1, upsample_factors=(10, 10))
    recordings = data.read_recordings(write_clips(tmp_path), RATE)
    spec = model.crop_spec.with_sources(PhoneSource(("a",)))
    with pytest.raises(InputError, match=r"0\.wav has no aligned phones"):
        data.training_batches(recordings, spec, 2, 0.1)


def test_a_source_of_another_shape_is_an_error_and_not_an_unreadable_clip(tmp_path):
    class Wrong(DurationSource):
        def clip_value(self, recordings, index):
            return 0.5  # would be broadcast

    recordings = data.read_recordings(write_clips(tmp_path), RATE)
    spec = small_model(global_channels=1).crop_spec.with_sources(Wrong())
    message = re.escape("Wrong must give global_conditioning of shape [1]; it gave []")
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(iter(data.training_batches(recordings, spec, 2, 0.1)))


def test_specs_and_sources_have_to_fit_each_other(tmp_path):
    spec = frames_model().crop_spec
    assert (spec.hop_length, spec.frames_before, spec.frames_after) == (HOP, 1, 1)
    with pytest.raises(InputError, match=r"a frame for each 100 samples; its source has .* 50"):
        spec.with_sources(data.FrameFileSource(2, 50))
    with pytest.raises(InputError, match="crop_multiple must be a multiple of hop_length 100"):
        dataclasses.replace(spec, crop_multiple=150)
    with pytest.raises(InputError, match="each input must have one source"):
        dataclasses.replace(spec, conditions=(*spec.conditions, *spec.conditions))
    with pytest.raises(InputError, match="sample_rate must be a whole number of at least 1"):
        dataclasses.replace(spec, sample_rate=0)
    recordings = data.read_recordings(write_clips(tmp_path), RATE).with_features(["energy"], 50)
    model = small_model(local_channels=1, upsample_factors=(10, 10))
    with pytest.raises(InputError, match=r"frames of 100 samples; .* have 50 samples per frame"):
        data.training_batches(recordings, model.crop_spec, 2, 0.1)


def test_specs_say_what_models_need():
    plain = small_model().crop_spec
    assert plain.samples_before == small_model().receptive_field - 1
    assert (plain.samples_after, plain.drift, plain.conditions) == (0, False, ())
    assert small_model(output_distribution="gaussian_mixture").crop_spec.drift
    model = small_model(
        num_speakers=3,
        global_channels=2,
        local_channels=1,
        upsample_factors=(10,),
        features=("energy",),
        context_stacks=[{"pooling": 16, "layers_per_stack": 3}],
    )
    spec = model.crop_spec
    assert spec.full_receptive_field == model.receptive_field
    assert spec.receptive_field == model.config.trunk_receptive_field
    assert spec.crop_samples(0.1) == 800 and spec.crop_samples(801 / RATE) == 880
    assert spec.conditions == (
        data.SpeakerSource(3),
        MissingSource("global_conditioning", (2,)),
        data.FeatureSource(1, 10, ("energy",)),
    )
    assert [source.name for source in spec.clip_sources] == ["speaker_id", "global_conditioning"]
    assert [source.name for source in spec.frame_sources] == ["local_conditioning"]


def test_a_cropper_needs_no_model(tmp_path):
    """A spec may come from anywhere: here is one of raw 16-bit samples."""

    class Raw:
        @staticmethod
        def encode(waveform):
            return tf.cast(tf.round(waveform * 32768), tf.int32)

    recordings = data.read_recordings(write_clips(tmp_path), RATE)
    spec = data.CropSpec(RATE, receptive_field=11, distribution=Raw())
    cropper = Cropper(recordings, spec, spec.crop_samples(0.01))
    assert cropper.num_crops == 4 * 50
    clip, start = tf.constant(2, tf.int64), tf.constant(5, tf.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inputs, targets, weights = cropper.crop(clip, start, cropper.read(clip, start))
    value = round(level(2) * 32768)
    assert inputs.numpy().tolist() == [0] * 6 + [value] * 84
    assert targets.numpy().tolist() == [0] * 5 + [value] * 85
    assert weights.numpy().tolist() == [0] * 10 + [1] * 80


def aligned(tmp_path, phones, seconds: float = 0.5, text: str = "hi?") -> data.Recordings:
    """A recording with an alignment."""
    wt.write_audio(tmp_path / "a.wav", np.zeros(round(8000 * seconds)), 8000)
    alignment = {"phones": phones, "words": [(0.1, 0.3, "hi")]}
    data.write_manifest(
        tmp_path / "manifest.jsonl", [data.Clip("a.wav", text=text, alignment=alignment)]
    )
    return data.read_recordings(tmp_path, 8000)


def test_linguistic_features_follow_the_alignment_and_silence_fills_its_gaps(tmp_path):
    recordings = aligned(tmp_path, [(0.1, 0.2, "HH"), (0.2, 0.203, "L"), (0.203, 0.3, "AY1")])
    phone_set = data.find_phone_set(recordings)
    assert phone_set == ("AY", "HH", "L", "sil")
    source = data.LinguisticSource(phone_set, hop_length=40)  # 5 ms
    source.check(recordings)
    values = source.clip_value(recordings, 0)
    assert values.shape == (100, *source.shape)
    named = dict(zip(source.features.frame_names, values.T, strict=True))
    frames = np.arange(100)
    for label, first, last in (("HH", 20, 40), ("L", 40, 41), ("AY", 41, 60)):
        expected = (frames >= first) & (frames < last)
        np.testing.assert_array_equal(named[f"phone +0 is {label}"], expected, err_msg=label)
    silent = (frames < 20) | (frames >= 60)
    np.testing.assert_array_equal(named["phone +0 is sil"], silent)
    np.testing.assert_array_equal(named["stress of current syllable is 1"], ~silent)
    np.testing.assert_array_equal(named["question"], ~silent)
    crop = source.crop_value(recordings, 0, 30, 20)
    np.testing.assert_array_equal(crop, values[30:50])


def test_linguistic_features_need_phones_of_the_set(tmp_path):
    recordings = aligned(tmp_path, [(0.1, 0.2, "HH")])
    with pytest.raises(
        InputError, match=r"a\.wav: phones must be of the set AY, sil; received 'HH"
    ):
        data.LinguisticSource(("AY", "sil"), hop_length=40).check(recordings)
    recordings = aligned(tmp_path, [])
    with pytest.raises(InputError, match=r"a\.wav: an alignment needs phones; received"):
        data.find_phone_set(recordings)


def mel_frames(scale=1.0, offset=0.0):
    """Returns log mel frames of speech-like audio, in another recipe by scale and offset."""
    from wavenet_tf import audio

    rng = np.random.default_rng(0)
    loudness = np.repeat(rng.uniform(0.001, 0.5, 40), 200)
    frames = audio.extract_features(loudness * rng.normal(size=8000), 8000, 100, ["mel"])
    return scale * frames + offset


def test_frames_in_decibels_are_refused():
    model = small_model(local_channels=80, upsample_factors=(10, 10))
    model.trunk.adapt(mel_frames())
    decibels = mel_frames(20 / np.log(10))[None]
    message = "local_conditioning must be frames as in training, .* have a mean -"
    for runtime in ("tensorflow", "native"):
        model.stream(local_conditioning=mel_frames()[None], runtime=runtime)
        with pytest.raises(InputError, match=message):
            model.stream(local_conditioning=decibels, runtime=runtime)
    runner = wt.native.Runner(wt.deployment.convert_native(model))
    with pytest.raises(InputError, match=message):
        runner.stream(local_conditioning=decibels)
    model.stream(local_conditioning=decibels[:, :2])  # too few to compare


def test_frames_of_silence_and_loud_sounds_are_taken(recwarn):
    model = small_model(local_channels=80, upsample_factors=(10, 10))
    model.trunk.adapt(mel_frames())
    model.stream(local_conditioning=np.full([1, 80, 80], np.log(1e-5), np.float32))
    model.stream(local_conditioning=mel_frames(offset=0.7)[None])
    assert not [each for each in recwarn if "local_conditioning" in str(each.message)]


@pytest.mark.parametrize("recipe", [{"scale": 1 / np.log(10)}, {"scale": 0.02, "offset": 3.0}])
def test_frames_with_another_logarithm_or_range_are_warned_of(recipe):
    model = small_model(local_channels=80, upsample_factors=(10, 10))
    model.trunk.adapt(mel_frames())
    with pytest.warns(UserWarning, match="local_conditioning must be frames as in training"):
        model.stream(local_conditioning=mel_frames(**recipe)[None])
