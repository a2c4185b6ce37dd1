"""Training and evaluation of the models of prosody in a run."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf import data, evaluation, files, training
from wavenet_tf.errors import InputError
from wavenet_tf.model_directory.model_files import LAST
from wavenet_tf.models import DurationModel, LogF0Model, WaveNet
from wavenet_tf.models.prosody import ProsodyModel
from wavenet_tf.runs.checkpointing import load_model
from wavenet_tf.runs.open_run import Run
from wavenet_tf.speech import Voice

FILES = {"durations": "durations.keras", "log_f0": "log_f0.keras"}
BATCH_SIZE = 16  # utterances
LEARNING_RATE = 2e-3
STEPS_PER_EPOCH = 100
MAX_FRAMES = 400  # of a training utterance of the model of F0; longer ones are cut


class Utterance(NamedTuple):
    """What the models of prosody learn from a recording.

    Attributes:
        phones: linguistic features, `[phones, features]`.
        durations: frames of each phone.
        f0: log F0 and voicing of each frame, `[frames, 2]`; no columns without F0.
        speaker_id: id of its speaker; 0 without speakers.
    """

    phones: np.ndarray
    durations: np.ndarray
    f0: np.ndarray
    speaker_id: int


def train_prosody(run: Run, model_dir: Path) -> None:
    """Trains the models of prosody that the settings name, or resumes their training.

    A model that is in the model directory already is kept.

    Args:
        run: of the task "speak".
        model_dir: where the models are written.

    Raises:
        InputError: for recordings without F0, or models of another phone set or other speakers.
    """
    config, settings = run.model.config, run.settings
    wanted = settings.prosody_models
    learned = _utterances(run.model, run.training) if wanted else []
    validation = _utterances(run.model, run.validation) if wanted else []
    for name in wanted:
        path = model_dir / FILES[name]
        if path.exists():
            _check_fits(path, keras.saving.load_model(path, compile=False), run.model)
            print(f"{name}: {path} is trained already")
            continue
        arguments: dict[str, Any] = {
            "phone_set": config.phone_set,
            "speaker_names": config.speaker_names,
            "frame_seconds": _linguistic_source(run.model).hop_length / run.model.sample_rate,
        }
        keras.utils.set_random_seed(settings.seed)
        if name == "durations":
            model = DurationModel(**arguments)
        else:
            model = LogF0Model(feature=settings.feature_names[0], **arguments)
            f0 = [[np.zeros([0, 2])] for _ in config.speaker_names or ("",)]
            for utterance in learned:
                f0[utterance.speaker_id].append(utterance.f0)
            model.adapt([np.concatenate(parts) for parts in f0])
        _fit(model, learned, settings.prosody_steps, settings.seed, model_dir / f".{name}_backup")
        with files.atomic_path(path) as temporary:
            model.save(temporary)
        shutil.rmtree(model_dir / f".{name}_backup", ignore_errors=True)
        print(f"{name}: {_evaluated(model, validation)}")


def load_prosody(model_dir: str | os.PathLike, wavenet: WaveNet) -> dict[str, ProsodyModel]:
    """Returns the trained models of prosody of a run, by their names in `SPEECH_MODELS`.

    Args:
        model_dir: of a training run of the task "speak".
        wavenet: the model of the run.

    Raises:
        InputError: if a model does not fit the WaveNet.
    """
    models = {}
    for name, file in FILES.items():
        path = Path(model_dir) / file
        if path.exists():
            models[name] = keras.saving.load_model(path, compile=False)
            _check_fits(path, models[name], wavenet)
    return models


def load_voice(
    model_dir: str | os.PathLike,
    step: int | str = LAST,
    verbose: bool = False,
    runtime: str = "tensorflow",
) -> Voice:
    """Returns the voice of a run of the task "speak".

    Args:
        model_dir: of the run.
        step: of the WaveNet, as `load_model` takes it.
        verbose: as `load_model` takes it.
        runtime: as `WaveNet.stream` takes it.

    Raises:
        InputError: as `load_model` and `load_prosody` raise it; for a run of another task, or
            without a model that is needed.
    """
    wavenet = load_model(model_dir, step, verbose)
    if wavenet.config.phone_set is None:
        raise InputError(f"the model in {model_dir} was not trained with --task speak")
    models = load_prosody(model_dir, wavenet)
    needed = FILES if wavenet.config.features else ("durations",)
    for name in needed:
        if name not in models:
            raise InputError(
                f"{model_dir} has no {FILES[name]}: train it with --task speak --models {name}"
            )
    log_f0 = models.get("log_f0") if wavenet.config.features else None
    return Voice(wavenet, models["durations"], log_f0, runtime)


def evaluate_prosody(
    model: ProsodyModel, wavenet: WaveNet, recordings: data.Recordings
) -> "evaluation.DurationErrors | evaluation.F0Errors":
    """Returns the errors of a model of prosody; F0 in free running, with the true durations.

    Args:
        model: a `DurationModel` or `LogF0Model`.
        wavenet: the model of the same run.
        recordings: with alignments, F0 and speakers, as the model needs them.
    """
    return _evaluated(model, _utterances(wavenet, recordings))


def _check_fits(path: Path, model: ProsodyModel, wavenet: WaveNet) -> None:
    config = wavenet.config
    feature = getattr(model, "feature", None)
    fits = tuple(model.phone_set) == tuple(config.phone_set or ())
    fits &= tuple(model.speaker_names or ()) == tuple(config.speaker_names or ())
    if not fits or (feature is not None and feature not in (config.features or ())):
        raise InputError(
            f"{path} is a model of other phones, speakers or F0 than the WaveNet beside it: train "
            "it again in an empty folder"
        )


def _linguistic_source(model: WaveNet) -> data.LinguisticSource:
    return data.LinguisticSource(model.config.phone_set or (), model.hop_length or 1)


def _utterances(model: WaveNet, recordings: data.Recordings) -> list[Utterance]:
    """Returns what the models of prosody learn from recordings."""
    config = model.config
    source = _linguistic_source(model)
    found = []
    for index in range(len(recordings.names)):
        phones, durations = source.phones_and_durations(recordings, index)
        f0 = np.zeros([int(durations.sum()), 0], np.float32)
        if config.features:
            f0 = np.asarray(recordings.features[index][:], np.float32)
        speaker = int(recordings.speaker_ids[index]) if config.speaker_names else 0
        found.append(Utterance(phones, durations, f0, speaker))
    return found


def _fit(
    model: ProsodyModel, utterances: Sequence[Utterance], steps: int, seed: int, backup: Path
) -> None:
    """Trains a model of prosody; an interrupted training resumes from its backup."""
    epochs = -(-steps // STEPS_PER_EPOCH)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, epochs * STEPS_PER_EPOCH)
    model.compile(keras.optimizers.Adam(schedule, global_clipnorm=1.0))
    model.fit(
        _batches(model, utterances, seed),
        epochs=epochs,
        steps_per_epoch=STEPS_PER_EPOCH,
        callbacks=[
            keras.callbacks.BackupAndRestore(str(backup)),
            training.ProgressLine(epochs * STEPS_PER_EPOCH, BATCH_SIZE, "utterances"),
        ],
        verbose=0,
        shuffle=False,
    )


def _batches(model: ProsodyModel, utterances: Sequence[Utterance], seed: int) -> tf.data.Dataset:
    """Returns endless batches of inputs, targets and weights, in random order."""
    is_duration = isinstance(model, DurationModel)

    def generate() -> Iterator:
        generator = np.random.default_rng(seed)
        while True:
            for index in generator.permutation(len(utterances)):
                example = _example(model, utterances[index])
                if not is_duration:
                    length = len(example[1])
                    first = generator.integers(max(1, length - MAX_FRAMES + 1))
                    example = _cut(example, first, first + MAX_FRAMES)
                yield example

    width = len(model.features.phone_names if is_duration else model.features.frame_names)
    inputs = {"phones" if is_duration else "frames": tf.TensorSpec([None, width])}
    if not is_duration:
        inputs["f0"] = tf.TensorSpec([None, 2])
    if model.speaker_names:
        inputs["speaker_id"] = tf.TensorSpec([], tf.int32)
    channels = 1 if is_duration else 2
    signature = (inputs, tf.TensorSpec([None, channels]), tf.TensorSpec([None]))
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return dataset.padded_batch(BATCH_SIZE).prefetch(2)


def _example(model: ProsodyModel, utterance: Utterance) -> tuple[dict, np.ndarray, np.ndarray]:
    """Returns inputs, targets and weights of an utterance."""
    inputs: dict[str, Any]
    if isinstance(model, DurationModel):
        inputs = {"phones": utterance.phones}
        targets = np.log(np.maximum(utterance.durations, 1))[:, None].astype(np.float32)
    else:
        frames = model.features.of_frames(
            utterance.phones, utterance.durations, model.frame_seconds
        )
        inputs = {"frames": frames, "f0": utterance.f0}
        targets = utterance.f0
    if model.speaker_names:
        inputs["speaker_id"] = np.int32(utterance.speaker_id)
    return inputs, targets, np.ones(len(targets), np.float32)


def _cut(example, first: int, end: int):
    """Returns a part of an example in time."""
    inputs, targets, weights = example
    cut = {name: value[first:end] if np.ndim(value) else value for name, value in inputs.items()}
    return cut, targets[first:end], weights[first:end]


def _evaluated(model: ProsodyModel, utterances: Sequence[Utterance]):
    """Returns the errors of a model over utterances."""
    speakers = model.speaker_names
    predicted, true = [], []
    for utterance in utterances:
        speaker = speakers[utterance.speaker_id] if speakers else None
        if isinstance(model, DurationModel):
            predicted.append(model.frames(utterance.phones, speaker))
            true.append(utterance.durations)
        else:
            frames = model.features.of_frames(
                utterance.phones, utterance.durations, model.frame_seconds
            )
            predicted.append(model.generate(frames, speaker))
            true.append(utterance.f0)
    if isinstance(model, DurationModel):
        return evaluation.DurationErrors.of_utterances(true, predicted, model.frame_seconds)
    return evaluation.F0Errors.of_utterances(true, predicted)
