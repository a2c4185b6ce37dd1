"""What every program shares: quiet start-up, flags, one-line errors, exit codes."""

import faulthandler
import json
import logging
import math
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


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
    faulthandler.enable(sys.stderr)  # a crash in C++ is still reported
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _fail(message: Any) -> None:
    """Prints an error as one line, after the program's name."""
    print(f"{Path(sys.argv[0]).name}: {' '.join(str(message).split())}", file=sys.stderr)


def _report_uncaught(kind, error, traceback) -> None:
    """Prints an interruption, such as one during imports, as one line."""
    if issubclass(kind, KeyboardInterrupt):
        _fail("interrupted")
    else:
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = _report_uncaught
# Names of files may be no text.
sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
# Before TensorFlow is imported, or its start-up messages bury the program's own.
_silence_native_libraries()
# Large tensors kept between steps instead of handed back to the system: 12% more steps a second.
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
# Before Keras is imported: the user's environment may name another one.
os.environ["KERAS_BACKEND"] = "tensorflow"

from absl import app, flags  # noqa: E402

from wavenet_tf import files  # noqa: E402
from wavenet_tf.errors import InputError as InputError  # noqa: E402
from wavenet_tf.errors import check_seed  # noqa: E402
from wavenet_tf.model_directory import resolve_model_dir, trained_models  # noqa: E402
from wavenet_tf.options import RUNTIMES, STREAMS_FOR_GPU  # noqa: E402

# Exit code, as of shells.
INTERRUPTED = 130

# `--help` shows flags that are defined by this module as the flags of the program.
flags.disclaim_key_flags()


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Runs a program: expected errors become one line on standard error and exit code 1.

    A program's module imports what its flags are checked with, and no TensorFlow: `main` checks
    first, and then imports the rest by using it.

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
        except UnicodeEncodeError as error:
            _fail(f"cannot use {error.object!r}: it is no text in {error.encoding}")
            return 1
        except OSError as error:
            named = error.strerror and error.filename
            _fail(f"{os.fsdecode(error.filename)}: {error.strerror}" if named else error)
            return 1
        except InputError as error:
            _fail(error)
            return 1
        except ModuleNotFoundError as error:
            _fail(f"{error}; pip install 'wavenet_tf[all]' installs what all programs use")
            return 1
        except ImportError as error:
            _fail(error)
            return 1
        except KeyboardInterrupt:
            _fail("interrupted")
            return INTERRUPTED
        return 0

    app.run(guarded, flags_parser=_parse_flags)


def _parse_flags(words: Sequence[str]) -> list[str]:
    """Returns the words that are not flags; ends the program with one line for a wrong flag."""
    try:
        return flags.FLAGS(words)
    except flags.Error as error:
        _fail(f"Flags parsing error: {error}")
        sys.exit(1)


class _Checked(flags.ArgumentParser):
    """Reads the value of a flag by a function, which raises ValueError for a wrong one."""

    def __init__(self, read: Callable[[str], Any]):
        self.read = read

    def parse(self, argument):
        return self.read(argument)


def define(name: str, default: Any, help: str, read: Callable[[str], Any], required: bool = False):
    """Defines a flag whose value is read, and checked, by a function.

    Args:
        name: of the flag.
        default: its value where it is not given.
        help: what it is.
        read: takes the text that is given, and returns the value or raises InputError.
        required: whether it must be given.

    Returns:
        absl's holder of the value.
    """
    return flags.DEFINE(_Checked(read), name, default, help, required=required)


def define_path(name: str, default: str | None, help: str, required: bool = False):
    """Defines a flag that is a path, in which `~` is the home folder; see `define`."""
    return define(name, default, help, os.path.expanduser, required)


def define_positive(name: str, default: float | None, help: str):
    """Defines a flag that is a finite number above 0; see `define`."""

    def read(text) -> float:
        return _number(name, text, "a finite number above 0", lambda value: 0.0 < value < math.inf)

    return define(name, default, help, read)


def define_model_dir(required: bool = True):
    """Defines --model_dir, of a program that loads a model."""
    return define_trained("model_dir", "Of a training run.", required)


