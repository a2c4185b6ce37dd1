"""Reports for people: web pages about corpora and training runs, and pictures of recordings.

Pictures take matplotlib, which the extra `tools` installs.
"""

from wavenet_tf.lazy_imports import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
