"""Trains the models that come with the package, and writes them into it.

    python tools/make_trained_models.py melodies --work_dir trained

Each model takes minutes to hours. Data and runs are kept in the working folder, and a program that
was interrupted goes on from there.
"""

import command_line  # isort: skip  (before TensorFlow is imported, to quiet it)

import dataclasses
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from wavenet_tf import files, model_directory, runs
from wavenet_tf.errors import InputError

_WORK_DIR = command_line.define_path("work_dir", "trained", "Folder of the data and the runs.")
_OUTPUT_DIR = command_line.define_path(
    "output_dir", None, "Folder of the trained models (that of the package)."
)

LICENCE = "Apache-2.0, as the package"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a trained model is made.

    Attributes:
        task: see `ModelCard`.
        description: see `ModelCard`.
        data: see `ModelCard`.
        commands: make data, train, and last evaluate: program and flags, relative to the working
            folder.
    """

    task: str
    description: str
    data: str
    commands: tuple[str, ...]


# The voices of espeak-ng that the recognizers are trained on, and one that only scores them.
VOICES = (
    "en-us+f1,en-us+m1,en-us+linda,en-us+m3,en-us+Annie,en-us+f3,en-us+m4,en-us+Andrea,en-us+m5,"
    "en-us+belinda"
)
UNSEEN_VOICE = "en-us+m7"

RECIPES = {
    "melodies": Recipe(
        "generate",
        "Melodies of a plucked string, at 8,000 Hz.",
        "40 minutes of melodies by the composer of make_demo_data.py",
        (
            "make_demo_data.py --output melodies --num_clips 480",
            "make_demo_data.py --output new_melodies --num_clips 24 --seed 1",
            "train.py --data_dir melodies --model_dir melodies_run --preset tiny "
            "--batch_size 8 --crop_seconds 1 --steps 6000 --learning_rate 0.004 "
            "--ema_decay 0.999 --steps_per_validation 500",
            "evaluate.py --model_dir melodies_run --data_dir new_melodies",
        ),
    ),
    "spoken_digits": Recipe(
        "classify",
        "The ten digits, spoken in English, in recordings at 8,000 Hz.",
        f"digits by ten voices of espeak-ng, scored on the voice {UNSEEN_VOICE}",
        (
            f"make_speech_data.py --output digits --kind digits --sentences 100 "
            f"--sample_rate 8000 --voices {VOICES}",
            f"make_speech_data.py --output new_digits --kind digits --sentences 200 "
            f"--sample_rate 8000 --voices {UNSEEN_VOICE}",
            "train.py --task classify --classes column:text --data_dir digits "
            "--model_dir digits_run --preset tiny --set num_stacks=1 --batch_size 16 "
            "--crop_seconds 0.5 --steps 2000 --learning_rate 0.002 --weight_decay 0.05 --augment "
            "--next_sample_weight 0",
            "evaluate.py --model_dir digits_run --data_dir new_digits",
        ),
    ),
    "phones": Recipe(
        "recognize",
        "The phones of English speech, in IPA, in recordings at 8,000 Hz.",
        f"sentences by ten voices of espeak-ng, scored on the voice {UNSEEN_VOICE}",
        (
            f"make_speech_data.py --output sentences --sentences 120 --sample_rate 8000 "
            f"--voices {VOICES}",
            f"make_speech_data.py --output new_sentences --sentences 100 --seed 1 "
            f"--sample_rate 8000 --voices {UNSEEN_VOICE}",
            "train.py --task recognize --data_dir sentences --model_dir phones_run --preset tiny "
            "--set num_stacks=1 --batch_size 8 --crop_seconds 1 --steps 3000 "
            "--learning_rate 0.002 --augment",
            "evaluate.py --model_dir phones_run --data_dir new_sentences",
        ),
    ),
    "voice": Recipe(
        "speak",
        "An English voice at 8,000 Hz, from texts or phones.",
        f"sentences and digits by the voice {UNSEEN_VOICE} of espeak-ng",
        (
            f"make_speech_data.py --output spoken --sentences 400 --sample_rate 8000 "
            f"--voices {UNSEEN_VOICE}",
            f"make_speech_data.py --output new_spoken --sentences 50 --seed 1 "
            f"--sample_rate 8000 --voices {UNSEEN_VOICE}",
            "train.py --task speak --data_dir spoken --model_dir voice_run --preset tiny "
            "--features f0_world --batch_size 8 --crop_seconds 0.5 --steps 6000 "
            "--learning_rate 0.002 --ema_decay 0.999",
            "evaluate.py --model_dir voice_run --data_dir new_spoken",
        ),
    ),
}


def main(argv: Sequence[str]) -> None:
    """Makes the models named on the command line, or all."""
    names = argv[1:] or list(RECIPES)
    for name in names:
        if name not in RECIPES:
            raise InputError(f"unknown model {name!r}: expected some of {', '.join(RECIPES)}")
    work_dir = Path(_WORK_DIR.value)
    files.check_writable_folder(work_dir)
    output_dir = Path(_OUTPUT_DIR.value or model_directory.TRAINED_MODELS)
    for name in names:
        make(RECIPES[name], work_dir, output_dir / name)


def make(recipe: Recipe, work_dir: Path, output_dir: Path) -> None:
    """Runs the commands of a recipe in a folder, and publishes the model with its card."""
    printed: list[str] = []
    for command in recipe.commands:
        words = shlex.split(command)
        output = words[words.index("--output") + 1] if "--output" in words else None
        if output and (work_dir / output).exists():
            continue
        print(f"$ python tools/{command}")
        program = Path(__file__).with_name(words[0]).resolve()
        run = subprocess.Popen(
            [sys.executable, str(program), *words[1:]],
            cwd=work_dir,
            stdout=subprocess.PIPE,
            text=True,
        )
        printed = []
        for line in run.stdout or ():
            print(line, end="")
            printed.append(line.strip())
        if run.wait():
            raise InputError(f"{words[0]} has failed, see above")
    run_dir = words[words.index("--model_dir") + 1]
    if output_dir.exists():
        shutil.rmtree(output_dir)
    runs.publish(work_dir / run_dir, output_dir)
    card = model_directory.ModelCard(
        task=recipe.task,
        description=recipe.description,
        data=recipe.data,
        licence=LICENCE,
        # The first two lines say which model and which recordings are used.
        figures=tuple(printed[2:]),
        commands=tuple(f"python tools/{command}" for command in recipe.commands),
    )
    files.write_text(output_dir / model_directory.CARD, card.to_json())
    print(f"wrote {output_dir}")


if __name__ == "__main__":
    command_line.run(main)
