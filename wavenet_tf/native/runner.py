"""Samples audio with a model file of libwavenet."""

import itertools
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from wavenet_tf import clients
from wavenet_tf.block_generator import BlockGenerator
from wavenet_tf.conditioning import ConditioningSpec
from wavenet_tf.errors import InputError, positive_integer
from wavenet_tf.native.library import Model
from wavenet_tf.native.model_file import METADATA_NAME, unpack

# The state of all streams, an array of bytes with a row for each.
STATE_NAME = clients.STATE_PREFIX + "streams"


class Runner(BlockGenerator):
    """A model file that `export/native.py` wrote, ready to sample.

    Threads may call one runner at the same time. Each stream carries its own state.

    Args:
        file: its path, or its content.
        threads: number of threads among which the streams of a call are divided.
        batch_size: number of streams.
        block_size: samples of a block, a multiple of the metadata's `frame_unit`; None takes the
            file's.
        target: instruction set of the kernels, one of `targets()`; None takes the best one that
            the processor has.

    Attributes:
        metadata: sample rate, block size, conditioning, speakers and so on.
        conditioning: the `ConditioningSpec` of the model.
        model: the `Model` of the C library.

    Raises:
        InputError: for a file that cannot be read or is corrupted, an argument out of range, or if
            the library is not built.
    """

    def __init__(
        self,
        file: str | os.PathLike | bytes,
        threads: int = 1,
        batch_size: int = 1,
        block_size: int | None = None,
        target: str | None = None,
    ):
        self.threads = positive_integer("threads", threads)
        self.batch_size = positive_integer("batch_size", batch_size)
        self.model, metadata = _open(file, target)
        unit = metadata.get("frame_unit", 1)
        if block_size is not None:
            metadata["block_size"] = positive_integer("block_size", block_size)
            if block_size % unit:
                raise InputError(
                    f"block_size must be a multiple of {unit}, the frames of this model's "
                    f"conditioning and context stacks; received {block_size}"
                )
        metadata["batch_size"] = self.batch_size
        self.metadata = clients.checked_metadata(metadata, _name(file), "batch_size")
        self.block_size = self.metadata["block_size"]
        self.sample_rate: int = self.metadata["sample_rate"]
        self.conditioning = ConditioningSpec.from_metadata(self.metadata)
        ends = np.linspace(0, self.batch_size, min(self.threads, self.batch_size) + 1).astype(int)
        self._groups = [slice(*pair) for pair in itertools.pairwise(ends.tolist())]
        self._pool = ThreadPoolExecutor(len(self._groups)) if len(self._groups) > 1 else None
        self.description = (
            f"libwavenet ({self.model.target}), streams: {self.batch_size}, threads: "
            f"{len(self._groups)}"
        )

    def call_signature(self, signature: str, **inputs) -> dict[str, np.ndarray]:
        """Calls `initial_state`, `prime` or `generate_block`, with inputs as keyword arguments.

        Raises:
            InputError: for uniforms out of range, or a state of another model.
        """
        function = {
            "initial_state": self._initial_state,
            "prime": self._prime,
            "generate_block": self._generate_block,
        }[signature]
        if signature == "initial_state":
            states = self.model.new_states(self.batch_size)
        else:
            # The state before stays as it is: another stream may continue from it.
            states = inputs.pop(STATE_NAME).copy()

        def run(rows: slice) -> dict[str, np.ndarray]:
            return function(states[rows], {name: value[rows] for name, value in inputs.items()})

        parts = list((self._pool.map if self._pool else map)(run, self._groups))
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return {**joined, STATE_NAME: states}

    def checked_state(self, state) -> dict[str, np.ndarray]:
        """Returns a state if it is one of this model.

        Raises:
            InputError: if it is none.
        """
        shape = self.batch_size, self.model.info.state_bytes
        array = state.get(STATE_NAME) if isinstance(state, dict) else None
        if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != np.uint8:
            raise InputError(
                f"state must be a dict of {STATE_NAME}, uint8 of shape {list(shape)}, as `prime` "
                "or a stream of this model returns it"
            )
        return {STATE_NAME: np.ascontiguousarray(array)}

    def _initial_state(self, states: np.ndarray, inputs: dict[str, np.ndarray]) -> dict:
        self.model.start(self._conditions(inputs), states)
        return {}

    def _prime(self, states: np.ndarray, inputs: dict[str, np.ndarray]) -> dict:
        scores = self.model.score(
            self._conditions(inputs), self._first_sample, states, inputs["audio"]
        )
        return {"log_likelihood": scores}

    def _generate_block(self, states: np.ndarray, inputs: dict[str, np.ndarray]) -> dict:
        audio = self.model.generate(
            self._conditions(inputs),
            self._first_sample,
            states,
            inputs["uniforms"],
            inputs["temperature"],
        )
        return {"audio": audio}

    def _conditions(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: inputs[name] for name in self.conditioning.names}

    @property
    def _first_sample(self) -> int:
        """Index of a block's first sample, counted from the first frame that comes with it."""
        return self.conditioning.frames_before * (self.conditioning.hop_length or 0)


def _open(file: str | os.PathLike | bytes, target: str | None) -> tuple[Model, dict[str, Any]]:
    """Returns the model of a file, and its metadata."""
    try:
        content = file if isinstance(file, bytes) else Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {_name(file)}: {error.strerror}") from error
    try:
        model = Model(content, target)  # it checks the checksum
        metadata = json.loads(unpack(content)[1][METADATA_NAME])
    except InputError as error:
        raise InputError(f"cannot open {_name(file)}: {error}") from error
    except (KeyError, ValueError) as error:
        raise InputError(f"{_name(file)} has no metadata that clients can read: {error}") from error
    if not isinstance(metadata, dict):
        raise InputError(
            f"{_name(file)} has no metadata that clients can read: it is no JSON object"
        )
    return model, metadata


def _name(file: str | os.PathLike | bytes) -> str:
    return "the model" if isinstance(file, bytes) else os.fspath(file)
