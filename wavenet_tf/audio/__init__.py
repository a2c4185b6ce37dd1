"""Recordings as arrays: mu-law, reading, resampling, writing, hygiene and features.

Audio is float32 in [-1, 1]. Nothing here knows of models or datasets.
"""

from wavenet_tf.audio.decoding import decode_audio as decode_audio
from wavenet_tf.audio.decoding import decoders as decoders
from wavenet_tf.audio.features import FEATURES as FEATURES
from wavenet_tf.audio.features import HOP_SECONDS as HOP_SECONDS
from wavenet_tf.audio.features import energy as energy
from wavenet_tf.audio.features import extract_features as extract_features
from wavenet_tf.audio.features import feature_channels as feature_channels
from wavenet_tf.audio.features import log_mel as log_mel
from wavenet_tf.audio.features import pitch as pitch
from wavenet_tf.audio.features import spectral_levels as spectral_levels
from wavenet_tf.audio.formats import AUDIO_SUFFIXES as AUDIO_SUFFIXES
from wavenet_tf.audio.formats import STEPS_OF_16_BITS as STEPS_OF_16_BITS
from wavenet_tf.audio.formats import check_output as check_output
from wavenet_tf.audio.formats import open_audio as open_audio
from wavenet_tf.audio.formats import read_audio as read_audio
from wavenet_tf.audio.formats import to_16_bits as to_16_bits
from wavenet_tf.audio.formats import write_audio as write_audio
from wavenet_tf.audio.hygiene import Levels as Levels
from wavenet_tf.audio.hygiene import keep as keep
from wavenet_tf.audio.hygiene import kept_stretches as kept_stretches
from wavenet_tf.audio.hygiene import measure_levels as measure_levels
from wavenet_tf.audio.hygiene import move_alignment as move_alignment
from wavenet_tf.audio.hygiene import normalise as normalise
from wavenet_tf.audio.mu_law import mu_law_compand as mu_law_compand
from wavenet_tf.audio.mu_law import mu_law_decode as mu_law_decode
from wavenet_tf.audio.mu_law import mu_law_encode as mu_law_encode
