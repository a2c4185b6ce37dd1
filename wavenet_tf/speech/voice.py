"""Speaks sentences: predicts their prosody, and conditions a WaveNet on it (WaveNet, 3.2)."""

import concurrent.futures
import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wavenet_tf import audio, data
from wavenet_tf.audio_blocks import BlockStream
from wavenet_tf.errors import InputError
from wavenet_tf.models import DurationModel, LogF0Model, WaveNet
from wavenet_tf.text import LinguisticFeatures, Sentence
from wavenet_tf.text.linguistic import SpokenPhone
from wavenet_tf.text.phonetics import SILENCE

# The first block of a sentence is ready soon.
BLOCK_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class Prosody:
    """How a sentence is spoken.

    Attributes:
        durations: frames of each phone.
        f0: log F0 and voicing of each frame, `[frames, 2]`; None for a model without F0.
    """

    durations: np.ndarray
    f0: np.ndarray | None = None


class Voice:
    """Speaks sentences with the models of a run of the task "speak".

    Args:
        wavenet: conditioned on linguistic features, and on F0 if there is a model of it.
        durations: predicts how long phones are.
        log_f0: predicts F0; None for a WaveNet without F0.
        runtime: what samples, as `WaveNet.stream` takes it.

    Attributes:
        hop_length: samples per frame.

    Raises:
        InputError: for a WaveNet that is not conditioned on linguistic features, or models of
            frames of different durations.

    Example: untrained models; a trained voice is read by `runs.load_voice`.
    >>> from wavenet_tf.models.config import frame_channels
    >>> from wavenet_tf.text import sentence_of_phones
    >>> phones = ("AY", "HH", "sil")
    >>> wavenet = WaveNet.from_preset("tiny", phone_set=phones, upsample_factors=[5, 8],
    ...                               local_channels=frame_channels(None, phones))
    >>> voice = Voice(wavenet, DurationModel(phones))
    >>> sentence = sentence_of_phones("HH AY1")
    >>> prosody = voice.predict(sentence)
    >>> len(voice.frames(sentence, prosody)) == int(prosody.durations.sum())
    True
    """

    def __init__(
        self,
        wavenet: WaveNet,
        durations: DurationModel,
        log_f0: LogF0Model | None = None,
        runtime: str = "tensorflow",
    ):
        if wavenet.config.phone_set is None or wavenet.hop_length is None:
            raise InputError("the model was not trained to speak: it has no phone set")
        self.wavenet, self.durations, self.log_f0 = wavenet, durations, log_f0
        self.runtime = runtime
        self.hop_length = wavenet.hop_length
        self.features = LinguisticFeatures(wavenet.config.phone_set)
        if not math.isclose(durations.frame_seconds, self.frame_seconds):
            raise InputError(
                f"durations must be in frames of {self.frame_seconds:g} s, as the model takes "
                f"them; received a model of frames of {durations.frame_seconds:g} s"
            )

    @property
    def frame_seconds(self) -> float:
        """Duration of a frame."""
        return self.hop_length / self.wavenet.sample_rate

    def warm_up(self) -> None:
        """Traces and compiles the models, so that the first sentence starts without delay."""
        silence = Sentence([SpokenPhone(SILENCE)] * 2, [])
        durations = np.ones(2, np.int32)
        f0 = None if self.log_f0 is None else np.zeros([2, 2], np.float32)
        frames = self.frames(silence, Prosody(durations, f0))
        with concurrent.futures.ThreadPoolExecutor() as executor:
            first_block = executor.submit(next, self.stream(frames))
            if self.log_f0 is not None:
                self.log_f0.trace()
            self.predict(silence)
            first_block.result()

    def predict(
        self,
        sentence: Sentence,
        speaker: str | None = None,
        rate: float = 1.0,
        semitones: float = 0.0,
        durations: np.ndarray | None = None,
    ) -> Prosody:
        """Predicts how a sentence is spoken.

        Args:
            sentence: of a front end.
            speaker: name of the speaker; None takes the first.
            rate: factor of the speed.
            semitones: by which F0 is raised.
            durations: frames of each phone, where they are known; None predicts them.

        Raises:
            InputError: for phones that the model does not know, an unknown speaker, a rate that is
                not positive, or semitones for a model without F0.
        """
        of_phones = self.features.of_phones(sentence.phones)
        if durations is None:
            durations = self.durations.frames(of_phones, speaker, rate)
        if self.log_f0 is None:
            if semitones:
                raise InputError(
                    f"the pitch is given by F0, which this model has not; received {semitones!r}"
                )
            return Prosody(durations)
        frames = self.features.of_frames(of_phones, durations, self.frame_seconds)
        return Prosody(durations, self.log_f0.generate(frames, speaker, semitones))

    def frames(self, sentence: Sentence, prosody: Prosody) -> np.ndarray:
        """Returns the frames that condition the WaveNet, `[frames, local_channels]`.

        Args:
            sentence: of a front end.
            prosody: predicted, or of a recording.
        """
        of_phones = self.features.of_phones(sentence.phones)
        frames = self.features.of_frames(of_phones, prosody.durations, self.frame_seconds)
        return frames if prosody.f0 is None else np.concatenate([frames, prosody.f0], axis=-1)

    def stream(
        self,
        frames: np.ndarray,
        speaker: str | None = None,
        temperature: float = 1.0,
        seed: int | None = None,
    ) -> BlockStream:
        """Returns the audio of frames in blocks, as `WaveNet.stream` does.

        Args:
            frames: as the method `frames` returns them.
            speaker: name of the speaker; None takes the first.
            temperature: as `WaveNet.stream` takes it.
            seed: as `WaveNet.stream` takes it.
        """
        block = max(1, round(BLOCK_SECONDS / self.frame_seconds)) * self.hop_length
        return self.wavenet.stream(
            speaker_id=self.durations.speaker_id(speaker),
            local_conditioning=frames[None],
            temperature=temperature,
            seed=seed,
            block_size=block,
            runtime=self.runtime,
        )

    def alignment(
        self, sentence: Sentence, prosody: Prosody
    ) -> dict[str, list[tuple[float, float, str]]]:
        """Returns the times of phones and words: start and end in seconds, and label, by kind.

        Args:
            sentence: of a front end.
            prosody: of the sentence.
        """
        ends = np.cumsum(prosody.durations) * self.frame_seconds
        starts = ends - prosody.durations * self.frame_seconds
        times = list(zip(starts.tolist(), ends.tolist(), strict=True))
        phones = [(*time, p.label) for time, p in zip(times, sentence.phones, strict=True)]
        words: list[tuple[float, float, str]] = []
        previous = None
        for (start, end), phone in zip(times, sentence.phones, strict=True):
            if phone.word is not None and phone.word == previous:
                words[-1] = (words[-1][0], end, words[-1][2])
            elif phone.word is not None:
                words.append((start, end, sentence.words[phone.word]))
            previous = phone.word
        return {"phones": phones, "words": words}


