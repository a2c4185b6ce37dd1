"""Generators of audio block by block, which every runtime of exported models shares."""

import abc
from typing import Any

import numpy as np

from wavenet_tf import clients
from wavenet_tf.conditioning import (
    LOCAL_CONDITIONING,
    ConditioningSpec,
    check_frame_statistics,
)
from wavenet_tf.errors import InputError


class BlockGenerator(abc.ABC):
    """An exported generator whose signatures take and return blocks of a fixed size.

    Attributes:
        metadata: sample rate, block size, conditioning, speakers and so on.
        conditioning: the `ConditioningSpec` of the model.
        batch_size: number of streams.
        block_size: samples of a block.
        description: how the streams are sampled, in words.
    """

    description: str
    metadata: dict[str, Any]
    conditioning: ConditioningSpec
    batch_size: int
    block_size: int

    @abc.abstractmethod
    def call_signature(self, signature: str, **inputs) -> dict[str, np.ndarray]:
        """Calls `initial_state`, `prime` or `generate_block`, with inputs as keyword arguments."""

    @abc.abstractmethod
    def checked_state(self, state) -> dict[str, np.ndarray]:
        """Returns a state if it is one of this model.

        Raises:
            InputError: if it is none.
        """

    def initial_state(self, **conditions) -> dict[str, np.ndarray]:
        """Returns the state after digital silence.

        Args:
            **conditions: as `WaveNet.generate` takes them.

        Raises:
            InputError: for a condition that is missing, that the model does not take, or that has
                the wrong shape or range.
        """
        conditions = self.conditioning.checked(conditions, self.batch_size)
        return self.call_signature(
            "initial_state", **clients.conditions_of_silence(self.metadata, conditions)
        )

    def prime(self, audio, **conditions) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Returns the state after a prompt, and its log-likelihood.

        Args:
            audio: float `[streams or 1, samples]` in [-1, 1]; with local conditioning, whole frames
                of it.
            **conditions: as `WaveNet.generate` takes them; frames begin with the audio.

        Returns:
            The state after it, and the log-likelihood of each sample in nats, `[streams, samples]`.

        Raises:
            InputError: for audio of another shape, with numbers that are not finite, or longer than
                its frames.
        """
        audio = clients.checked_audio(self.metadata, self.batch_size, audio)
        conditions = self.conditioning.checked(conditions, self.batch_size)
        if LOCAL_CONDITIONING in conditions:
            frames, hop = conditions[LOCAL_CONDITIONING].shape[1], self.metadata["hop_length"]
            if frames * hop < audio.shape[1]:
                raise InputError(
                    f"local_conditioning must have a frame for each {hop} samples of audio; "
                    f"received {frames} frames and {audio.shape[1]} samples"
                )
        state = self.initial_state(**conditions)
        # Before it lies digital silence, so that blocks may begin there.
        silent = -audio.shape[1] % self.block_size
        padded = np.pad(audio, [[0, 0], [silent, 0]])
        padded = np.repeat(padded, self.batch_size // len(padded), axis=0)
        scores = [np.zeros([self.batch_size, 0], np.float32)]
        for first in range(0, padded.shape[1], self.block_size):
            state = self.call_signature(
                "prime",
                audio=padded[:, first : first + self.block_size],
                **clients.conditions_of_block(self.metadata, conditions, first - silent),
                **state,
            )
            scores.append(state.pop("log_likelihood"))
        return state, np.concatenate(scores, axis=1)[:, silent:]

    def stream(
        self,
        prompt=None,
        temperature: float = 1.0,
        seed: int | None = None,
        state: dict[str, np.ndarray] | None = None,
        **conditions,
    ) -> clients.AudioStream:
        """Samples audio without end, or to the end of its frames, in blocks.

        Args:
            prompt: audio to continue, as `prime` takes it.
            temperature: as `WaveNet.generate` takes it.
            seed: as `WaveNet.generate` takes it: the same seed gives the same audio as there,
                except for rounding and quantization.
            state: state to continue from, of `prime` or of another stream, instead of a prompt.
            **conditions: as `WaveNet.generate` takes them; frames begin with the prompt, or
                with the first sample after the state.

        Raises:
            InputError: for an argument out of range or of the wrong shape.
        """
        if prompt is not None and state is not None:
            raise InputError("give a prompt or a state to continue from, not both")
        checked = self.conditioning.checked(conditions, self.batch_size)
        mean = self.metadata.get("frame_mean")
        if mean is not None and LOCAL_CONDITIONING in checked:
            check_frame_statistics(
                checked[LOCAL_CONDITIONING], mean, self.metadata["frame_deviation"]
            )
        start = 0
        if prompt is not None:
            state, scores = self.prime(prompt, **conditions)
            start = scores.shape[1]
        elif state is None:
            state = self.initial_state(**conditions)
        else:
            state = self.checked_state(state)
        return clients.AudioStream(
            self.call_signature,
            self.metadata,
            checked,
            state,
            start,
            temperature,
            seed,
            self.description,
        )

    def check_sampling(self) -> None:
        """Raises InputError unless the model samples a block that holds no NaN or infinity.

        Its conditions are zeros: the first speaker, a frame or vector of zeros.
        """
        conditions: dict[str, Any] = {
            name: np.zeros([1, *shape], int)
            for name, shape in self.conditioning.shapes(frames=1).items()
        }
        next(self.stream(seed=0, **conditions))
