from wavenet_tf.recognition.alignment import MAY_PAUSE as MAY_PAUSE
from wavenet_tf.recognition.alignment import Alignment as Alignment
from wavenet_tf.recognition.alignment import align as align
from wavenet_tf.recognition.alignment import check_aligns as check_aligns
from wavenet_tf.recognition.decoding import Bigram as Bigram
from wavenet_tf.recognition.decoding import Decoder as Decoder
from wavenet_tf.recognition.decoding import force_align as force_align
from wavenet_tf.recognition.decoding import greedy_spans as greedy_spans
from wavenet_tf.recognition.logit_stream import BlockRecognizer as BlockRecognizer
from wavenet_tf.recognition.logit_stream import LogitStream as LogitStream
from wavenet_tf.recognition.logit_stream import SignatureRecognizer as SignatureRecognizer
from wavenet_tf.recognition.recognizer import Recognizer as Recognizer
from wavenet_tf.recognition.recognizer import RecognizerState as RecognizerState
from wavenet_tf.recognition.results import Recognition as Recognition
from wavenet_tf.recognition.results import class_probabilities as class_probabilities
from wavenet_tf.recognition.results import format_segment as format_segment
from wavenet_tf.recognition.results import (
    recognition_from_probabilities as recognition_from_probabilities,
)
from wavenet_tf.recognition.results import recognize as recognize
from wavenet_tf.recognition.spec import RecognizerSpec as RecognizerSpec
from wavenet_tf.recognition.streaming import recognize_stream as recognize_stream
