"""Recordings as a voice speaks them, to compare with the recorded ones."""

import dataclasses
from typing import Literal

import numpy as np

from wavenet_tf import audio, data
from wavenet_tf.speech.voice import Prosody, Voice
from wavenet_tf.text import Sentence


def speak_recordings(
    voice: Voice,
    recordings: data.Recordings,
    prosody: Literal["predicted", "predicted_f0", "recorded"] = "predicted",
    seed: int | None = None,
    progress: bool = False,
) -> data.Recordings:
    """Returns recordings whose phones a voice speaks, with the times at which it speaks them.

    Args:
        voice: which speaks.
        recordings: with alignments of phones and, if its prosody is that of the recordings, with
            the F0 that the voice takes.
        prosody: "predicted" as for a text; "predicted_f0" at the durations of the recordings; or
            "recorded" durations and F0 (copy synthesis).
        seed: as `WaveNet.generate` takes it.
        progress: shows a progress bar.

    Returns:
        Recordings of the same names, speakers and texts, without features.
    """
    source = data.LinguisticSource(voice.features.phone_set, voice.hop_length)
    frames, metadata = [], []
    for index, clip in enumerate(recordings.metadata):
        sentence = Sentence(source.spoken_phones(recordings, index), [])
        _, durations = source.phones_and_durations(recordings, index)
        speaker = _speaker(voice, recordings, index)
        if prosody == "recorded" and voice.log_f0 is not None:
            spoken = Prosody(durations, recordings.features[index][:])
        else:
            known = None if prosody == "predicted" else durations
            spoken = voice.predict(sentence, speaker, durations=known)
        frames.append(voice.frames(sentence, spoken))
        ends = [
            np.append(0.0, np.cumsum(part) * voice.frame_seconds)
            for part in (durations, spoken.durations)
        ]
        alignment = {kind: _moved(segments, *ends) for kind, segments in clip.alignment.items()}
        metadata.append(dataclasses.replace(clip, alignment=alignment))
    longest = max(map(len, frames))
    padded = np.stack([np.pad(f, [(0, longest - len(f)), (0, 0)], "edge") for f in frames])
    generated = voice.wavenet.generate(
        longest * voice.hop_length,
        batch_size=len(frames),
        speaker_id=recordings.speaker_ids if voice.durations.speaker_names else None,
        local_conditioning=padded,
        seed=seed,
        progress=progress,
    )
    lengths = np.array([len(f) * voice.hop_length for f in frames])
    clips = [audio.to_16_bits(g[:n]) for g, n in zip(generated, lengths, strict=True)]
    return dataclasses.replace(
        recordings,
        clips=clips,
        lengths=lengths,
        metadata=metadata,
        features=(),
        feature_names=(),
        hop_length=None,
    )


def _speaker(voice: Voice, recordings: data.Recordings, index: int) -> str | None:
    if not voice.durations.speaker_names:
        return None
    return recordings.speaker_names[recordings.speaker_ids[index]]


def _moved(segments, ends: np.ndarray, new_ends: np.ndarray) -> list:
    """Returns segments at the times to which the ends of phones move.

    Args:
        segments: start and end in seconds, and label.
        ends: of the phones, in seconds, after the start of the first one.
        new_ends: to which they move.
    """
    return [
        (*np.interp([start, end], ends, new_ends).tolist(), label) for start, end, label in segments
    ]
