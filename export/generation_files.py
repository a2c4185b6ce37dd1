"""What a program samples with an exported file into a WAV or FLAC file: its flags and checks."""

from shared import command_line  # isort: skip

import os
from pathlib import Path
from typing import Any

import inputs
import numpy as np
import soundfile
from absl import flags

from wavenet_tf import files
from wavenet_tf.audio import formats
from wavenet_tf.block_generator import BlockGenerator
from wavenet_tf.errors import InputError

# `--help` shows the flags as those of the program.
flags.disclaim_key_flags()


class GenerationFiles:
    """The flags of a program that samples audio into a file; it defines them."""

    def __init__(self):
        self._output = command_line.define_path(
            "output", None, "WAV or FLAC file to write.", required=True
        )
        self._seconds = flags.DEFINE_float(
            "seconds", 2.0, "Length of the audio, without the prompt."
        )
        self._prompt = command_line.define_path(
            "prompt", None, "Recording to continue, at the model's sample rate."
        )
        self._speaker = command_line.define_speaker()
        self._tags = command_line.define_tags()
        self._tags_at = command_line.define_tags_at()
        self._features = command_line.define_path(
            "features", None, "NumPy file of local conditioning, float [frames, channels]."
        )
        self._temperature = command_line.define_temperature()
        self._seed = command_line.define_seed()

    def check(self, kind: str, model: str) -> None:
        """Raises InputError unless the files exist and the output can be written.

        Args:
            kind: of the model's file, for the error.
            model: path of the model.
        """
        output = self._output.value
        if Path(output).suffix.lower() not in (".wav", ".flac"):
            raise InputError(f"--output must be a WAV or FLAC file; received {output}")
        command_line.check_seconds(self._seconds.value)
        command_line.check_output("output", output, self._prompt.value, self._features.value, model)
        for name, path in (
            (kind, model),
            ("recording", self._prompt.value),
            ("NumPy file", self._features.value),
        ):
            command_line.check_exists(name, path)

    def conditions(self, runner: BlockGenerator) -> dict[str, Any]:
        """Returns the conditions that the flags give, as `WaveNet.generate` takes them.

        Args:
            runner: of the model.
        """
        return inputs.conditions(
            runner.metadata, self._speaker.value, self._tags.value, self._features.value
        )

    def write_audio(self, runner: BlockGenerator, conditions: dict[str, Any], threads: int) -> None:
        """Samples audio, writes it and prints a line; an interruption keeps the audio so far.

        Args:
            runner: of the model.
            conditions: as `WaveNet.generate` takes them.
            threads: that the runner uses, for the line.
        """
        output, sample_rate = self._output.value, runner.metadata["sample_rate"]
        stream = runner.stream(
            prompt=inputs.prompt(self._prompt.value, sample_rate),
            temperature=self._temperature.value,
            seed=self._seed.value,
            **conditions,
        )
        names = runner.metadata.get("tag_names")
        command_line.change_tags(stream, names, sample_rate, self._tags_at.value)
        samples = stream.num_samples or inputs.length(self._seconds.value, sample_rate)
        blocks: list[np.ndarray] = []
        try:
            while stream.samples_done < samples:
                blocks.append(next(stream))
                inputs.show_progress(
                    stream.samples_done, samples, sample_rate, stream.real_time_factor
                )
        except KeyboardInterrupt:
            if not blocks:
                raise
        audio = np.concatenate(blocks, axis=1)[:, :samples]
        steps = formats.to_16_bits(audio)
        with files.atomic_path(output) as temporary:
            try:
                soundfile.write(os.fsencode(temporary), steps.T, sample_rate, subtype="PCM_16")
            except soundfile.LibsndfileError as error:
                raise InputError(f"cannot write {output}: {error}") from error
        print(
            f"{output}: {audio.shape[1] / sample_rate:.2f} s at {sample_rate} Hz, "
            f"{stream.samples_done / stream.seconds:,.0f} samples/s, real-time factor "
            f"{stream.real_time_factor:.2f}, {threads} thread{'s' * (threads > 1)}"
        )
        if audio.shape[1] < samples:
            raise KeyboardInterrupt
