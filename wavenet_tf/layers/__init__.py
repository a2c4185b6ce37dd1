"""Causal layers in one form for whole signals, chunks and single samples.

A layer called without `state` processes a whole signal, with digital silence or zeros before it.
Called with the state after earlier samples, it continues from there and returns the next state
too: any split of a signal into chunks, down to one sample, gives the outputs of the whole.
States are plain tensors, so that they work with `tf.while_loop`, XLA and exports.
"""

from wavenet_tf.layers.context import CONTEXT_DELAY as CONTEXT_DELAY
from wavenet_tf.layers.context import ContextStack as ContextStack
from wavenet_tf.layers.context import frame_indices as frame_indices
from wavenet_tf.layers.convolutions import CausalConv1D as CausalConv1D
from wavenet_tf.layers.convolutions import OneHotCausalConv1D as OneHotCausalConv1D
from wavenet_tf.layers.convolutions import WaveformCausalConv1D as WaveformCausalConv1D
from wavenet_tf.layers.convolutions import slice_time as slice_time
from wavenet_tf.layers.observation import observe as observe
from wavenet_tf.layers.observation import observed_activations as observed_activations
from wavenet_tf.layers.pooling import FramePooling as FramePooling
from wavenet_tf.layers.residual import GatedResidualBlock as GatedResidualBlock
from wavenet_tf.layers.residual import gated_activation as gated_activation
from wavenet_tf.layers.stack import DilatedStack as DilatedStack
from wavenet_tf.layers.state import ContextState as ContextState
from wavenet_tf.layers.state import TrunkState as TrunkState
from wavenet_tf.layers.state import trunk_state_from_tensors as trunk_state_from_tensors
from wavenet_tf.layers.state import trunk_state_tensors as trunk_state_tensors
from wavenet_tf.layers.stretching import StretchUpsampler as StretchUpsampler
from wavenet_tf.layers.upsampling import ConditioningUpsampler as ConditioningUpsampler
from wavenet_tf.layers.upsampling import LearnedUpsampler as LearnedUpsampler
from wavenet_tf.layers.upsampling import RepeatedFrames as RepeatedFrames
from wavenet_tf.layers.upsampling import RepeatUpsampler as RepeatUpsampler
