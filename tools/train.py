"""Trains a WaveNet on a folder of recordings, or resumes a run.

    python tools/train.py --data_dir recordings --model_dir runs/first --preset small

Stop it whenever you like: the same command resumes from the last checkpoint.
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import shlex
from typing import Any

from absl import flags

import wavenet_tf as wt
from wavenet_tf import audio, data, files, models, options, runs
from wavenet_tf.runs.settings import REFUSED_OVERRIDES

_DATA_DIR = command_line.define_path(
    "data_dir",
    None,
    "Folder of WAV, AIFF, FLAC, OGG or MP3 recordings, or one that prepare_data.py wrote. Not "
    "needed to resume a run.",
)
_LAYOUT = flags.DEFINE_string(
    "layout",
    None,
    f"Layout of the corpus: {', '.join(data.LAYOUTS)}, with options as in vctk:microphone=mic2; "
    "auto detects it (auto).",
)
_MODEL_DIR = command_line.define_path(
    "model_dir", None, "Folder for checkpoints, logs and the model.", required=True
)
_TASK = flags.DEFINE_enum(
    "task",
    None,
    options.TASKS,
    "generate: a model that generates audio; speak: models that speak texts, from recordings with "
    "alignments of phones; classify: a class per recording; recognize: labels within recordings, "
    "such as phones (generate).",
)
_CLASSES = flags.DEFINE_string(
    "classes",
    None,
    "For the task classify, the rule that finds a recording's class: 'folder', "
    "'table.csv:column', 'column:NAME' of the manifest, 'tags', or a regular expression whose "
    "first group finds it in the recording's path.",
)
_LABELS = flags.DEFINE_string(
    "labels",
    None,
    "For the task recognize, which alignment to learn, such as words; 'characters' of the texts; "
    "'lexicon' for the phones of English texts in ARPAbet; 'espeak', or 'espeak:de' for German, "
    "for those of espeak-ng; or 'column:NAME' of the manifest, whose labels are separated by "
    "spaces (phones).",
)
_CTC = flags.DEFINE_bool(
    "ctc",
    None,
    "For the task recognize, learn the order of the labels without their times (connectionist "
    "temporal classification); always done for characters, phones of texts and columns.",
)
_FOLDING = flags.DEFINE_enum(
    "folding",
    None,
    options.FOLDINGS,
    "Fold TIMIT's 61 phones to 48 or 39 classes, 48 are scored as 39; or leave the stress of "
    "vowels out, AH0 and AH1 are AH (none).",
)
_ALIGNMENTS = flags.DEFINE_string(
    "alignments",
    None,
    "Files of alignments: '*' stands for the recording's path without its suffix, as in "
    "'*.TextGrid' (those of the corpus).",
)
_PRESET = flags.DEFINE_enum(
    "preset",
    None,
    list(models.PRESETS),
    "Size of the model (for the task generate what tools/suggest.py suggests, with its sample "
    "rate, crop and steps; else small).",
)
_SAMPLE_RATE = flags.DEFINE_integer("sample_rate", None, "Sample rate in Hz (the preset's).")
_SET = flags.DEFINE_multi_string(
    "set",
    [],
    "Argument of the model that replaces the preset's, such as --set kernel_size=3 or --set "
    "upsampling=repeat.",
)
_CONTEXT_STACK = flags.DEFINE_multi_string(
    "context_stack",
    [],
    "Add a smaller network with a longer receptive field, such as --context_stack "
    "pooling=128,layers_per_stack=9,channels=32; may be given several times.",
)
_AUGMENT = flags.DEFINE_bool(
    "augment",
    None,
    "Vary the crops of a classifier, but not with CTC: gain (6 dB), spectrum, speed (20%), "
    "start, noise and a short silence.",
)
_NEXT_SAMPLE_WEIGHT = flags.DEFINE_float(
    "next_sample_weight",
    None,
    "Weight of the loss of the next sample in a classifier; with 0 it is not predicted (0.3).",
)
_SPEAKERS = flags.DEFINE_string(
    "speakers",
    None,
    "Condition on the speaker: 'corpus' as the layout or the preparation names it, 'folder' for "
    "the name of a recording's folder, 'table.csv:column' "
    "for that column of a table in the folder of recordings, which has a column 'path' too, or a "
    "regular expression whose first group finds the speaker in a recording's path.",
)
_ADAPT_FROM = command_line.define_trained(
    "adapt_from",
    "Model directory of a model with speakers: learn the embedding of one new speaker, whose "
    "recordings are in --data_dir, and leave all other weights as they are.",
)
_ADAPT_ALL = flags.DEFINE_bool(
    "adapt_all", None, "After the embedding, adapt all weights of --adapt_from at a low rate."
)
_BALANCE_SPEAKERS = flags.DEFINE_bool(
    "balance_speakers",
    None,
    "Draw crops of all speakers equally often, however long their recordings are.",
)
_TAGS = flags.DEFINE_string(
    "tags",
    None,
    "Condition on tags of the recordings: 'all', or some of them joined by commas, such as "
    "piano,slow.",
)
_FEATURES = flags.DEFINE_string(
    "features",
    None,
    f"Condition on features of the recordings, as a vocoder: {', '.join(audio.FEATURES)}, or "
    "several, joined by commas. With --task speak the one that gives F0, or 'none' for linguistic "
    "features alone (f0_world, or f0 where pyworld is missing).",
)
_MODELS = flags.DEFINE_string(
    "models",
    None,
    f"Which models --task speak trains, joined by commas ({','.join(options.SPEECH_MODELS)}).",
)
_PROSODY_STEPS = flags.DEFINE_integer(
    "prosody_steps", None, "Optimizer steps of each model of prosody, with --task speak (1000)."
)
_OUTPUT_DISTRIBUTION = flags.DEFINE_enum(
    "output_distribution",
    None,
    options.DISTRIBUTIONS,
    "Distribution of a sample: over 256 mu-law codes, or a mixture over 16 bits (categorical; "
    "logistic_mixture for classifiers).",
)
_STEPS = flags.DEFINE_integer("steps", None, "Total number of optimizer steps (20000).")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", None, "Crops per batch (4).")
_GRADIENT_ACCUMULATION = flags.DEFINE_integer(
    "gradient_accumulation", None, "Batches per step: steps of large batches in little memory (1)."
)
_CROP_SECONDS = flags.DEFINE_float(
    "crop_seconds",
    None,
    "Length of a crop, in seconds; with CTC, the longest recording that is used (1; 10 with CTC).",
)
_LEARNING_RATE = flags.DEFINE_float(
    "learning_rate", None, "The highest learning rate (0.004; 0.001 for classifiers)."
)
_SCHEDULE = flags.DEFINE_enum(
    "schedule", None, options.SCHEDULES, "Schedule of the learning rate over the steps (cosine)."
)
_WEIGHT_DECAY = flags.DEFINE_float("weight_decay", None, "Weight decay of AdamW (0).")
_EMA_DECAY = flags.DEFINE_float(
    "ema_decay",
    None,
    "Keep an exponential moving average (EMA) of the weights with this decay per step, such as "
    "0.999; the average is validated and generates (no EMA).",
)
_PRECISION = flags.DEFINE_enum(
    "precision", None, options.PRECISIONS, "Precision of the network (float32)."
)
_GRADIENT_CHECKPOINTING = flags.DEFINE_bool(
    "gradient_checkpointing",
    None,
    "Compute the blocks again for the gradient instead of storing their activations "
    "(rematerialization): less memory, more computation.",
)
_PATIENCE = flags.DEFINE_integer(
    "patience", None, "Stop after this many validations without a better one."
)
_BEST_BY = flags.DEFINE_enum(
    "best_by",
    None,
    list(options.GENERATED_SCORES),
    "Compare checkpoints by a score of audio that is generated at each validation, instead of by "
    "the bits per sample.",
)
_BEST_BY_CLASSIFIER = command_line.define_path(
    "best_by_classifier",
    None,
    "Model directory of the classifier that --best_by frechet and --best_by classes need.",
)
_STRATEGY = flags.DEFINE_enum(
    "strategy",
    None,
    options.STRATEGIES,
    "default: one device; mirrored: every GPU of this machine; multi_worker: every process of the "
    "cluster in TF_CONFIG or Slurm's variables; auto: multi_worker if there are several processes, "
    "else mirrored if there are several GPUs, else default (auto).",
)
_TENSORBOARD_AUDIO = flags.DEFINE_float(
    "tensorboard_audio",
    None,
    "Seconds of audio to generate for TensorBoard at each validation; 0 for none (2).",
)
_TENSORBOARD_HISTOGRAMS = flags.DEFINE_bool(
    "tensorboard_histograms", None, "Write histograms of weights and gradients for TensorBoard."
)
_DETERMINISTIC = flags.DEFINE_bool(
    "deterministic", None, "Make repeated runs equal bit for bit; somewhat slower."
)
_DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "Only print parameters, receptive field, memory and time, from a few steps."
)
_STEPS_PER_VALIDATION = flags.DEFINE_integer(
    "steps_per_validation", None, "Steps between validations and checkpoints (500)."
)
_CHECKPOINTS_KEPT = flags.DEFINE_integer(
    "checkpoints_kept", None, "Number of most recent checkpoints to keep beside the best one (3)."
)
_VALIDATION_FRACTION = flags.DEFINE_float(
    "validation_fraction",
    None,
    "Fraction of the duration to validate on, if the corpus has no validation split (0.1).",
)
_SPLIT_BY = flags.DEFINE_enum(
    "split_by",
    None,
    options.SPLITS_BY,
    "recording: any recordings are for validation; speaker: all recordings of some speakers "
    "(recording).",
)
_VALIDATION_PATTERN = flags.DEFINE_string(
    "validation_pattern",
    None,
    "Regular expression of the names of the recordings to validate on, instead of a fraction.",
)
_SEED = command_line.define_seed(help="Seed of the weights and of the order of the data (0).")


def main(argv):
    """Trains the model described by the flags."""
    command_line.refuse_words(argv)
    overrides: dict[str, Any] = command_line.parse_values("set", _SET.value)
    for name in overrides:
        if name in REFUSED_OVERRIDES:
            raise command_line.InputError(f"--set cannot set {name}: {REFUSED_OVERRIDES[name]}")
    if _SAMPLE_RATE.value is not None:
        overrides["sample_rate"] = _SAMPLE_RATE.value
    if _OUTPUT_DISTRIBUTION.value is not None:
        overrides["output_distribution"] = _OUTPUT_DISTRIBUTION.value
    if _CONTEXT_STACK.value:
        overrides["context_stacks"] = [
            command_line.parse_numbers("context_stack", stack.split(","))
            for stack in _CONTEXT_STACK.value
        ]
    # A wrong argument is refused before TensorFlow is imported, which takes long.
    models.WaveNetConfig.from_preset(_PRESET.value or next(iter(models.PRESETS)), **overrides)
    given: dict[str, Any] = dict(
        data_dir=_DATA_DIR.value,
        layout=_LAYOUT.value,
        preset=_PRESET.value,
        task=_TASK.value,
        classes=_CLASSES.value,
        labels=_LABELS.value,
        ctc=_CTC.value,
        folding=_FOLDING.value,
        alignments=_ALIGNMENTS.value,
        overrides=overrides or None,
        features=_FEATURES.value,
        models=_MODELS.value,
        prosody_steps=_PROSODY_STEPS.value,
        speakers=_SPEAKERS.value,
        tags=_TAGS.value,
        adapt_from=_ADAPT_FROM.value,
        adapt_all=_ADAPT_ALL.value,
        balance_speakers=_BALANCE_SPEAKERS.value,
        augment=_AUGMENT.value,
        next_sample_weight=_NEXT_SAMPLE_WEIGHT.value,
        steps=_STEPS.value,
        batch_size=_BATCH_SIZE.value,
        crop_seconds=_CROP_SECONDS.value,
        gradient_accumulation=_GRADIENT_ACCUMULATION.value,
        learning_rate=_LEARNING_RATE.value,
        schedule=_SCHEDULE.value,
        weight_decay=_WEIGHT_DECAY.value,
        ema_decay=_EMA_DECAY.value,
        precision=_PRECISION.value,
        gradient_checkpointing=_GRADIENT_CHECKPOINTING.value,
        patience=_PATIENCE.value,
        best_by=_BEST_BY.value,
        best_by_classifier=_BEST_BY_CLASSIFIER.value,
        strategy=_STRATEGY.value,
        tensorboard_audio=_TENSORBOARD_AUDIO.value,
        tensorboard_histograms=_TENSORBOARD_HISTOGRAMS.value,
        deterministic=_DETERMINISTIC.value,
        steps_per_validation=_STEPS_PER_VALIDATION.value,
        checkpoints_kept=_CHECKPOINTS_KEPT.value,
        validation_fraction=_VALIDATION_FRACTION.value,
        split_by=_SPLIT_BY.value,
        validation_pattern=_VALIDATION_PATTERN.value,
        seed=_SEED.value,
    )
    settings = runs.Settings.from_run(_MODEL_DIR.value, **given)
    command_line.check_exists("folder of recordings", settings.data_dir)
    if settings.adapt_from is not None:
        runs.find_model(settings.adapt_from)
    if not _DRY_RUN.value:
        files.check_writable_folder(_MODEL_DIR.value)
    settings = runs.with_suggestion(settings, _MODEL_DIR.value, given)
    if _DRY_RUN.value:
        print(runs.estimate(settings))
        return
    model = runs.train(settings, _MODEL_DIR.value)
    if not wt.training.is_chief(model.distribute_strategy):
        return
    if isinstance(model, wt.WaveNetClassifier):
        words = ["python", "tools/recognize.py", "--model_dir", _MODEL_DIR.value]
        command = shlex.join([*words, "--input", "in.wav"])
        print(f"the model is in {_MODEL_DIR.value}; to recognize: {command}")
        return
    words = ["python", "tools/generate.py", "--model_dir", _MODEL_DIR.value]
    if settings.task == "speak":
        words = ["python", "tools/speak.py", *words[2:], "--text", "Hello."]
    elif model.config.features:
        words = ["python", "tools/vocode.py", *words[2:], "--input", "in.wav"]
    if model.config.speaker_names:
        adapted = settings.adapt_from is not None  # the new speaker is the last
        words += ["--speaker", model.config.speaker_names[-1 if adapted else 0]]
    if model.config.tag_names:
        words += ["--tags", model.config.tag_names[0]]
    command = shlex.join([*words, "--output", "out.wav"])
    print(f"the model is in {_MODEL_DIR.value}; to generate audio: {command}")


if __name__ == "__main__":
    command_line.run(main)
