"""What TensorBoard shows of a run."""

import os
from pathlib import Path

import keras
import tensorflow as tf


class TensorBoardScalars(keras.callbacks.Callback):
    """Writes losses, metrics and learning rate for TensorBoard, against updates.

    Args:
        directory: gets a folder `train` and a folder `validation`.
    """

    def __init__(self, directory: str | os.PathLike):
        super().__init__()
        self.writers = {
            split: tf.summary.create_file_writer(str(Path(directory) / split))
            for split in ("train", "validation")
        }

    def on_epoch_end(self, epoch, logs=None):
        update = int(self.model.optimizer.iterations)
        for name, value in logs.items():
            split = "validation" if name.startswith("val_") else "train"
            if name != "update":
                with self.writers[split].as_default():
                    tf.summary.scalar(name.removeprefix("val_"), value, step=update)
        with self.writers["train"].as_default():
            tf.summary.scalar("learning_rate", self.model.optimizer.learning_rate, step=update)
        for writer in self.writers.values():
            writer.flush()
