"""The card of a recording on a web page: picture, player and facts."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from wavenet_tf import audio
from wavenet_tf.reports import html, pictures


def recording_card(
    heading: str,
    waveform: np.ndarray,
    sample_rate: int,
    facts: Mapping[str, Any],
    max_seconds: float | None = None,
) -> html.Html:
    """Returns a card with waveform, spectrogram and player of a recording.

    Args:
        heading: heading of the card.
        waveform: float `[samples]` in [-1, 1].
        sample_rate: in Hz.
        facts: shown below the player, by name; duration and level are added.
        max_seconds: shows and plays no more than this from the start, in seconds; None for all.
    """
    levels = audio.measure_levels(waveform)
    shown = waveform if max_seconds is None else waveform[: round(max_seconds * sample_rate)]
    return html.card(
        heading,
        html.picture(
            pictures.recordings_figure([("", shown, sample_rate)]), "Waveform above spectrogram"
        ),
        html.player(shown, sample_rate),
        html.facts(
            {
                **facts,
                "Duration": f"{len(waveform) / sample_rate:.2f} s",
                "Level": f"RMS {levels.rms:.1f} dBFS, peak {levels.peak:.1f} dBFS",
            }
        ),
    )
