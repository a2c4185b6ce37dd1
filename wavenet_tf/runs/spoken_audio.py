"""Compares what a voice speaks with recordings: the error rate of a recognizer, and F0."""

import os

import numpy as np

from wavenet_tf import audio, data, evaluation
from wavenet_tf.errors import InputError
from wavenet_tf.models import WaveNetClassifier
from wavenet_tf.runs.checkpointing import load_model
from wavenet_tf.runs.recognition import evaluate_classifier
from wavenet_tf.runs.recordings import with_labels
from wavenet_tf.runs.settings import Settings
from wavenet_tf.speech import Voice, speak_recordings


def evaluate_intelligibility(
    voice: Voice,
    recordings: data.Recordings,
    recognizer_dir: str | os.PathLike,
    seed: int | None = None,
    progress: bool = False,
) -> dict[str, evaluation.RecognitionReport]:
    """Evaluates a recognizer on recordings, on their copy synthesis and on predicted prosody.

    Args:
        voice: which speaks the phones of the recordings.
        recordings: with alignments and F0, as `recordings_from_run` returns them for the voice.
        recognizer_dir: training run of a classifier of the voice's sample rate.
        seed: as `WaveNet.generate` takes it.
        progress: shows a progress bar.

    Returns:
        The figures by what is recognized: "recorded", "copy synthesis" with the recorded
        durations and F0, and "spoken" with predicted ones.

    Raises:
        InputError: for a recognizer of another sample rate, or recordings without its labels.
    """
    recognizer = load_model(recognizer_dir, kind=WaveNetClassifier)
    if recognizer.sample_rate != voice.wavenet.sample_rate:
        raise InputError(
            f"the recognizer must be of {voice.wavenet.sample_rate} Hz, as the voice is; "
            f"{recognizer_dir} is of {recognizer.sample_rate} Hz"
        )
    versions = {
        "recorded": recordings,
        "copy synthesis": speak_recordings(voice, recordings, "recorded", seed, progress),
        "spoken": speak_recordings(voice, recordings, "predicted", seed, progress),
    }
    settings = Settings.from_run(recognizer_dir, data_dir=os.fspath(recordings.directory))
    return {
        name: evaluate_classifier(recognizer_dir, recognizer, with_labels(settings, version))
        for name, version in versions.items()
    }


def evaluate_spoken_f0(
    voice: Voice, recordings: data.Recordings, seed: int | None = None, progress: bool = False
) -> evaluation.F0Errors:
    """Compares the F0 of what a voice speaks with that of recordings, at their durations.

    The F0 is that of the audio, so that voices with and without a model of F0 can be compared.

    Args:
        voice: which speaks the phones of the recordings.
        recordings: with alignments.
        seed: as `WaveNet.generate` takes it.
        progress: shows a progress bar.
    """
    features = voice.wavenet.config.features or (audio.default_f0_feature(),)
    spoken = speak_recordings(voice, recordings, "predicted_f0", seed, progress)
    tracks: list[list[np.ndarray]] = [[], []]
    for index, length in enumerate(recordings.lengths):
        for track, version in zip(tracks, (recordings, spoken), strict=True):
            waveform = version.waveform(index)[:length]
            sample_rate = voice.wavenet.sample_rate
            track.append(audio.extract_features(waveform, sample_rate, voice.hop_length, features))
    return evaluation.F0Errors.of_utterances(*tracks)
