"""What every program shares: quiet start-up, one-line errors, exit codes."""

import faulthandler
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path


def _silence_native_libraries() -> None:
    """Hides what TensorFlow and XLA write to standard error from C++; Python's warnings stay.

    TensorFlow's own switch does not reach the messages of XLA. Whoever sets that switch,
    TF_CPP_MIN_LOG_LEVEL, to any value gets all of them.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    faulthandler.enable(sys.stderr)  # a crash in C++ is still told
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


# Names of files may be no text.
sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
# Before TensorFlow is imported, or its start-up messages bury the program's own.
_silence_native_libraries()
# Large tensors kept between steps instead of handed back to the system: 12% more steps a second.
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")

from absl import app  # noqa: E402

from wavenet_tf.errors import InputError as InputError  # noqa: E402


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Runs a program: expected errors become one line on standard error and exit code 1.

    Args:
        main: takes the command line's words that are not flags, the program's name first.
    """

    def guarded(argv: Sequence[str]) -> int:
        program = Path(argv[0]).name

        def show(message, *_):
            print(f"{program}: warning: {' '.join(str(message).split())}", file=sys.stderr)

        warnings.showwarning = show
        try:
            main(argv)
        except (InputError, OSError) as error:
            print(f"{program}: {' '.join(str(error).split())}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print(f"{program}: interrupted", file=sys.stderr)
            return 130
        return 0

    app.run(guarded)


def refuse_words(argv: Sequence[str]) -> None:
    """Raises InputError if the command line holds words that belong to no flag."""
    if len(argv) > 1:
        raise InputError(f"unexpected argument {argv[1]!r}; options are written --name=value")


def asked_speaker(model, speaker: str | None) -> int | None:
    """The id of the speaker that a flag --speaker asks for.

    Args:
        model: a `WaveNet`.
        speaker: the flag's value.

    Raises:
        InputError: for an unknown speaker, or none where the model knows some by name.
    """
    if speaker is None and model.speaker_names:
        raise InputError(f"--speaker must be one of {', '.join(model.speaker_names)}")
    return None if speaker is None else model.speaker_id(speaker)


def whole_numbers(flag: str, values: Sequence[str]) -> list[int]:
    """Reads the values of a flag that is a list of whole numbers above 0.

    Args:
        flag: its name, for the error.
        values: of it.

    Raises:
        InputError: for another value.
    """
    if not all(value.isascii() and value.isdecimal() and int(value) for value in values):
        raise InputError(f"{flag} must be whole numbers above 0; received {','.join(values)!r}")
    return [int(value) for value in values]


def parse_numbers(flag: str, assignments: Sequence[str]) -> dict[str, int]:
    """Reads the values of a flag given as `name=number`, any number of times.

    Args:
        flag: its name, for the error.
        assignments: its values.

    Raises:
        InputError: for a value of another form.
    """
    numbers = {}
    for assignment in assignments:
        name, _, number = assignment.partition("=")
        if not (number.isascii() and number.isdecimal()):
            raise InputError(f"--{flag} takes name=number; received {assignment!r}")
        numbers[name] = int(number)
    return numbers
