from wavenet_tf.text.lexicon import Lexicon as Lexicon
from wavenet_tf.text.spelling import SpelledWord as SpelledWord
from wavenet_tf.text.spelling import spell_out as spell_out
from wavenet_tf.text.words import Break as Break
from wavenet_tf.text.words import Phone as Phone
from wavenet_tf.text.words import Word as Word
from wavenet_tf.text.words import format_phones as format_phones
from wavenet_tf.text.words import parse_phones as parse_phones
