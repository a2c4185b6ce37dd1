"""Trains a run: python tests/one_run.py SETTINGS_AS_JSON MODEL_DIR."""

import json
import sys

from wavenet_tf import runs

if __name__ == "__main__":
    runs.train(runs.Settings(**json.loads(sys.argv[1])), sys.argv[2])
