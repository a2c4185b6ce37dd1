"""State buffers: how the sampling loop keeps the past inputs of each block."""

from wavenet_tf.sampling.buffers.base import CHUNK_SIZE as CHUNK_SIZE
from wavenet_tf.sampling.buffers.base import StateBuffers as StateBuffers
from wavenet_tf.sampling.buffers.base import time_major as time_major
from wavenet_tf.sampling.buffers.ring import RingBuffers as RingBuffers
from wavenet_tf.sampling.buffers.shift import ShiftBuffers as ShiftBuffers
