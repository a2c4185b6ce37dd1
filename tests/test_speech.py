"""Text to speech: models of prosody, voices, `train.py --task speak` and `speak.py`."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import run_program

import wavenet_tf as wt
from wavenet_tf import data, deployment, evaluation, lite, runs, speech, text
from wavenet_tf.errors import InputError
from wavenet_tf.models import DurationModel, LogF0Model
from wavenet_tf.models.config import frame_channels

RATE = 8000
# The F0 in Hz of each phone's tone, and its length in frames of 5 ms.
PHONES = {"AA": (200.0, 24), "IY": (300.0, 12), "S": (None, 16)}
SPEAKERS = ("high", "low")


def spoken_word(labels, factor: float, generator) -> tuple[np.ndarray, list]:
    """Audio of phones, between silences, and their segments."""
    parts, segments, time = [np.zeros(800)], [], 0.1
    for label in labels:
        hz, frames = PHONES[label]
        count = frames * 40
        seconds = np.arange(count) / RATE
        if hz is None:
            parts.append(0.05 * generator.standard_normal(count))
        else:
            wave = sum(np.sin(2 * np.pi * hz * factor * k * seconds) / k for k in (1, 2, 3))
            parts.append(0.2 * wave)
        segments.append((time, time + count / RATE, f"{label}1" if hz else label))
        time += count / RATE
    return np.concatenate([*parts, np.zeros(800)]).astype(np.float32), segments


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Words of tones and noise by two speakers, one an octave higher."""
    folder = tmp_path_factory.mktemp("speech")
    generator = np.random.default_rng(0)
    clips = []
    for number in range(24):
        speaker = SPEAKERS[number % 2]
        labels = generator.choice(list(PHONES), 4)
        audio, segments = spoken_word(labels, 1.0 if speaker == "high" else 0.5, generator)
        name = f"{speaker}_{number}.wav"
        wt.write_audio(folder / name, audio, RATE)
        (folder / name).with_suffix(".TextGrid").write_text(
            data.textgrid_text({"phones": segments}, len(audio) / RATE)
        )
        clips.append(data.Clip(name, speaker=speaker, alignment={"phones": segments}))
    data.write_manifest(folder / "manifest.jsonl", clips)
    return folder


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("voice")
    result = run_program(
        "train.py",
        *("--task=speak", f"--data_dir={corpus}", f"--model_dir={folder}", "--preset=tiny"),
        *("--set=layers_per_stack=3", "--set=skip_channels=16", "--sample_rate=8000"),
        *("--speakers=corpus", "--features=f0_world", "--prosody_steps=200", "--steps=4"),
        *("--steps_per_validation=4", "--crop_seconds=0.2", "--validation_fraction=0.2"),
    )
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


@pytest.mark.slow
def test_prosody_is_learned(trained):
    _, output = trained
    assert "4 phones: AA, IY, S, sil" in output
    voice = runs.load_voice(trained[0])
    sentence = text.sentence_of_phones("AA1 S IY1 S")
    predicted = {name: voice.predict(sentence, name) for name in SPEAKERS}
    for name, factor in zip(SPEAKERS, (1.0, 0.5), strict=True):
        durations = predicted[name].durations
        np.testing.assert_allclose(durations[1:-1], [24, 16, 12, 16], atol=3)
        log_f0, voicing = predicted[name].f0.T
        starts = np.cumsum(durations) - durations
        for phone, (hz, voiced) in enumerate([(200, 1), (0, 0), (300, 1), (0, 0)], 1):
            middle = starts[phone] + durations[phone] // 2
            assert voicing[middle] == voiced
            if voiced:
                cents = 1200 * np.log2(np.exp(log_f0[middle]) / (hz * factor))
                assert abs(cents) < 200


