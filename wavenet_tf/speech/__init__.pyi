from wavenet_tf.speech.recordings import speak_recordings as speak_recordings
from wavenet_tf.speech.voice import Prosody as Prosody
from wavenet_tf.speech.voice import Voice as Voice
from wavenet_tf.speech.voice import recorded_sentence as recorded_sentence
