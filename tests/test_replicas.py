"""Training on several devices or in several processes equals training on one, up to rounding.

Run as a program, this file is one of the processes.
"""

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, SMALL, randomise, tone
from programs import Program

import wavenet_tf as wt
from wavenet_tf import data, runs, training
from wavenet_tf.errors import InputError

BATCH, STEPS = 6, 3
CLIP_NORM = 0.2  # below the norm of most gradients here
LONGEST = 240  # seconds that a process may take; an ordinary one takes 15
NOTICED = 60  # seconds until a dead worker is noticed, at most
TWO_BLOCKS = {**SMALL, "num_stacks": 1, "layers_per_stack": 2}  # traced by each process


def padded_crops(crops: int) -> tf.data.Dataset:
    """Returns crops of random codes whose padding differs widely; the last batch is incomplete."""
    generator = np.random.default_rng(0)
    codes, targets = generator.integers(0, 256, (2, crops, 40)).astype(np.int32)
    lengths = generator.integers(1, 41, crops)
    lengths[::5] = 0
    weights = (np.arange(40) < lengths[:, None]).astype(np.float32)
    speakers = generator.integers(0, 3, crops).astype(np.int32)
    inputs = {"audio": codes, "speaker_id": speakers}
    return tf.data.Dataset.from_tensor_slices((inputs, targets, weights)).batch(BATCH)


def new_model(optimizer, **overrides) -> wt.WaveNet:
    model = wt.WaveNet(**{**TWO_BLOCKS, **overrides})
    randomise(model)
    model.compile(optimizer)
    return model


def recordings_of(clips) -> data.Recordings:
    clips = [np.round(clip * 32767).astype(np.int16) for clip in clips]
    names = [f"clip_{index}" for index in range(len(clips))]
    return data.Recordings(Path(), names, clips, np.array([len(clip) for clip in clips]), 8000)


def sgd() -> keras.optimizers.Optimizer:
    """Returns an optimizer whose steps depend on the size of the gradient, unlike those of Adam."""
    return keras.optimizers.SGD(1.0, global_clipnorm=CLIP_NORM)


def train_on_a_plain_dataset(strategy, folder: Path, task: int):
    """Trains on a dataset that is not split among workers; the chief writes log and checkpoints."""
    with strategy.scope():
        model = new_model(sgd(), num_speakers=3)
    callbacks = []
    if training.is_chief(strategy):
        path = str(folder / f"of_task_{task}_{{epoch}}.keras")
        callbacks = [
            keras.callbacks.CSVLogger(str(folder / "log.csv")),
            keras.callbacks.ModelCheckpoint(path),
        ]
    history = model.fit(
        padded_crops(STEPS * BATCH - 1),
        validation_data=padded_crops(2 * BATCH - 1),
        epochs=2,
        callbacks=callbacks,
        verbose=0,
    ).history
    assert max(history["gradient_norm"]) > 2 * CLIP_NORM
    history["evaluated"] = [model.evaluate(padded_crops(2 * BATCH - 1), verbose=0)[0]]
    return model, history


def train_on_distributed_recordings(strategy, folder: Path, task: int):
    """Trains on batches of which each worker reads its part, with loss scaling."""
    recordings = recordings_of([tone(length / 8000) for length in (170, 410, 660, 2500, 90)])
    with strategy.scope():
        model = new_model(keras.optimizers.LossScaleOptimizer(sgd(), initial_scale=256.0))

    def batches(worker, workers):
        arguments = (recordings, model.crop_spec, BATCH, 0.03)
        return data.training_batches(*arguments, worker=worker, num_workers=workers)

    history = model.fit(
        training.distribute(batches, BATCH, strategy),
        validation_data=data.evaluation_batches(
            recordings, model.crop_spec, BATCH, 0.03, whole_batches=True
        ),
        steps_per_epoch=STEPS,
        epochs=2,
        verbose=0,
    ).history
    assert max(history["gradient_norm"]) > 2 * CLIP_NORM
    return model, history


