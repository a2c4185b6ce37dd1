from wavenet_tf.data.preparing.folder import prepare as prepare
from wavenet_tf.data.preparing.joining import summarise as summarise
from wavenet_tf.data.preparing.preparation import NORMALISATIONS as NORMALISATIONS
from wavenet_tf.data.preparing.preparation import Preparation as Preparation
