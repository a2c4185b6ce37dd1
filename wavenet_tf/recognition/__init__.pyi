from wavenet_tf.recognition.decoding import Bigram as Bigram
from wavenet_tf.recognition.decoding import Decoder as Decoder
from wavenet_tf.recognition.decoding import force_align as force_align
from wavenet_tf.recognition.decoding import greedy_spans as greedy_spans
from wavenet_tf.recognition.recognizer import Recognizer as Recognizer
from wavenet_tf.recognition.recognizer import RecognizerState as RecognizerState
from wavenet_tf.recognition.results import Recognition as Recognition
from wavenet_tf.recognition.results import recognize as recognize