def train_a_run(strategy, folder: Path, task: int):
    """Trains a run with EMA, patience and TensorBoard, stopped half-way and resumed."""
    recordings = folder / f"recordings_{task}"
    for index in range(8):
        wt.write_audio(recordings / f"{index}.wav", tone(frequency=300.0 + 50.0 * index), 8000)
    for steps in (STEPS, 2 * STEPS):
        settings = runs.Settings(
            str(recordings),
            overrides=TWO_BLOCKS,
            steps=steps,
            batch_size=BATCH,
            crop_seconds=0.05,
            learning_rate=0.003,
            schedule="constant",
            steps_per_validation=STEPS,
            ema_decay=0.9,
            patience=9,
            tensorboard_audio=0.01,
            tensorboard_histograms=True,
        )
        if training.num_workers(strategy) == 1:
            with strategy.scope():
                model = runs.train(settings, folder / "run")
        else:
            with strategy.scope(), pytest.raises(InputError, match="outside the scope"):
                runs.train(settings, folder / "run")
            model = runs.train(settings, folder / "run")
    assert runs.best_validation(folder / "run").step == 2 * STEPS
    history = {name: values.tolist() for name, values in runs.read_log(folder / "run").items()}
    return model, history


TRAININGS = [train_on_a_plain_dataset, train_on_distributed_recordings, train_a_run]


def train(strategy, folder: Path, task: int = 0) -> None:
    """Writes the weights and the history of each training."""
    for training_function in TRAININGS:
        model, history = training_function(strategy, folder, task)
        assert all(isinstance(value, float) for values in history.values() for value in values)
        path = folder / f"{training_function.__name__}_{task}"
        np.savez(path.with_suffix(".npz"), *model.get_weights())
        path.with_suffix(".json").write_text(json.dumps(history))


def die_or_wait(strategy, folder: Path, task: int) -> None:
    """Kills the last worker during training; the others write how long they took to notice."""
    with strategy.scope():
        model = new_model(sgd(), num_speakers=3)

    class Die(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.last = time.monotonic()
            if batch == 1 and task == training.num_workers(strategy) - 1:
                os.kill(os.getpid(), signal.SIGKILL)

    die = Die()
    try:
        model.fit(padded_crops(BATCH).repeat(), steps_per_epoch=10**6, callbacks=[die], verbose=0)
    except tf.errors.OpError:
        noticed = time.monotonic() - die.last
        (folder / f"noticed_{task}.json").write_text(json.dumps(noticed))
        sys.exit(1)


class SquaredError(training.GlobalMeanLoss):
    def call(self, y_true, y_pred):
        return tf.square(y_pred - y_true)


class AbsoluteError(training.GlobalMeanLoss):
    def call(self, y_true, y_pred):
        return tf.reduce_sum(tf.abs(y_pred - y_true), axis=-1)


def train_two_outputs(strategy) -> tuple[list[np.ndarray], dict[str, list[float]]]:
    """Returns the weights and the history of a plain Keras model with two losses.

    The sample weights of one replica are much smaller than those of the other, and the last batch
    has an odd number of examples.
    """
    generator = np.random.default_rng(0)
    examples = STEPS * BATCH - 1
    targets = {
        "frames": generator.normal(size=(examples, 4)).astype(np.float32),
        "clip": generator.normal(size=(examples, 2)).astype(np.float32),
    }
    heavy = np.arange(examples) % BATCH < BATCH // 2
    scale = np.where(heavy, 1.0, 0.01).astype(np.float32)
    weights = {
        "frames": scale[:, None] * generator.random((examples, 4), np.float32),
        "clip": scale[::-1] * generator.random(examples, np.float32),
    }
    inputs = generator.normal(size=(examples, 3)).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((inputs, targets, weights)).batch(BATCH)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        features = keras.Input([3])
        hidden = keras.layers.Dense(5, activation="tanh")(features)
        outputs = {
            "frames": keras.layers.Dense(4, kernel_regularizer="l2", name="frames")(hidden),
            "clip": keras.layers.Dense(2, name="clip")(hidden),
        }
        model = keras.Model(features, outputs)
        model.compile(
            keras.optimizers.SGD(0.3),
            loss={"frames": SquaredError(), "clip": AbsoluteError()},
            loss_weights={"frames": 0.3, "clip": 2.0},
        )
    history = model.fit(
        training.shard_by_element(dataset),
        validation_data=training.shard_by_element(dataset.take(2)),
        epochs=3,
        shuffle=False,
        verbose=0,
    ).history
    return model.get_weights(), history


def train_classifier(strategy) -> tuple[list[np.ndarray], dict[str, list[float]]]:
    """Returns the weights and the history of a classifier of frames, with the loss of both outputs.

    One replica has many more labelled frames than the other.
    """
    generator = np.random.default_rng(0)
    examples, frames, frame_length = STEPS * BATCH - 1, 6, 8
    codes = generator.integers(0, 256, [examples, frames * frame_length])
    targets = {"classes": generator.integers(0, 3, [examples, frames]), "next_sample": codes}
    heavy = np.arange(examples) % BATCH < BATCH // 2
    labelled = generator.random([examples, frames]) < np.where(heavy, 0.9, 0.1)[:, None]
    weights = {
        "classes": labelled.astype(np.float32),
        "next_sample": generator.random(codes.shape, np.float32),
    }
    dataset = tf.data.Dataset.from_tensor_slices((codes, targets, weights)).batch(BATCH)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = wt.WaveNetClassifier(SMALL, num_classes=3, frame_seconds=0.001, channels=5)
        model.compile(keras.optimizers.SGD(0.1, global_clipnorm=1.0))
    history = model.fit(
        dataset, validation_data=dataset.take(2), epochs=3, shuffle=False, verbose=0
    ).history
    return model.get_weights(), history


def compare_two_outputs(train, names: set[str], strategy) -> None:
    one, history_of_one = train(tf.distribute.get_strategy())
    two, history_of_two = train(strategy)
    training_only = names & {"gradient_norm"}
    assert history_of_one.keys() == names | {f"val_{name}" for name in names - training_only}
    assert history_of_two.keys() == history_of_one.keys()
    for name, values in history_of_one.items():
        np.testing.assert_allclose(history_of_two[name], values, rtol=1e-5, err_msg=name)
        assert "error_rate" in name or len(set(values)) == len(values)
    for expected, actual in zip(one, two, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-6)


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """Returns the folder with the results of one process with one replica."""
    folder = tmp_path_factory.mktemp("alone")
    train(training.named_strategy("default"), folder)
    return folder


def start(environments: list[dict], *arguments) -> list[tuple[int, str]]:
    """Runs this file in each environment at once; returns exit codes and outputs."""
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("SLURM_")}
    programs = [
        Program([__file__, *arguments], {**inherited, **environment}, merge=True)
        for environment in environments
    ]
    try:
        outputs = [program.communicate(timeout=LONGEST)[0] for program in programs]
    finally:
        for program in programs:
            program.kill()
    return [(p.returncode, output) for p, output in zip(programs, outputs, strict=True)]


