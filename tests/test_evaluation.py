"""Tests of scores, copy synthesis, log-spectral distance and the evaluation report."""

import keras
import numpy as np
import pytest
import scipy.signal
import soundfile
from conftest import SMALL, small_model, tone

import wavenet_tf as wt
from wavenet_tf import data, evaluation
from wavenet_tf.errors import InputError
from wavenet_tf.evaluation import spectral


@pytest.mark.slow
@pytest.mark.once
def test_the_right_speaker_is_the_most_likely(tmp_path):
    """High tones are ana's, low ones are ben's: a trained model separates them."""
    for index in range(12):
        name = f"{'ana' if index % 2 else 'ben'}/{index}.wav"
        wt.write_audio(tmp_path / name, tone(0.2, frequency=300 + 1200 * (index % 2)), 8000)
    keras.utils.set_random_seed(0)
    model = wt.WaveNet(**SMALL, num_speakers=2)
    recordings = data.read_recordings(tmp_path, 8000).with_speakers("folder")
    training, held_out = recordings.split(0.3)
    model.compile(keras.optimizers.Adam(0.01))
    batches = data.training_batches(training, model.crop_spec, 4, 0.05)
    model.fit(batches, steps_per_epoch=60, verbose=0)
    nats = evaluation.score_speakers(model, held_out)
    assert nats.shape == (len(held_out.names), 2)
    np.testing.assert_array_equal(nats.argmin(axis=1), held_out.speaker_ids)
    right = nats[np.arange(len(nats)), held_out.speaker_ids]
    np.testing.assert_allclose(right, evaluation.score(model, held_out).nats, rtol=1e-5)
    scores, by_speaker = (f(model, recordings) for f in (evaluation.score, evaluation.evaluate))
    files = {"ana": [], "ben": []}
    for name, bits in scores.bits_per_sample_by_name.items():
        files[name.split("/")[0]].append(bits)  # all equally long
    assert by_speaker.speakers == pytest.approx(
        {name: np.mean(bits) for name, bits in files.items()}
    )
    with pytest.raises(InputError, match="not conditioned on speakers"):
        evaluation.score_speakers(small_model(), recordings)


@pytest.mark.slow
def test_scores_with_frames_do_not_depend_on_the_crops(tmp_path):
    for index, seconds in enumerate((0.051, 0.1, 0.033)):
        wt.write_audio(tmp_path / f"{index}.wav", tone(seconds, frequency=300 + 99 * index), 8000)
    contexts = [{"pooling": 16, "layers_per_stack": 2}]
    model = small_model(local_channels=80, upsample_factors=(5, 4), context_stacks=contexts)
    recordings = data.read_recordings(tmp_path, 8000).with_features(["mel"], 20)
    model.trunk.adapt(np.concatenate(recordings.features))
    whole = evaluation.score(model, recordings, crop_seconds=1.0)
    assert whole.samples.tolist() == [408, 800, 264]
    crops = evaluation.score(model, recordings, crop_seconds=0.01)
    np.testing.assert_allclose(crops.nats, whole.nats, rtol=1e-4)


@pytest.mark.slow
def test_copy_synthesis_generates_every_clip(tmp_path):
    for index, seconds in enumerate((0.051, 0.1)):
        wt.write_audio(tmp_path / f"{index}.wav", tone(seconds), 8000)
    recordings = data.read_recordings(tmp_path, 8000)
    model = small_model(local_channels=81, upsample_factors=(5, 4), features=["mel", "energy"])
    with pytest.raises(InputError, match="the recordings have no features"):
        evaluation.copy_synthesis(model, recordings)
    for check, message in (
        (evaluation.check_has_features, "not conditioned on features"),
        (evaluation.check_has_speakers, "not conditioned on speakers"),
    ):
        with pytest.raises(InputError, match=message):
            check(small_model())
        check(small_model(num_speakers=2, local_channels=1, upsample_factors=(5, 4)))
    recordings = recordings.with_features(model.config.features, model.hop_length)
    model.trunk.adapt(np.concatenate(recordings.features))
    clips = evaluation.copy_synthesis(model, recordings, seed=0)
    assert [clip.shape for clip in clips] == [(408,), (800,)]
    longest = model.generate(
        800, batch_size=2, local_conditioning=np.stack([recordings.features[1]] * 2), seed=0
    )
    np.testing.assert_array_equal(clips[1], longest[1])
    # The shorter clip repeats its last frame up to the length of the longest.
    repeated = recordings.features[0][[*range(21), *[20] * 19]]
    shorter = model.generate(800, 2, local_conditioning=np.stack([repeated, repeated]), seed=0)
    np.testing.assert_array_equal(clips[0], shorter[0, :408])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no JSON", "Expecting value"),
        ("[1.0]", "list indices"),
        ('{"bits_per_sample": 1.0}', "no key 'files'"),
        ('{"bits_per_sample": 1.0, "files": [2.0]}', "no attribute 'items'"),
        ('{"bits_per_sample": "low", "files": {}}', "could not convert string to float: 'low'"),
    ],
)
def test_what_is_no_evaluation_report_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        evaluation.EvaluationReport.from_json(text)


