"""Sampling: the loop over cached state, filters on what it draws, and streams of audio."""

from wavenet_tf.generation.samplers import keep_top_k as keep_top_k
from wavenet_tf.generation.samplers import keep_top_p as keep_top_p
from wavenet_tf.generation.schedule import HeldRows as HeldRows
from wavenet_tf.generation.schedule import State as State
from wavenet_tf.generation.schedule import generate_block as generate_block
from wavenet_tf.generation.schedule import prepare_weights as prepare_weights
from wavenet_tf.generation.schedule import prime as prime
from wavenet_tf.generation.schedule import schedule_of as schedule_of
from wavenet_tf.generation.storage import InPlace as InPlace
from wavenet_tf.generation.storage import Shifting as Shifting
from wavenet_tf.generation.streaming import BLOCK_SIZE as BLOCK_SIZE
from wavenet_tf.generation.streaming import STREAMS_FOR_GPU as STREAMS_FOR_GPU
from wavenet_tf.generation.streaming import STREAMS_PER_THREAD as STREAMS_PER_THREAD
from wavenet_tf.generation.streaming import AudioStream as AudioStream
from wavenet_tf.generation.streaming import collect as collect
from wavenet_tf.generation.streaming import compiled_block as compiled_block
from wavenet_tf.generation.streaming import plan as plan
from wavenet_tf.generation.streaming import take as take