def define_trained(name: str, help: str, required: bool = False):
    """Defines a flag that is a model directory or the name of a trained model; see `define`."""
    names = trained_models()
    if names:
        help += f" Also the name of a trained model of the package: {', '.join(names)}."

    def read(text) -> str:
        return str(resolve_model_dir(os.path.expanduser(text)))

    return define(name, None, help, read, required)


def define_step():
    """Defines --step, of a program that loads a model."""
    help = "Load the checkpoint of this step, the 'best' one, or the model of the 'last' step."
    return flags.DEFINE_string("step", "last", help)


def define_runtime():
    """Defines --runtime, of a program that samples."""
    return flags.DEFINE_enum(
        "runtime",
        "auto",
        RUNTIMES,
        "What samples: TensorFlow; the C library libwavenet, in float32 or int8; auto takes "
        f"libwavenet in float32 where it is built, for fewer than {STREAMS_FOR_GPU} streams and "
        "without --top_k and --top_p.",
    )


def define_phones():
    """Defines --phones, of a program that speaks."""
    return flags.DEFINE_string(
        "phones",
        None,
        "Phones to speak, separated by spaces, in ARPAbet or IPA with the stress of vowels: HH AH0 "
        "L OW1; '|' separates words, and sil is a pause.",
    )


def define_rate():
    """Defines --rate, of a program that speaks."""
    return define_positive("rate", 1.0, "Factor of the speed.")


def define_pitch():
    """Defines --pitch, of a program that speaks."""
    return flags.DEFINE_float("pitch", 0.0, "Semitones by which the pitch is raised.")


def define_speaker():
    """Defines --speaker, of a program that samples."""
    return flags.DEFINE_string("speaker", None, "Who speaks, where the model has named speakers.")


def define_seed(default: int | None = None, help: str = "The same seed gives the same audio."):
    """Defines --seed; see `define`."""

    def read(text) -> int:
        try:
            seed = int(text)
        except ValueError:
            seed = text
        check_seed(seed)
        return seed

    return define("seed", default, help, read)


def define_tags():
    """Defines --tags, of a program that samples."""
    help = (
        "Tags of the audio, joined by commas, with strengths from 0 to 1 as in piano:0.5,strings; "
        "for a model that was trained with --tags."
    )
    return flags.DEFINE_list("tags", None, help)


def define_tags_at():
    """Defines --tags_at, of a program that samples."""
    help = "Change the tags after some seconds, as in '5 guitar'; may be given several times."
    return flags.DEFINE_multi_string("tags_at", [], help)


def change_tags(stream, names, sample_rate: int, changes: Sequence[str]) -> None:
    """Adds changes of tags over time to a stream.

    Args:
        stream: of a model or of an exported model.
        names: the tags of the model; None for a model without tags.
        sample_rate: in Hz.
        changes: the flag's values.

    Raises:
        InputError: for a change of another form, or an unknown tag.
    """
    from wavenet_tf.conditioning import parse_tags_at, tag_vector

    for change in changes:
        seconds, tags = parse_tags_at(change)
        vector = tag_vector(names, tags)[None]
        if not names:
            raise InputError("tags_at is for a model with tags; this one has no tags")
        stream.change_at(round(seconds * sample_rate), global_conditioning=vector)


def define_temperature():
    """Defines --temperature, of a program that samples."""

    def read(text) -> float:
        expected = "0 or above, and finite"
        return _number("temperature", text, expected, lambda value: 0.0 <= value < math.inf)

    help = "Below 1 more careful, above 1 wilder; 0 takes the most likely value always."
    return define("temperature", 1.0, help, read)


def define_top_k():
    """Defines --top_k, of a program that samples."""
    help = "Draw among this many most likely values only."
    return flags.DEFINE_integer("top_k", None, help, 1)


def define_top_p():
    """Defines --top_p, of a program that samples."""

    def read(text) -> float:
        return _number("top_p", text, "above 0 and at most 1", lambda value: 0.0 < value <= 1.0)

    help = "Draw among the most likely values that together reach this probability only."
    return define("top_p", None, help, read)