def recorded_sentence(
    voice: Voice,
    waveform: np.ndarray,
    alignment: Mapping[str, Sequence[tuple[float, float, str]]],
    text: str | None = None,
) -> tuple[Sentence, Prosody]:
    """Returns the sentence of a recording, and its prosody.

    Args:
        voice: which gives the phone set and the feature of F0.
        waveform: float32 `[samples]` at the sample rate of the voice.
        alignment: of the recording, by kind: "phones", and "words" and "stress" if there are any.
        text: of the recording, if it is known: a question mark at its end is a question.

    Raises:
        InputError: for an alignment without phones, of other phones, or of another length.
    """
    model = voice.wavenet
    seconds = len(waveform) / model.sample_rate
    checked = {
        kind: data.check_segments(segments, seconds, kind)[0]
        for kind, segments in alignment.items()
    }
    clip = data.Clip("recording", text=text, alignment=checked)
    recordings = data.Recordings(
        Path(),
        ["recording"],
        [waveform],
        np.array([len(waveform)]),
        model.sample_rate,
        metadata=[clip],
    )
    source = data.LinguisticSource(voice.features.phone_set, voice.hop_length)
    source.check(recordings)
    phones = source.spoken_phones(recordings, 0)
    _, durations = source.phones_and_durations(recordings, 0)
    f0 = None
    if model.config.features:
        f0 = audio.extract_features(
            waveform, model.sample_rate, voice.hop_length, model.config.features
        )
    words = [label for *_, label in checked.get("words", ())]
    if not words:
        words = [""] * (1 + max((phone.word or 0 for phone in phones), default=0))
    return Sentence(phones, words), Prosody(durations, f0)