@pytest.mark.slow
def test_rate_and_pitch_change_the_prosody(trained):
    voice = runs.load_voice(trained[0])
    sentence = text.sentence_of_phones("AA1 S IY1 S")
    plain, fast = voice.predict(sentence), voice.predict(sentence, rate=2.0)
    assert abs(fast.durations.sum() - plain.durations.sum() / 2) <= 1
    raised = voice.predict(sentence, semitones=12.0)
    np.testing.assert_allclose(raised.f0[:, 0] - plain.f0[:, 0], np.log(2.0), rtol=1e-5)
    with pytest.raises(InputError, match="rate must be"):
        voice.predict(sentence, rate=0.0)
    with pytest.raises(InputError, match="speaker must be one of high, low; received 'middle'"):
        voice.predict(sentence, "middle")
    with pytest.raises(InputError, match="phones must be of the set AA, IY, S, sil; received 'B'"):
        voice.predict(text.sentence_of_phones("B AA1"))


@pytest.mark.slow
def test_speak_writes_audio_and_times(trained, tmp_path):
    folder, _ = trained
    output, times = tmp_path / "out.wav", tmp_path / "out.json"
    result = run_program(
        "speak.py",
        *(f"--model_dir={folder}", "--phones=AA1 S | IY1", "--speaker=low", "--seed=3"),
        *(f"--output={output}", f"--alignment={times}"),
    )
    assert result.returncode == 0, result.stderr
    assert "first audio after" in result.stdout
    audio, _ = wt.read_audio(output, RATE)
    tiers = json.loads(times.read_text())
    assert [label for *_, label in tiers["phones"]] == ["sil", "AA", "S", "IY", "sil"]
    assert [label for *_, label in tiers["words"]] == ["AA1 S", "IY1"]
    assert tiers["phones"][-1][1] == pytest.approx(len(audio) / RATE)
    assert tiers["words"][1][0] == tiers["phones"][3][0]
    again = tmp_path / "again.wav"
    run_program(
        "speak.py",
        *(f"--model_dir={folder}", "--phones=AA1 S | IY1", "--speaker=low", "--seed=3"),
        f"--output={again}",
    )
    assert again.read_bytes() == output.read_bytes()


