from wavenet_tf.data.preparing.pipeline import prepare as prepare
from wavenet_tf.data.preparing.preparation import NORMALIZATIONS as NORMALIZATIONS
from wavenet_tf.data.preparing.preparation import Preparation as Preparation
from wavenet_tf.data.preparing.report import summarize as summarize
