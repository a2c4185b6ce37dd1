from wavenet_tf.deployment import checks as checks
from wavenet_tf.deployment import generator_tflite as generator_tflite
from wavenet_tf.deployment import saved_model as saved_model
from wavenet_tf.deployment import signatures as signatures
from wavenet_tf.deployment import tflite as tflite
from wavenet_tf.deployment import tflite_file as tflite_file
from wavenet_tf.deployment.generator_saved_model import SavedModelSignatures as SavedModelSignatures
from wavenet_tf.deployment.generator_signatures import GeneratorSignatures as GeneratorSignatures
from wavenet_tf.deployment.generator_tflite import TFLiteSignatures as TFLiteSignatures
from wavenet_tf.deployment.generator_tflite import activation_ranges as activation_ranges
from wavenet_tf.deployment.prosody import ProsodySignature as ProsodySignature
from wavenet_tf.deployment.recognizer_saved_model import (
    SavedModelRecognizerSignatures as SavedModelRecognizerSignatures,
)
from wavenet_tf.deployment.recognizer_signatures import RecognizerSignatures as RecognizerSignatures
from wavenet_tf.deployment.recognizer_tflite import (
    TFLiteRecognizerSignatures as TFLiteRecognizerSignatures,
)
from wavenet_tf.deployment.saved_model import run_small_requests as run_small_requests
from wavenet_tf.deployment.saved_model import save as save
from wavenet_tf.deployment.signatures import Signatures as Signatures
from wavenet_tf.deployment.speech_saved_model import (
    SavedModelSpeechSignatures as SavedModelSpeechSignatures,
)
from wavenet_tf.deployment.speech_tflite import TFLiteSpeechSignatures as TFLiteSpeechSignatures
from wavenet_tf.deployment.tflite import convert as convert
from wavenet_tf.sampling import convert_native as convert_native