def free_ports(number: int, first: int = 0) -> list[int]:
    """Returns free ports: from `first` on if given, which raises OSError if one is in use."""
    sockets = []
    for index in range(number):
        sockets.append(socket.socket())
        sockets[-1].bind(("127.0.0.1", first + index if first else 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def assert_same_training(folder: Path, alone: Path, tasks: int) -> None:
    for name in (function.__name__ for function in TRAININGS):
        expected = json.loads((alone / f"{name}_0.json").read_text())
        assert {"loss", "val_loss", "bits_per_sample", "val_bits_per_sample"} <= expected.keys()
        assert "val_gradient_norm" not in expected
        for task in range(tasks):
            history = json.loads((folder / f"{name}_{task}.json").read_text())
            assert history.keys() == expected.keys()
            for key, values in history.items():
                np.testing.assert_allclose(
                    values, expected[key], rtol=2e-5, err_msg=f"{name} {key}"
                )
            with (
                np.load(alone / f"{name}_0.npz") as one,
                np.load(folder / f"{name}_{task}.npz") as w,
            ):
                assert len(one.files) == len(w.files)
                for part in one.files:
                    np.testing.assert_allclose(w[part], one[part], atol=1e-5, err_msg=name)


@pytest.mark.slow
@pytest.mark.once
def test_two_devices_train_as_one(alone, tmp_path):
    ((code, output),) = start([{}], "mirrored", tmp_path)
    assert code == 0, output
    assert_same_training(tmp_path, alone, tasks=1)


@pytest.mark.slow
def test_models_with_two_losses_train_on_two_devices_as_on_one(tmp_path):
    ((code, output),) = start([{}], "two_outputs", tmp_path)
    assert code == 0, output


@pytest.mark.slow
@pytest.mark.once
def test_two_processes_train_as_one_and_end_when_one_dies(alone, tmp_path):
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    environments = [{"TF_CONFIG": tf_config(*addresses, index=index)} for index in range(2)]
    (code, output), (dead, _) = start(environments, "die", tmp_path)
    assert dead == -signal.SIGKILL
    assert code == 1, output
    assert json.loads((tmp_path / "noticed_0.json").read_text()) < NOTICED
    assert_same_training(tmp_path, alone, tasks=2)
    written = {path.name for path in tmp_path.iterdir() if path.suffix in (".csv", ".keras")}
    assert written == {"log.csv", "of_task_0_1.keras", "of_task_0_2.keras"}
    saved = keras.models.load_model(tmp_path / "of_task_0_2.keras")
    assert saved.optimizer.global_clipnorm == CLIP_NORM
    assert int(saved.optimizer.iterations) == 2 * STEPS
    with np.load(tmp_path / f"{TRAININGS[0].__name__}_1.npz") as other:
        for actual, part in zip(saved.get_weights(), other.files, strict=True):
            np.testing.assert_array_equal(actual, other[part])


def train_until_it_ends_well(folder: Path, data_dir: Path, kill: bool) -> list[str]:
    """Returns the outputs of two workers, each restarted until it succeeds, as clusters do."""
    flags = {
        "data_dir": data_dir,
        "model_dir": folder,
        "preset": "tiny",
        "set": "layers_per_stack=2",
        "sample_rate": 8000,
        "batch_size": 2,
        "crop_seconds": 0.05,
        "steps": 120,
        "steps_per_validation": 20,
        "tensorboard_audio": 0,
        "ema_decay": 0.9,
        "deterministic": True,
    }
    words = [f"--{name}={value}" for name, value in flags.items()]
    command = shlex.join([sys.executable, str(ROOT / "tools" / "train.py"), *words])
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    inherited = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    workers = [
        subprocess.Popen(
            ["bash", "-c", f"for start in $(seq 9); do {command} && break; sleep 0.5; done"],
            env={**inherited, "TF_CONFIG": tf_config(*addresses, index=index)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        for index in range(2)
    ]
    try:
        deadline = time.monotonic() + LONGEST
        while kill and not (folder / "checkpoints" / "step_00000040.keras").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        if kill:
            of_last = subprocess.check_output(["pgrep", "-P", str(workers[-1].pid)], text=True)
            os.kill(int(of_last), signal.SIGKILL)
        return [worker.communicate(timeout=LONGEST)[0] for worker in workers]
    finally:
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


@pytest.mark.slow
@pytest.mark.once
def test_a_killed_worker_comes_back_and_nothing_is_lost(recordings_dir, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    chief, other = train_until_it_ends_well(whole, recordings_dir, kill=False)
    # On a stalled machine TensorFlow may regard a worker as dead, so that this run resumes too.
    assert "step 120 of 120" in chief and "bits per sample" not in other
    chief, other = train_until_it_ends_well(killed, recordings_dir, kill=True)
    assert "train.py: another worker is lost. Start every worker again" in chief
    assert "resuming after step" in chief
    assert "Killed" in other
    assert "resuming" not in other and "bits per sample" not in other
    assert (killed / "log.csv").read_text() == (whole / "log.csv").read_text()
    weights, expected = (keras.models.load_model(run / "model.keras") for run in (killed, whole))
    for weight, wanted in zip(weights.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, wanted)


def tf_config(*addresses: str, index: int = 0) -> str:
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})


def slurm_step(tasks: int, **changes) -> list[dict]:
    return [
        {
            "SLURM_STEP_NUM_TASKS": str(tasks),
            "SLURM_STEP_NODELIST": "127.0.0.1",
            "SLURM_STEP_TASKS_PER_NODE": str(tasks),
            "SLURM_JOB_ID": "1",
            "SLURM_PROCID": str(task),
            **changes,
        }
        for task in range(tasks)
    ]


def free_slurm_job(tasks: int) -> str:
    """Returns the number of a Slurm job whose ports are free."""
    for job in range(1000, 1100):
        step = slurm_step(tasks, SLURM_JOB_ID=str(job))[0]
        with pytest.MonkeyPatch.context() as patch:
            for name, value in step.items():
                patch.setenv(name, value)
            addresses = training.detect_cluster().cluster_spec().as_dict()["worker"]
        try:
            free_ports(tasks, first=int(addresses[0].rpartition(":")[2]))
        except OSError:
            continue
        return str(job)
    raise AssertionError("no job has free ports")


@pytest.mark.slow
@pytest.mark.once
def test_three_processes_of_slurm_train_as_one(alone, tmp_path):
    for code, output in start(slurm_step(3, SLURM_JOB_ID=free_slurm_job(3)), "auto", tmp_path):
        assert code == 0, output
    assert_same_training(tmp_path, alone, tasks=3)


@pytest.fixture
def environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("SLURM_") or name == "TF_CONFIG"]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_the_cluster_of_slurm_is_in_the_order_of_its_tasks(environment):
    step = {
        "SLURM_STEP_NUM_TASKS": "8",
        "SLURM_STEP_NODELIST": "gpu[9-11,02].site,login,r[1-2]n[5]",
        "SLURM_STEP_TASKS_PER_NODE": "2,1(x6)",
        "SLURM_JOB_ID": "3",
        "SLURM_PROCID": "7",
    }
    for name, value in step.items():
        environment.setenv(name, value)
    cluster = training.detect_cluster()
    assert cluster.cluster_spec().as_dict()["worker"] == [
        "gpu9.site:10048",
        "gpu9.site:10049",
        "gpu10.site:10048",
        "gpu11.site:10048",
        "gpu02.site:10048",
        "login:10048",
        "r1n5:10048",
        "r2n5:10048",
    ]
    assert (cluster.task_type, cluster.task_id) == ("worker", 7)


def test_without_a_cluster_there_is_one_worker_which_is_the_chief(environment):
    for value in ("", "{}", tf_config("a:1")):
        environment.setenv("TF_CONFIG", value)
        strategy = training.named_strategy("auto")
        assert not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        assert training.num_workers(strategy) == 1
        assert training.is_chief(strategy)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "multi_worker needs a cluster: set TF_CONFIG"),
        ({"TF_CONFIG": "{}"}, "multi_worker needs a cluster: set TF_CONFIG"),
        ({"TF_CONFIG": "{"}, "TF_CONFIG must be JSON .* received '{'"),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}}'}, "TF_CONFIG must be JSON"),
        ({"TF_CONFIG": tf_config("a:1", index=1)}, "TF_CONFIG must be JSON"),
        (
            {"TF_CONFIG": '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}'},
            "chief and worker only",
        ),
        ({"SLURM_STEP_NUM_TASKS": "2"}, "description of the job step: 'SLURM_STEP_NODELIST'"),
        (slurm_step(2, SLURM_STEP_NODELIST="a[1-")[0], r"job step: node list 'a\[1-'"),
        (slurm_step(2, SLURM_STEP_TASKS_PER_NODE="2(x)")[0], "job step: tasks per node"),
        (slurm_step(2, SLURM_STEP_TASKS_PER_NODE="3")[0], "contradict each other: task 0 of 2"),
    ],
)
def test_an_invalid_cluster_is_an_error(environment, variables, message):
    for name, value in variables.items():
        environment.setenv(name, value)
    with pytest.raises(InputError, match=message):
        training.named_strategy("multi_worker")