@pytest.mark.slow
def test_copy_synthesis_has_the_times_and_the_f0_of_the_recording(trained, corpus, tmp_path):
    folder, _ = trained
    recording = corpus / "high_0.wav"
    output = tmp_path / "copy.wav"
    result = run_program(
        "speak.py",
        *(f"--model_dir={folder}", f"--prosody={recording}", "--speaker=high"),
        f"--output={output}",
    )
    assert result.returncode == 0, result.stderr
    recorded, _ = wt.read_audio(recording, RATE)
    assert len(wt.read_audio(output, RATE)[0]) == -(-len(recorded) // 40) * 40
    voice = runs.load_voice(folder)
    alignment = data.read_alignment(recording.with_suffix(".TextGrid"))
    sentence, prosody = speech.recorded_sentence(voice, recorded, alignment)
    segments = [label.rstrip("1") for *_, label in alignment["phones"] if label != "sil"]
    assert [phone.label for phone in sentence.phones if phone.label != "sil"] == segments
    frames = [PHONES[label][1] for label in segments]
    np.testing.assert_array_equal(prosody.durations[1:-1], frames)
    first_vowel = next(k for k, label in enumerate(segments) if label != "S")
    middle = int(prosody.durations[: 1 + first_vowel].sum() + frames[first_vowel] // 2)
    hz = PHONES[segments[first_vowel]][0]
    assert np.exp(prosody.f0[middle, 0]) == pytest.approx(hz, rel=0.02)


@pytest.mark.slow
def test_evaluation_reports_bits_durations_and_f0(trained, corpus, tmp_path):
    folder, _ = trained
    written = tmp_path / "scores.json"
    result = run_program(
        "evaluate.py",
        *(f"--model_dir={folder}", f"--data_dir={corpus}", "--copy_synthesis=1"),
        *("--spoken_f0", "--spoken=2", f"--json={written}"),
    )
    assert result.returncode == 0, result.stderr
    figures = json.loads(written.read_text())
    assert figures["bits_per_sample"] < 8.0 and figures["log_spectral_distance"] > 0.0
    assert figures["duration_error_ms"][0] < 20.0 and figures["f0_error_cents"][0] < 300.0
    assert "log_f0: F0 is" in result.stdout


@pytest.mark.slow
@pytest.mark.once
def test_a_recognizer_scores_what_is_spoken(trained, corpus, tmp_path):
    folder, _ = trained
    recognizer = tmp_path / "recognizer"
    options = ["--task=classify", "--classes=column:speaker", f"--data_dir={corpus}", "--steps=2"]
    model = ["--preset=tiny", "--set=layers_per_stack=2", "--batch_size=2"]
    for rate in (8000, 16000):
        result = run_program(
            "train.py", *options, *model, f"--sample_rate={rate}", f"--model_dir={recognizer}{rate}"
        )
        assert result.returncode == 0, result.stderr
    written = tmp_path / "scores.json"
    flags = [f"--model_dir={folder}", f"--data_dir={corpus}", f"--json={written}", "--spoken=5"]
    result = run_program("evaluate.py", *flags, f"--recognizer_dir={recognizer}8000")
    assert result.returncode == 0, result.stderr
    figures = json.loads(written.read_text())
    for kind in ("recorded", "copy_synthesis", "spoken"):
        assert figures[f"{kind}_error_rate"][0] in [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    result = run_program("evaluate.py", *flags)
    assert result.returncode == 1
    assert "spoken is the number of recordings for --recognizer_dir and" in result.stderr
    result = run_program("evaluate.py", *flags, f"--recognizer_dir={recognizer}16000")
    assert result.returncode == 1
    assert "the recognizer must be of 8000 Hz, as the voice is" in result.stderr
    flags[0] = f"--model_dir={recognizer}8000"
    result = run_program("evaluate.py", *flags, f"--recognizer_dir={recognizer}8000")
    assert result.returncode == 1 and "not a WaveNet" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("prosody", ["recorded", "predicted_f0", "predicted"])
def test_recordings_are_spoken_at_their_own_or_at_predicted_times(trained, corpus, prosody):
    folder, _ = trained
    voice = runs.load_voice(folder)
    recordings = runs.recordings_from_run(folder, voice.wavenet, corpus).select([3, 0])
    spoken = speech.speak_recordings(voice, recordings, prosody, seed=1)
    assert list(spoken.names) == list(recordings.names)
    for index in range(2):
        assert len(spoken.clip(index)) == spoken.lengths[index]
        before, after = (part.alignments[index]["phones"] for part in (recordings, spoken))
        assert [label for *_, label in before] == [label for *_, label in after]
        ends = np.array([end for _, end, _ in after]) / voice.frame_seconds
        np.testing.assert_allclose(ends, np.round(ends), atol=1e-6)
        speaker = recordings.speaker_names[recordings.speaker_ids[index]]
        if prosody == "predicted":
            source = data.LinguisticSource(voice.features.phone_set, voice.hop_length)
            sentence = text.Sentence(source.spoken_phones(recordings, index), [])
            durations = voice.predict(sentence, speaker).durations
            np.testing.assert_allclose(ends, np.cumsum(durations)[1:][: len(ends)], atol=1e-6)
            assert spoken.lengths[index] == durations.sum() * voice.hop_length
        else:
            recorded = np.array([end for _, end, _ in before])
            assert np.abs(ends * voice.frame_seconds - recorded).max() <= voice.frame_seconds / 2
            assert 0 <= spoken.lengths[index] - recordings.lengths[index] < voice.hop_length


@pytest.mark.slow
def test_f0_of_spoken_audio_is_compared_at_the_times_of_the_recordings(trained, corpus):
    folder, _ = trained
    voice = runs.load_voice(folder)
    recordings = runs.recordings_from_run(folder, voice.wavenet, corpus).select([3, 0])
    spoken = speech.speak_recordings(voice, recordings, "predicted_f0", seed=1)
    own = dataclasses.replace(recordings, clips=spoken.clips)
    errors = runs.evaluate_spoken_f0(voice, own, seed=1)
    assert (errors.value, errors.voicing_error) == (0.0, 0.0)
    # After four steps of training the voice makes noise; most of the recordings is voiced.
    errors = runs.evaluate_spoken_f0(voice, recordings, seed=1)
    voiced = [np.mean(f0[:, 1]) for f0 in (recordings.features[index][:] for index in range(2))]
    assert errors.voicing_error == pytest.approx(np.mean(voiced), abs=0.15)
    assert list(errors.frames) == [-(-n // voice.hop_length) for n in recordings.lengths]


@pytest.mark.slow
def test_models_that_are_trained_are_kept_and_others_refused(trained, corpus, tmp_path):
    folder, _ = trained
    arguments = ["--task=speak", f"--data_dir={corpus}", "--preset=tiny", "--prosody_steps=100"]
    result = run_program(
        "train.py", *arguments, f"--model_dir={folder}", "--models=durations", "--speakers=corpus"
    )
    assert result.returncode == 0, result.stderr
    assert "is trained already" in result.stdout
    (tmp_path / "durations.keras").write_bytes((folder / "durations.keras").read_bytes())
    result = run_program("train.py", *arguments, f"--model_dir={tmp_path}", "--models=durations")
    assert result.returncode == 1
    assert "is a model of other phones, speakers or F0" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--text=Hello."], "phones must be of the set AA, IY, S, sil; received 'HH'"),
        (["--text=Zzyzzyxq."], "no dictionary has zzyzzyxq"),
        (["--text=."], "text must have at least one word"),
        (["--phones="], "phones must hold at least one phone"),
        (["--phones=aa"], "phones must be of the set AA, IY, S, sil; received 'aa'"),
        (["--phones=AA3"], "phones must be like HH AH0 L OW1; received 'AA3'"),
        (["--phones=AA1", "--speaker=me"], "me"),
        (["--phones=AA1", "--text=a"], "one of --text, --text_file, --phones and --prosody"),
        (["--prosody=missing.wav"], "missing.wav"),
        (["--front_end=espeak", "--language=xx-yy", "--text=a"], "voices must be voices of espeak"),
    ],
)
def test_bad_input_is_one_line(trained, tmp_path, flags, message):
    folder, _ = trained
    speaker = [] if any("--speaker" in flag for flag in flags) else ["--speaker=high"]
    output = tmp_path / "x.wav"
    result = run_program(
        "speak.py", f"--model_dir={folder}", f"--output={output}", *flags, *speaker
    )
    assert result.returncode == 1
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and message in lines[0], result.stderr
    assert not output.exists()


def test_past_of_f0_is_causal():
    model = LogF0Model(["AA", "sil"], num_blocks=3, channels=8)
    frames = np.ones([1, 12, len(model.features.frame_names)], np.float32)
    f0 = np.random.default_rng(0).normal(5.0, 0.2, [1, 12, 2]).astype(np.float32)
    changed = f0.copy()
    changed[:, 6:] += 1.0
    before, after = (model({"frames": frames, "f0": values}).numpy() for values in (f0, changed))
    np.testing.assert_allclose(before[:, :7], after[:, :7], atol=1e-6)
    assert np.abs(before[:, 7:] - after[:, 7:]).max() > 1e-4


def test_free_running_repeats_what_teacher_forcing_of_its_own_outputs_gives():
    model = LogF0Model(["AA", "sil"], speaker_names=["a", "b"], num_blocks=4, channels=8)
    generator = np.random.default_rng(1)
    for weight in model.trainable_variables:
        weight.assign(generator.normal(0.0, 0.3, weight.shape))
    frames = generator.uniform(0.1, 1.0, [2, 30, len(model.features.frame_names)])
    inputs = {"frames": frames.astype(np.float32), "speaker_id": np.array([0, 1], np.int32)}
    freely = model.run_freely({k: keras.ops.convert_to_tensor(v) for k, v in inputs.items()})
    forced = model({**inputs, "f0": freely})
    np.testing.assert_allclose(forced, freely, atol=1e-4)


def test_padding_of_utterances_changes_nothing():
    generator = np.random.default_rng(0)
    model = DurationModel(["AA", "sil"])
    phones = generator.uniform(0.1, 1.0, [1, 9, len(model.features.phone_names)])
    padded = np.pad(phones, [(0, 0), (0, 5), (0, 0)])
    alone, longer = (model({"phones": x.astype(np.float32)}).numpy() for x in (phones, padded))
    np.testing.assert_allclose(longer[:, :9], alone, atol=1e-5)


def test_models_of_prosody_are_saved_and_read(tmp_path):
    model = LogF0Model(["AA", "sil"], ["a", "b"], num_blocks=2, feature="f0_world", noise=0.1)
    model.adapt([np.array([[5.0, 1.0], [5.4, 1.0], [9.0, 0.0]]), np.array([[4.0, 0.0]])])
    model.save(tmp_path / "m.keras")
    read = keras.saving.load_model(tmp_path / "m.keras")
    assert read.get_config() == model.get_config()
    np.testing.assert_allclose(read.mean, [5.2, np.log(150)], rtol=1e-6)
    frames = np.ones([5, len(model.features.frame_names)])
    np.testing.assert_array_equal(read.generate(frames, "b"), model.generate(frames, "b"))


def test_errors_of_durations_and_f0_by_hand():
    errors = evaluation.DurationErrors.of_utterances([[10, 20], [4]], [[12, 19], [4]], 0.005)
    assert errors.value == pytest.approx(1000 * 0.005 * 3 / 3)
    np.testing.assert_allclose(errors.length_ratios, [31 / 30, 1.0])
    true = np.stack([np.log([100.0, 200.0, 100.0, 100.0]), [1, 1, 0, 1]], axis=-1)
    guess = np.stack([np.log([200.0, 200.0, 100.0, 100.0]), [1, 1, 1, 0]], axis=-1)
    of_f0 = evaluation.F0Errors.of_utterances([true], [guess])
    assert of_f0.value == pytest.approx(np.sqrt(1200**2 / 2))
    assert of_f0.voicing_error == 0.5
    assert of_f0.deviation_ratio == pytest.approx(0.0, abs=1e-6)


def test_frames_of_speech_must_have_their_width():
    phones = ("AA", "sil")
    channels = frame_channels(["f0"], phones)
    config = wt.WaveNetConfig(
        phone_set=phones, features=["f0"], local_channels=channels, upsample_factors=[5, 8]
    )
    assert config.conditioning.phone_set == phones
    with pytest.raises(InputError, match=f"local_channels must be {channels} for 2 phones and the"):
        wt.WaveNetConfig(
            phone_set=phones, features=["f0"], local_channels=9, upsample_factors=[5, 8]
        )
    with pytest.raises(InputError, match="the model was not trained to speak"):
        speech.Voice(wt.WaveNet.from_preset("tiny"), DurationModel(phones))


def test_a_warmed_up_voice_traces_nothing_anew():
    phones = ("AA", "S", "sil")
    wavenet = wt.WaveNet(
        num_stacks=1,
        layers_per_stack=2,
        phone_set=phones,
        features=["f0"],
        local_channels=frame_channels(["f0"], phones),
        upsample_factors=[5, 8],
        sample_rate=8000,
    )
    voice = speech.Voice(wavenet, DurationModel(phones), LogF0Model(phones, num_blocks=3))
    voice.warm_up()
    traced = voice.log_f0.run_freely.experimental_get_tracing_count()
    for phones in ("S AA1 S", "S AA1 S | AA0 | S"):
        sentence = text.sentence_of_phones(phones)
        prosody = voice.predict(sentence)
        next(voice.stream(voice.frames(sentence, prosody)))
    assert voice.log_f0.run_freely.experimental_get_tracing_count() == traced == 1


@pytest.mark.slow
@pytest.mark.parametrize("features", [None, ["f0"]])
def test_the_exported_prosody_is_that_of_the_voice(tmp_path, features):
    phones = ("AA", "S", "sil")
    names = ["a", "b"]
    wavenet = wt.WaveNet(
        num_stacks=1,
        layers_per_stack=2,
        num_speakers=2,
        speaker_names=names,
        phone_set=phones,
        features=features,
        local_channels=frame_channels(features, phones),
        upsample_factors=[5, 8],
        sample_rate=8000,
    )
    log_f0 = LogF0Model(phones, names, num_blocks=3) if features else None
    durations = DurationModel(phones, names)
    generator = np.random.default_rng(0)
    for model in filter(None, (durations, log_f0)):
        for weight in model.trainable_variables:
            weight.assign(generator.normal(0.0, 0.1, weight.shape))
    durations.output_layer.bias.assign([np.log(16.0)])  # frames a phone
    voice = speech.Voice(wavenet, durations, log_f0)
    prosody_signature = deployment.ProsodySignature(durations, log_f0)
    signatures = deployment.SavedModelSpeechSignatures(wavenet, prosody_signature)
    deployment.save(signatures, tmp_path / "1")
    deployment.run_small_requests(tmp_path / "1")
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["prosody"]
    sentence = text.sentence_of_phones("S AA1 S | AA0")
    inputs = {
        **{k: tf.constant(v[None]) for k, v in voice.features.encode(sentence.phones).items()},
        "rate": tf.constant([1.25]),
        "speaker_id": tf.constant([1]),
    }
    semitones = 2.0 if features else 0.0
    if features:
        inputs["semitones"] = tf.constant([semitones])
    answer = served(**inputs)
    prosody = voice.predict(sentence, "b", rate=1.25, semitones=semitones)
    np.testing.assert_array_equal(answer["durations"][0], prosody.durations)
    frames = voice.frames(sentence, prosody)
    np.testing.assert_allclose(answer["local_conditioning"][0], frames, atol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="rate must be above 0"):
        served(**{**inputs, "rate": tf.constant([0.0])})

    file = deployment.convert(deployment.TFLiteSpeechSignatures(wavenet, prosody_signature))
    (tmp_path / "voice.tflite").write_bytes(file)
    runner = lite.Runner(tmp_path / "voice.tflite")
    spoken, conditioning = runner.frames_of_phones(sentence.phones, 1, 1.25, semitones)
    np.testing.assert_array_equal(spoken, prosody.durations)
    np.testing.assert_allclose(conditioning[0], frames, atol=1e-5)
    stream = runner.stream(speaker_id=[1], local_conditioning=conditioning, seed=0)
    assert sum(block.shape[1] for block in stream) == len(frames) * 40
    several = sentence.phones * 40  # 240 phones
    features_of_phones = voice.features.of_phones(several)
    rate = durations.frames(features_of_phones, "b").sum() / 3000
    spoken, conditioning = runner.frames_of_phones(several, 1, rate)
    # Ends of phones that are near the middle between two frames may be rounded to either.
    ends = np.cumsum(durations.frames(features_of_phones, "b", rate))
    np.testing.assert_allclose(np.cumsum(spoken), ends, atol=1)
    assert conditioning.shape[1] == spoken.sum() == pytest.approx(3000, abs=10)
    with pytest.raises(InputError, match="at most 4000 frames at once; the phones take"):
        runner.frames_of_phones(several, 1, rate / 2)
    with pytest.raises(InputError, match="at most 250 phones and pauses at once; received 252"):
        runner.frames_of_phones(sentence.phones * 42, 1)
    with pytest.raises(InputError, match=r"rate must be .* received 0"):
        runner.frames_of_phones(sentence.phones, 1, 0)
    with pytest.raises(InputError, match="semitones must be within 24 of 0; received 30"):
        runner.frames_of_phones(sentence.phones, 1, semitones=30)
    with pytest.raises(InputError, match="phones must be of the set AA, S, sil; received 'T'"):
        runner.frames_of_phones(text.sentence_of_phones("T AA1").phones, 1)