def _number(name: str, text: Any, expected: str, accepts: Callable[[float], bool]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not accepts(value):
        raise InputError(f"{name} must be {expected}; received {text}")
    return value


def check_output(
    flag: str, path: str | os.PathLike | None, *inputs: str | os.PathLike | None
) -> None:
    """Raises InputError unless a file can be written, and none that is read is overwritten.

    Args:
        flag: that names the file, for the error.
        path: its value; None writes nothing.
        *inputs: paths of what the program reads; None reads nothing.
    """
    if path is None:
        return
    files.check_writable(path)
    for read in inputs:
        if read is not None and files.same_file(path, read):
            raise InputError(f"--{flag} {path} would overwrite {read}, which is an input")


def check_exists(kind: str, path: str | None) -> None:
    """Raises InputError unless a path exists.

    Args:
        kind: what it is, such as "recording", for the error.
        path: of a file or folder; None names nothing.
    """
    if path is not None and not os.path.exists(path):
        raise InputError(f"no {kind} at {path}")


def check_seconds(seconds: float) -> None:
    """Raises InputError unless a length of audio is finite and above 0."""
    if not 0.0 < seconds < math.inf:
        raise InputError(f"seconds must be finite and give at least one sample; received {seconds}")


def generate(stream, num_samples: int, sample_rate: int):
    """Samples audio with a progress bar; an interruption ends it, and keeps what there is.

    Args:
        stream: of a model or of an exported model.
        num_samples: to make, in samples.
        sample_rate: in Hz.

    Returns:
        float32 `[batch, samples]`, and whether it has all samples.

    Raises:
        KeyboardInterrupt: before the first block.
    """
    import numpy as np

    from wavenet_tf import audio_blocks

    blocks: list[np.ndarray] = []
    try:
        for block in audio_blocks.take(stream, num_samples, sample_rate, progress=True):
            blocks.append(block)
    except KeyboardInterrupt:
        if not blocks:
            raise
        seconds = sum(block.shape[1] for block in blocks) / sample_rate
        _fail(f"interrupted; writing {seconds:.2f} of {num_samples / sample_rate:.2f} s")
        return np.concatenate(blocks, axis=1), False
    return np.concatenate(blocks, axis=1), True


def refuse_words(argv: Sequence[str]) -> None:
    """Raises InputError if the command line holds words that belong to no flag."""
    if len(argv) > 1:
        raise InputError(f"unexpected argument {argv[1]!r}; options are written --name=value")


def asked_speaker(conditioning, speaker: str | None) -> int | None:
    """The id of the speaker that a flag --speaker asks for.

    Args:
        conditioning: the `ConditioningSpec` of a model.
        speaker: the flag's value.

    Raises:
        InputError: for an unknown speaker, or none if the speakers of the model have names.
    """
    from wavenet_tf.conditioning import speaker_index

    names = conditioning.speaker_names
    if speaker is None and names:
        raise InputError(f"--speaker must be one of {', '.join(names)}")
    return None if speaker is None else speaker_index(names, speaker)


def only_folder(kind: str, words: Sequence[str], flag: str | None) -> str:
    """Returns the one folder that a command line names, as a word or by a flag.

    Args:
        kind: of the folder, such as "model directory", for the error.
        words: words of the command line that are not flags.
        flag: value of the flag; None if it is not given.

    Raises:
        InputError: unless the command line names exactly one folder.
    """
    folders = [*words, *([] if flag is None else [flag])]
    if len(folders) != 1:
        raise InputError(f"name one {kind}; received {', '.join(folders) or 'none'}")
    return folders[0]


def requested_tags(conditioning, tags: Sequence[str] | None):
    """Returns the value of `global_conditioning` for the flag --tags.

    Args:
        conditioning: the `ConditioningSpec` of a model.
        tags: the flag's value; None if it is not given.

    Raises:
        InputError: for an unknown tag, or no flag for a model with tags.
    """
    from wavenet_tf.conditioning import parse_tags, tag_vector

    names = conditioning.tag_names
    if tags is None:
        if names:
            raise InputError(f"--tags must be some of {', '.join(names)}; --tags= sets none")
        return None
    return tag_vector(names, parse_tags(tags))[None]


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


def parse_values(flag: str, assignments: Sequence[str]) -> dict[str, Any]:
    """Reads the values of a flag given as `name=value`, any number of times.

    Args:
        flag: its name, for the error.
        assignments: its values: numbers, lists, true and false as JSON writes them; others are
            words.

    Raises:
        InputError: for a value of another form.
    """
    values = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        if not name or not value:
            raise InputError(f"--{flag} takes name=value; received {assignment!r}")
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values


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