def test_an_unknown_strategy_is_an_error(environment):
    with pytest.raises(InputError, match="unknown strategy 'tpu': expected one of auto, default"):
        training.named_strategy("tpu")


@pytest.mark.slow
def test_a_loss_that_is_nan_raises_under_a_strategy():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = new_model(keras.optimizers.SGD(1e30), num_speakers=3)
    with pytest.raises(InputError, match=r"the loss is .* rate \(it was 1e\+30\)"):
        model.fit(padded_crops(BATCH).repeat(), steps_per_epoch=9, verbose=0)


def test_whole_batches_only_add_crops_of_no_weight(tmp_path):
    recordings, model = recordings_of([tone(1000 / 8000)]), new_model(sgd())
    plain, whole = (
        list(data.evaluation_batches(recordings, model.crop_spec, 4, 0.01, whole_batches=whole))
        for whole in (False, True)
    )
    assert [batch[1].shape[0] for batch in plain] == [4, 4, 4, 1]
    assert [batch[1].shape[0] for batch in whole] == [4, 4, 4, 4]
    for some, filled in zip(plain, whole, strict=True):
        for part, filled_part in zip(some, filled, strict=True):
            np.testing.assert_array_equal(part, filled_part[: part.shape[0]])
    assert tf.reduce_sum(whole[-1][2][1:]) == 0


if __name__ == "__main__":
    mode, results = sys.argv[1], Path(sys.argv[2])
    if mode in ("mirrored", "two_outputs"):
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, 2 * [tf.config.LogicalDeviceConfiguration()]
        )
        chosen = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        number = 0
    else:
        chosen = training.named_strategy("auto")
        assert isinstance(chosen, tf.distribute.MultiWorkerMirroredStrategy)
        number = chosen.cluster_resolver.task_id
    if mode == "two_outputs":
        compare_two_outputs(train_two_outputs, {"loss", "frames_loss", "clip_loss"}, chosen)
        metrics = {"classes_error_rate", "next_sample_bits_per_sample", "gradient_norm"}
        losses = {"loss", "classes_loss", "next_sample_loss"}
        compare_two_outputs(train_classifier, metrics | losses, chosen)
    else:
        train(chosen, results, number)
    if mode == "die":
        die_or_wait(chosen, results, number)
