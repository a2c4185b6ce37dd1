"""Streams of a model through libwavenet, the C library of `wavenet_tf.native`."""

import os
from collections.abc import Mapping
from typing import Any

from wavenet_tf.clients import AudioStream
from wavenet_tf.native import PRECISIONS, Runner
from wavenet_tf.sampling.native_file import convert_native
from wavenet_tf.sampling.stream import check_draws, checked_prompt
from wavenet_tf.sampling.weights import WeightSnapshot


class NativeSampler:
    """Makes streams of a model in libwavenet.

    The converted model is kept until the weights of the model change.

    Args:
        model: a `WaveNet`.
    """

    def __init__(self, model):
        self.model = model
        self._snapshot = WeightSnapshot(model)
        self._files: dict[str, bytes] = {}

    def stream(
        self,
        runtime: str,
        batch_size: int,
        prompt,
        conditions: Mapping[str, Any],
        temperature: float,
        seed: int | None,
        block_size: int | None,
        threads: int | None,
    ) -> AudioStream:
        """Returns a stream of audio.

        Args:
            runtime: "native" or "native_int8", see `WaveNet.stream`.
            batch_size: as `WaveNet.stream` takes it.
            prompt: as `WaveNet.stream` takes it.
            conditions: the model's other inputs by name; None for no value.
            temperature: as `WaveNet.stream` takes it.
            seed: as `WaveNet.stream` takes it.
            block_size: as `WaveNet.stream` takes it, in whole frames.
            threads: as `WaveNet.stream` takes it.

        Raises:
            InputError: for an argument out of range, or if the library is not built.
        """
        check_draws(temperature, seed)
        if self._snapshot.changed():
            self._files.clear()
        precision = PRECISIONS[runtime]
        if precision not in self._files:
            self._files[precision] = convert_native(self.model, precision)
        threads = threads or os.cpu_count() or 1
        runner = Runner(self._files[precision], threads, batch_size, block_size)
        given = {name: value for name, value in conditions.items() if value is not None}
        prompt = checked_prompt(prompt, batch_size)
        if not prompt.shape[1]:
            prompt = None
        return runner.stream(prompt, temperature, seed, **given)
