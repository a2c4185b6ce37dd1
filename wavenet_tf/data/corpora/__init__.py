"""Readers of corpora as they are downloaded: each maps folders and tables to clips."""

from wavenet_tf.data.corpora.aligned_speech import timit as timit
from wavenet_tf.data.corpora.folders import folder as folder
from wavenet_tf.data.corpora.folders import manifest as manifest
from wavenet_tf.data.corpora.layouts import LAYOUTS as LAYOUTS
from wavenet_tf.data.corpora.layouts import corpus_root as corpus_root
from wavenet_tf.data.corpora.layouts import detect_layout as detect_layout
from wavenet_tf.data.corpora.layouts import read_corpus as read_corpus
from wavenet_tf.data.corpora.music import magnatagatune as magnatagatune
from wavenet_tf.data.corpora.speech import fsdd as fsdd
from wavenet_tf.data.corpora.speech import librispeech as librispeech
from wavenet_tf.data.corpora.speech import libritts as libritts
from wavenet_tf.data.corpora.speech import ljspeech as ljspeech
from wavenet_tf.data.corpora.speech import vctk as vctk
from wavenet_tf.data.corpora.tfds import tfds_clips as tfds_clips
