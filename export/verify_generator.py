"""How export/verify.py compares the exports of a generator with Keras."""

from __future__ import annotations

from typing import Any

import numpy as np

import wavenet_tf as wt
from wavenet_tf import data

# Uniform numbers so near to a boundary may fall on either side of it.
ROUNDING = 1e-4


def recordings_to_score(recordings: data.Recordings, model: wt.WaveNet, batch: int, seconds: float):
    """Recordings as audio `[batch, time]` and their conditions; whole frames of each.

    Args:
        recordings: at the model's sample rate.
        model: of the run.
        batch: number of streams.
        seconds: of audio in all.
    """
    hop, remaining = model.hop_length or 1, seconds * model.sample_rate
    for first in range(0, len(recordings.names) - batch + 1, batch):
        clips = range(first, first + batch)
        waveforms = [recordings.waveform(clip) for clip in clips]
        length = min(map(len, waveforms)) // hop * hop
        if not length:
            continue
        audio = np.stack([waveform[:length] for waveform in waveforms]).astype(np.float32)
        conditions = data.clip_conditions(model.crop_spec.conditions, recordings.select(clips))
        if model.hop_length:
            frames = conditions["local_conditioning"]
            conditions["local_conditioning"] = frames[:, : length // hop]
        yield audio, conditions
        remaining -= batch * length
        if remaining <= 0:
            return


def conditions_to_generate(
    recordings: data.Recordings, model: wt.WaveNet, batch: int, samples: int
) -> dict[str, Any]:
    """Conditions of the audio to make, and its samples: whole frames of them.

    Args:
        recordings: whose speakers and frames are taken.
        model: of the run.
        batch: number of streams.
        samples: to make, of each stream.
    """
    conditions: dict[str, Any] = {}
    if model.config.num_speakers:
        conditions["speaker_id"] = np.arange(batch, dtype=np.int32) % model.config.num_speakers
    for source in model.crop_spec.clip_sources:
        if source.name != "speaker_id":
            clips = np.arange(batch) % len(recordings.names)
            values = [source.clip_value(recordings, int(clip)) for clip in clips]
            conditions[source.name] = np.stack(values)
    hop = model.hop_length
    if hop:
        count = -(-samples // hop)
        frames = recordings.sample_frames()
        places = np.arange(count) + len(frames) // batch * np.arange(batch)[:, None]
        conditions["local_conditioning"] = frames[places % len(frames)]
        samples = count * hop
    return {"conditions": conditions, "samples": samples}


def compared(model: wt.WaveNet, request, answer, reference) -> dict[str, Any]:
    """The figures of one runtime, of which some are relative to Keras."""
    nats = np.concatenate([part.ravel() for part in answer["nats"]])
    expected = np.concatenate([part.ravel() for part in reference["nats"]])
    equal = np.all(values_of(model, answer["audio"]) == values_of(model, reference["audio"]), 0)
    drawn = draws(model, request, answer["audio"])
    return {
        # Of a stream, before the first that differs: from there on its past samples differ.
        "samples_equal": len(equal) if equal.all() else int(np.argmin(equal)),
        **drawn,
        "largest_difference_nats": float(np.abs(nats - expected).max()),
        "bits_per_sample": float(-nats.mean() / np.log(2.0)),
        "bits_lost": float((expected - nats).mean() / np.log(2.0)),
        "samples_per_second": answer["samples_per_second"],
        "first_seconds": answer["first_seconds"],
        "peak_megabytes": answer["peak_megabytes"],
    }


def values_of(model: wt.WaveNet, audio: np.ndarray) -> np.ndarray:
    """The values of a model's distribution for audio, `[batch, time]`."""
    values, _ = model.codec.encode(audio, model.codec.initial_memory(len(audio)))
    return values.numpy()


def draws(model: wt.WaveNet, request, audio: np.ndarray) -> dict[str, int]:
    """Counts draws in which Keras differs, after the same samples and for the same uniforms.

    Returns:
        `draws`, all of them; `differing`, those that differ; and `by_rounding`, of these, those
        whose uniform number lies within rounding of a boundary.
    """
    import tensorflow as tf

    batch, samples = audio.shape
    shape = (samples, batch, *model.distribution.uniforms_shape)
    uniforms = np.random.default_rng(request["seed"]).random(shape, np.float32).swapaxes(0, 1)
    parameters = wt.models.distribution_parameters(model, audio, request["conditions"])
    values = values_of(model, audio)

    def draw(numbers):
        numbers = np.clip(numbers, 0.0, 1.0 - 2.0**-24).astype(np.float32)
        drawn = model.distribution.sample(
            tf.reshape(parameters, [-1, parameters.shape[-1]]),
            numbers.reshape(-1, *numbers.shape[2:]),
        )
        return np.reshape(drawn, values.shape)

    differing = draw(uniforms) != values
    # A mixture's values lie a step of 16 bits apart, which any rounding may cross.
    step = 0 if values.dtype == np.int32 else 2.0**-15
    lowest, highest = draw(uniforms - ROUNDING), draw(uniforms + ROUNDING)
    lowest, highest = np.minimum(lowest, highest), np.maximum(lowest, highest)
    near = (values >= lowest - step) & (values <= highest + step)
    return {
        "draws": int(differing.size),
        "differing": int(differing.sum()),
        "by_rounding": int((differing & near).sum()),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| runtime | samples as Keras | draws that differ (by rounding) | largest difference "
        "| bits per sample | lost | size | samples/s | first block | peak memory |",
        "| --- " * 10 + "|",
    ]
    for row in rows:
        size = "" if row["bytes"] is None else f"{row['bytes'] / 1e6:.2f} MB"
        lines.append(
            f"| {row['name']} | {row['samples_equal']:,} "
            f"| {row['differing']:,} ({row['by_rounding']:,}) of {row['draws']:,} "
            f"| {row['largest_difference_nats']:.2g} nats | {row['bits_per_sample']:.4f} "
            f"| {row['bits_lost']:.4f} | {size} | {row['samples_per_second'] or 0:,.0f} "
            f"| {row['first_seconds']:.1f} s | {row['peak_megabytes']:,.0f} MB |"
        )
    return "\n".join(lines)