def test_log_spectral_distance_is_that_of_the_short_time_spectra():
    generator = np.random.default_rng(0)
    reference, other = generator.normal(scale=0.1, size=(2, 8000))
    levels = []
    for part in (reference, other):
        # SciPy's frames begin at sample 0 of a padded signal; ours are centred on each hop.
        padded = np.pad(part, (256, 256))
        window = np.pad(scipy.signal.get_window("hann", 400), 56)
        _, _, spectrum = scipy.signal.stft(
            padded, 8000, window, nperseg=512, noverlap=412, boundary=None, padded=False
        )
        amplitude = np.abs(spectrum.T[:80]) * window.sum() / 100.0
        levels.append(np.maximum(20 * np.log10(amplitude), spectral.FLOOR_DB))
    expected = np.mean(np.sqrt(np.mean((levels[0] - levels[1]) ** 2, axis=1)))
    actual = evaluation.log_spectral_distance(reference, other, 8000)
    np.testing.assert_allclose(actual, expected, rtol=1e-3)
    assert evaluation.log_spectral_distance(reference, reference, 8000) == 0.0
    silence = np.zeros(800)
    assert evaluation.log_spectral_distance(silence, 1e-6 * np.ones(800), 8000) == 0.0
    with pytest.raises(InputError, match="equally long; received 8000 and 7999"):
        evaluation.log_spectral_distance(reference, other[1:], 8000)


def test_samples_without_their_whole_receptive_field_can_be_left_out(tmp_path):
    for index, seconds in enumerate((0.05, 0.001)):
        wt.write_audio(tmp_path / f"{index}.wav", tone(max(seconds, 0.02), frequency=440), 8000)
    model = small_model()
    recordings = data.read_recordings(tmp_path, 8000)
    scores = evaluation.score(model, recordings, crop_seconds=0.01, whole_context=True)
    assert scores.samples.tolist() == [400 - model.receptive_field, 160 - model.receptive_field]
    values = model.distribution.encode(recordings.waveform(0)[None])
    likelihoods = model.distribution.log_likelihood(model(values)[:, :-1], values[:, 1:])
    expected = -likelihoods[0, model.receptive_field - 1 :].numpy().sum()
    np.testing.assert_allclose(scores.nats[0], expected, rtol=1e-4)
    long = small_model(layers_per_stack=9)
    with pytest.raises(InputError, match="no sample has the whole receptive field of 1024 sampl"):
        evaluation.score(long, recordings, whole_context=True)


def test_recordings_are_scored_as_they_are_read_or_rounded_to_16_bits(tmp_path):
    waveform = tone(0.05) * np.float32(0.001)
    soundfile.write(tmp_path / "a.wav", waveform, 8000, subtype="FLOAT")
    model = small_model(output_distribution="categorical")
    rounded = data.read_recordings(tmp_path, 8000)
    precise = data.read_recordings(tmp_path, 8000, full_precision=True)
    from_file = data.read_recordings(tmp_path, 8000, in_memory_bytes=0, full_precision=True)
    np.testing.assert_array_equal(precise.waveform(0), waveform)
    np.testing.assert_array_equal(rounded.waveform(0), np.round(waveform * 2**15) / 2**15)
    score = evaluation.score(model, precise).nats
    assert score != evaluation.score(model, rounded).nats
    np.testing.assert_array_equal(score, evaluation.score(model, from_file).nats)
