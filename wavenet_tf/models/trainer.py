"""Training of any model of this package with `fit`, on one replica or several."""

import contextlib
from typing import Any

import keras
import tensorflow as tf

from wavenet_tf import training
from wavenet_tf.errors import InputError


class TrainableModel(keras.Model):
    """A Keras model that trains on several replicas as on one, and reports the gradient norm.

    Subclasses define the hooks `default_loss`, `default_weighted_metrics`, `example_batch` and, if
    there is something to check, `check_data` and `explained_errors`.

    Args:
        **kwargs: as `keras.Model` takes them.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.gradient_norm = keras.metrics.Mean(name="gradient_norm")
        self._evaluating = False

    def default_loss(self) -> Any:
        """Returns the loss of a model that is compiled without one."""
        raise NotImplementedError

    def default_weighted_metrics(self) -> Any:
        """Returns the weighted metrics of a model that is compiled without them."""
        raise NotImplementedError

    def example_batch(self) -> tuple[Any, Any, Any]:
        """Returns targets, outputs and weights of a small batch, to build the metrics with."""
        raise NotImplementedError

    def check_data(self, x, y=None) -> None:
        """Raises InputError unless inputs and targets are what the model takes.

        Args:
            x: as `fit` takes it; None for no data.
            y: targets.
        """

    def explained_errors(self) -> contextlib.AbstractContextManager:
        """Returns a context in which TensorFlow's errors about data become InputErrors."""
        return contextlib.nullcontext()

    @property
    def _replicas(self) -> int:
        return self.distribute_strategy.num_replicas_in_sync

    def compile(self, optimizer="adam", loss=None, weighted_metrics=None, **kwargs):
        """Configures training as `keras.Model.compile` does, with the defaults of this model.

        Args:
            optimizer: an optimizer, or the name of one, which then clips the global norm of the
                gradients.
            loss: None takes the default loss of the model.
            weighted_metrics: None takes the default metrics of the model.
            **kwargs: as `keras.Model.compile` takes them.
        """
        if isinstance(optimizer, str):
            optimizer = training.named_optimizer(optimizer)
        if weighted_metrics is None:
            weighted_metrics = self.default_weighted_metrics()
        if self._replicas > 1:
            training.check_distributable(optimizer)
        self._chooses_xla = "jit_compile" not in kwargs
        if self._chooses_xla:
            # XLA compiles no sums over several replicas, and nothing that runs eagerly.
            eager = kwargs.get("run_eagerly") or tf.config.functions_run_eagerly()
            compiles = training.compile_with_xla() and self._replicas == 1
            kwargs["jit_compile"] = compiles and not eager
        super().compile(
            optimizer=optimizer,
            loss=loss or self.default_loss(),
            weighted_metrics=weighted_metrics,
            **kwargs,
        )
        # If the first step made the optimizer's variables, it would be traced twice.
        self.optimizer.build(self.trainable_variables)
        if tf.distribute.has_strategy():
            self.build_metrics()

    def build_metrics(self) -> None:
        """Makes the variables of the loss and the metrics, which otherwise the first step makes."""
        targets, outputs, weights = self.example_batch()
        with keras.StatelessScope():  # the metrics keep their state
            self.compute_loss(None, targets, outputs, weights)
            self.compute_metrics(None, targets, outputs, weights)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Does nothing: `compile` has built everything.

        Keras would average a first batch over the replicas, which fails for a dict
        (keras-team/keras#20585). No public method switches this off.
        """

    def get_compile_config(self):
        """Returns the arguments of `compile`, without an automatic choice of XLA."""
        config = super().get_compile_config()
        if config and self._chooses_xla:
            config.pop("jit_compile", None)
        return config

    def compile_from_config(self, config):
        """Compiles a loaded model as it was saved, with the state of the optimizer."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            outputs = self(x)
            loss = self.compute_loss(x, y, outputs, sample_weight)
            scaled_loss = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, self.trainable_weights)
        # Keras would clip each row of an embedding's sparse gradient by itself.
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        if self._replicas > 1:
            gradients, loss = training.sum_over_replicas((gradients, loss))
        self._track_norm(gradients)
        if self._replicas > 1:
            # The optimizer clips each replica's gradient and then sums: it gets equal shares.
            gradients = [gradient / self._replicas for gradient in gradients]
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        return self._logs(x, y, outputs, sample_weight, loss)

    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        outputs = self(x)
        loss = self.compute_loss(x, y, outputs, sample_weight, training=False)
        logs = self._logs(x, y, outputs, sample_weight, training.sum_over_replicas(loss))
        logs.pop(self.gradient_norm.name, None)
        return logs

    def _track_norm(self, gradients) -> None:
        scale = self.optimizer.scale_loss(1.0)
        norm = tf.linalg.global_norm([gradient / scale for gradient in gradients])
        # An optimizer that scales losses skips a step whose gradients overflow.
        finite = tf.math.is_finite(norm)
        self.gradient_norm.update_state(tf.where(finite, norm, 0.0), sample_weight=finite)

    def _logs(self, x, y, outputs, sample_weight, loss) -> dict[str, tf.Tensor]:
        tracker = next(metric for metric in self.metrics if metric.name == "loss")
        batch_size = tf.shape(tf.nest.flatten(y)[0])[0]
        tracker.update_state(loss, sample_weight=batch_size)
        logs = self.compute_metrics(x, y, outputs, sample_weight)
        if training.num_workers(self.distribute_strategy) > 1:
            # Keras averages over an axis that a scalar does not have: keras-team/keras#20585.
            logs = {name: tf.convert_to_tensor(value)[None] for name, value in logs.items()}
        return logs

    def get_metrics_result(self):
        """Returns the values of the metrics; the gradient norm is a metric of training only."""
        results = super().get_metrics_result()
        if self._evaluating:
            results.pop(self.gradient_norm.name, None)
        return results

    def make_train_function(self, force=False):
        before = self.train_function
        super().make_train_function(force)
        if self._replicas > 1 and self.train_function is not before:
            clipping = training.clip_limits_per_replica(self.optimizer, self._replicas)
            self.train_function = clipping(self.train_function)

    def fit(self, x=None, *args, callbacks=None, validation_data=None, **kwargs):
        """Trains as `keras.Model.fit` does, and stops with a clear error when the loss is NaN.

        Under the scope of a `tf.distribute` strategy it trains as one replica does on the whole
        batch, up to rounding; see `training.named_strategy` and `training.distribute`.

        Raises:
            InputError: when the loss becomes NaN or infinite, with advice on what to change; if no
                sample of an epoch or of its validation has a weight; for data that the model does
                not take; and if no weight is trainable.
        """
        if self.compiled and not self.trainable_variables:
            raise InputError(
                "no weight is trainable: set trainable = True for some layer, and call compile"
            )
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            if isinstance(callbacks, keras.callbacks.Callback):
                callbacks = [callbacks]
            callbacks = [
                training.StopOnNothingScored(),  # before a checkpoint is written
                *(callbacks or []),
                training.StopOnNonFiniteLoss(),
            ]
        if isinstance(x, tf.data.Dataset | tf.distribute.DistributedDataset):
            kwargs.setdefault("shuffle", False)  # otherwise Keras warns that it has no effect
        self.check_data(x, args[0] if args else kwargs.get("y"))
        is_tuple = isinstance(validation_data, list | tuple)
        self.check_data(*(validation_data[:2] if is_tuple else [validation_data]))
        with self.explained_errors():
            return super().fit(
                training.shard_by_element(x),
                *args,
                callbacks=callbacks,
                validation_data=training.shard_by_element(validation_data),
                **kwargs,
            )

    def evaluate(self, x=None, *args, **kwargs):
        """Computes the loss and the metrics as `keras.Model.evaluate` does."""
        if not kwargs.get("_use_cached_eval_dataset"):  # `fit` has checked it
            self.check_data(x, args[0] if args else kwargs.get("y"))
        self._evaluating = True
        try:
            with self.explained_errors():
                return super().evaluate(training.shard_by_element(x), *args, **kwargs)
        finally:
            self._evaluating = False
