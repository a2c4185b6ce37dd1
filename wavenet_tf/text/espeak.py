"""Speech of espeak-ng: audio, and the events of its phones and words.

espeak-ng is an optional package: `pip install 'wavenet_tf[espeak]'`. Its library has global state
and may end the process: call it in a process of its own. The audio of a text depends on the texts
that were spoken before it in the process.

Source: `speak_lib.h` of espeak-ng 1.52.
"""

import ctypes
import dataclasses
import itertools
import os
import re

import numpy as np

from wavenet_tf.errors import InputError

WORD, PHONE = 1, 7  # types of events
_END_OF_EVENTS = 0
_SYNCHRONOUS_OUTPUT = 2
_PHONE_EVENTS, _IPA, _DO_NOT_EXIT = 0x1, 0x2, 0x8000
_RATE, _PITCH = 1, 3  # parameters
_UTF_8, _PAUSE_AT_END = 0x1, 0x1000
_BY_CHARACTER = 1

# espeak-ng speaks some pairs of words, such as "of the", as one word, unless a no-break space
# separates them. It ends a clause only where a space follows the punctuation.
_SPACE_IN_CLAUSE = re.compile(r"(?<=\w) (?=\w)")
_NO_BREAK_SPACE = "\u00a0"


class _Identifier(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identifier),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclasses.dataclass(frozen=True)
class Event:
    """The start of a phone or word.

    Attributes:
        type: PHONE or WORD.
        sample: index of the first sample.
        position: index of the word's first character in the text.
        phone: IPA with stress mark; "" for a pause, and for a word.
    """

    type: int
    sample: int
    position: int
    phone: str = ""


def check_installed() -> None:
    """Raises InputError unless espeak-ng is installed."""
    try:
        import espeakng_loader  # noqa: F401
    except ImportError as error:
        raise InputError(
            "speech needs espeak-ng: pip install 'wavenet_tf[espeak]' installs it"
        ) from error


class Synthesizer:
    """Speaks with espeak-ng; a process has one.

    Attributes:
        sample_rate: sample rate of the audio in Hz.
    """

    def __init__(self):
        import espeakng_loader

        self._variants = os.path.join(espeakng_loader.get_data_path(), "voices", "!v")
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._library.espeak_Synth.argtypes = [
            *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int),
            *(ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p),
        ]
        self.sample_rate = self._library.espeak_Initialize(
            _SYNCHRONOUS_OUTPUT,
            0,
            os.fsencode(espeakng_loader.get_data_path()),
            _PHONE_EVENTS | _IPA | _DO_NOT_EXIT,
        )
        if self.sample_rate <= 0:
            raise InputError(f"espeak-ng finds no data in {espeakng_loader.get_data_path()}")
        self._blocks: list[bytes] = []
        self._events: list[Event] = []
        # The library keeps a pointer to the callback.
        self._callback = _CALLBACK(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def set_voice(self, name: str) -> None:
        """Selects a voice.

        Args:
            name: language, and "+" and a variant, such as "en-us+f2".

        Raises:
            InputError: if there is no such voice.
        """
        _, plus, variant = name.partition("+")
        # The library ignores an unknown variant.
        unknown = plus and variant not in os.listdir(self._variants)
        if unknown or self._library.espeak_SetVoiceByName(name.encode()):
            raise InputError(
                "voices must be voices of espeak-ng, such as en, en-us+f2 or de+m3; "
                f"received {name!r}"
            )

    def speak(self, text: str, pitch: int, rate: int) -> tuple[np.ndarray, list[Event]]:
        """Returns the audio of a text, int16 `[samples]`, and the events in it.

        Args:
            text: one sentence, or a few.
            pitch: pitch of the voice, from 0 to 99.
            rate: words per minute, from 80 to 450.

        Raises:
            InputError: if espeak-ng does not speak the text.
        """
        self._blocks.clear()
        self._events = []
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        self._library.espeak_SetParameter(_RATE, rate, 0)
        encoded = _SPACE_IN_CLAUSE.sub(_NO_BREAK_SPACE, text).encode()
        flags = _UTF_8 | _PAUSE_AT_END
        failed = self._library.espeak_Synth(
            encoded, len(encoded) + 1, 0, _BY_CHARACTER, 0, flags, None, None
        )
        if failed:
            raise InputError(f"espeak-ng cannot speak {text!r}")
        return np.frombuffer(b"".join(self._blocks), np.int16), self._events

    def _receive(self, samples, num_samples: int, events) -> int:
        """Copies a block of audio and its events, which are valid only during this call."""
        if samples and num_samples > 0:
            self._blocks.append(ctypes.string_at(samples, 2 * num_samples))
        for event in itertools.takewhile(lambda event: event.type != _END_OF_EVENTS, events):
            if event.type in (WORD, PHONE):
                # The string of a long phone fills all bytes and has no NUL.
                label = bytes(event.id).split(b"\0")[0] if event.type == PHONE else b""
                phone = label.decode("utf-8", "ignore")
                position = event.text_position - 1
                self._events.append(Event(event.type, event.sample, position, phone))
        return 0
