"""The C library libwavenet, called by ctypes."""

import contextlib
import ctypes
import functools
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wavenet_tf.conditioning import GLOBAL_CONDITIONING, LOCAL_CONDITIONING, SPEAKER_ID
from wavenet_tf.errors import InputError

# Instruction sets that the library has kernels for, the best one first.
TARGETS = ("avx512vnni", "avxvnni", "avx2", "portable")
LIBRARY_NAMES = ("_libwavenet*.so", "_libwavenet*.dylib", "_libwavenet*.dll", "_libwavenet*.pyd")

_Pointer = ctypes.c_void_p
_Floats = ctypes.POINTER(ctypes.c_float)
_CONDITION_TYPES: dict[str, Any] = {
    SPEAKER_ID: ctypes.POINTER(ctypes.c_int32),
    GLOBAL_CONDITIONING: _Floats,
    LOCAL_CONDITIONING: _Floats,
}


class Info(ctypes.Structure):
    """`wavenet_info` of `wavenet.h`."""

    _fields_ = (
        ("sample_rate", ctypes.c_int32),
        ("uniforms_per_sample", ctypes.c_int32),
        ("num_speakers", ctypes.c_int32),
        ("global_channels", ctypes.c_int32),
        ("local_channels", ctypes.c_int32),
        ("hop_length", ctypes.c_int32),
        ("frames_before", ctypes.c_int32),
        ("frames_after", ctypes.c_int32),
        ("receptive_field", ctypes.c_int64),
        ("state_bytes", ctypes.c_int64),
        ("target", ctypes.c_char_p),
    )


class _Conditions(ctypes.Structure):
    """`wavenet_conditions` of `wavenet.h`."""

    _fields_ = (
        *_CONDITION_TYPES.items(),
        ("num_frames", ctypes.c_int64),
        ("first_sample", ctypes.c_int64),
    )


def library_path() -> Path | None:
    """Returns the path of the library that was built with the package; None if there is none."""
    folder = Path(__file__).resolve().parent
    return next((path for name in LIBRARY_NAMES for path in sorted(folder.glob(name))), None)


def is_available() -> bool:
    """Returns whether the library was built, which needs a C compiler at installation."""
    return library_path() is not None


@functools.cache
def _library() -> ctypes.CDLL:
    path = library_path()
    if path is None:
        raise InputError(
            "libwavenet is not built: install a C compiler (gcc or clang) and then this package "
            "again, or run python setup.py build_ext --inplace in its folder"
        )
    library = ctypes.CDLL(os.fspath(path))
    conditions = ctypes.POINTER(_Conditions)
    call = (_Pointer, ctypes.c_int32, conditions, _Pointer)
    signatures = {
        "wavenet_open_memory": (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, _Pointer),
        "wavenet_new_workspace": (_Pointer, ctypes.c_int32, _Pointer),
        "wavenet_start": call,
        "wavenet_score": (*call, _Floats, ctypes.c_int64, _Floats),
        "wavenet_generate": (*call, _Floats, _Floats, ctypes.c_int64, _Floats),
        "wavenet_close": (_Pointer,),
        "wavenet_free_workspace": (_Pointer,),
        "wavenet_get_info": (_Pointer,),
        "wavenet_status_text": (ctypes.c_int,),
    }
    for name, types in signatures.items():
        getattr(library, name).argtypes = types
    library.wavenet_get_info.restype = ctypes.POINTER(Info)
    library.wavenet_status_text.restype = ctypes.c_char_p
    for name in ("wavenet_close", "wavenet_free_workspace"):
        getattr(library, name).restype = None
    return library


def _check(status: int) -> None:
    if status:
        raise InputError(_library().wavenet_status_text(status).decode())


def _floats(array: np.ndarray | None):
    return None if array is None else array.ctypes.data_as(_Floats)


class Model:
    """An open model of libwavenet; threads may call it at the same time.

    Args:
        content: of a model file.
        target: instruction set of the kernels, one of `targets()`; None takes the best one.

    Attributes:
        info: sizes of the model.

    Raises:
        InputError: if the content is corrupted, the processor lacks the instructions, or the
            library is not built.
    """

    def __init__(self, content: bytes, target: str | None = None):
        self._library = _library()
        self._handle = _Pointer()
        self._workspaces: list[tuple[int, ctypes.c_void_p]] = []
        self._lock = threading.Lock()
        _check(
            self._library.wavenet_open_memory(
                content,
                len(content),
                None if target is None else target.encode(),
                ctypes.byref(self._handle),
            )
        )
        self.info: Info = self._library.wavenet_get_info(self._handle).contents

    def __del__(self):
        for _, workspace in getattr(self, "_workspaces", ()):
            self._library.wavenet_free_workspace(workspace)
        if getattr(self, "_handle", None):
            self._library.wavenet_close(self._handle)

    @property
    def target(self) -> str:
        """Instruction set of the kernels."""
        return self.info.target.decode()

    def new_states(self, streams: int) -> np.ndarray:
        """Returns memory for the states of streams, uint8 `[streams, state_bytes]`."""
        return np.zeros([streams, self.info.state_bytes], np.uint8)

    def start(self, conditions: Mapping[str, np.ndarray], states: np.ndarray) -> None:
        """Sets the states of streams to those after digital silence.

        Args:
            conditions: of `ConditioningSpec.checked`; frames begin after the silence.
            states: of `new_states`, changed in place.
        """
        self._call("wavenet_start", conditions, 0, states)

    def score(
        self,
        conditions: Mapping[str, np.ndarray],
        first_sample: int,
        states: np.ndarray,
        audio: np.ndarray,
    ) -> np.ndarray:
        """Advances states by given audio, and returns its log-likelihood.

        Args:
            conditions: of `ConditioningSpec.checked`.
            first_sample: index of the first sample, counted from the first frame.
            states: of the streams, changed in place.
            audio: float32 `[streams, samples]` in [-1, 1].

        Returns:
            float32 `[streams, samples]`, in nats.
        """
        audio = np.ascontiguousarray(audio, np.float32)
        scores = np.zeros_like(audio)
        arguments = _floats(audio), audio.shape[1], _floats(scores)
        self._call("wavenet_score", conditions, first_sample, states, *arguments)
        return scores

    def generate(
        self,
        conditions: Mapping[str, np.ndarray],
        first_sample: int,
        states: np.ndarray,
        uniforms: np.ndarray,
        temperature: np.ndarray,
    ) -> np.ndarray:
        """Samples the next audio of streams.

        Args:
            conditions: of `ConditioningSpec.checked`.
            first_sample: index of the first sample, counted from the first frame.
            states: of the streams, changed in place.
            uniforms: float32 in [0, 1), `[streams, samples]` or for a mixture
                `[streams, samples, 2]`.
            temperature: float32 `[streams]`.

        Returns:
            float32 `[streams, samples]` in [-1, 1].
        """
        uniforms = np.ascontiguousarray(uniforms, np.float32)
        temperature = np.ascontiguousarray(temperature, np.float32)
        audio = np.zeros(uniforms.shape[:2], np.float32)
        arguments = _floats(uniforms), _floats(temperature), audio.shape[1], _floats(audio)
        self._call("wavenet_generate", conditions, first_sample, states, *arguments)
        return audio

    def _call(
        self,
        function: str,
        conditions: Mapping[str, np.ndarray],
        first_sample: int,
        states: np.ndarray,
        *arguments,
    ) -> None:
        streams = len(states)
        # The arrays are kept until the call ends.
        arrays = {
            name: np.ascontiguousarray(value, np.int32 if name == SPEAKER_ID else np.float32)
            for name, value in conditions.items()
        }
        structure = _Conditions(first_sample=first_sample)
        for name, array in arrays.items():
            setattr(structure, name, array.ctypes.data_as(_CONDITION_TYPES[name]))
            if name == LOCAL_CONDITIONING:
                structure.num_frames = array.shape[1]
        with self._workspace(streams) as workspace:
            _check(
                getattr(self._library, function)(
                    workspace,
                    streams,
                    ctypes.byref(structure),
                    states.ctypes.data_as(_Pointer),
                    *arguments,
                )
            )

    @contextlib.contextmanager
    def _workspace(self, streams: int) -> Iterator[ctypes.c_void_p]:
        """Yields a workspace that no other thread uses; a new one only if none is idle."""
        with self._lock:
            fits = [entry for entry in self._workspaces if entry[0] == streams]
            if fits:
                self._workspaces.remove(fits[0])
        entry = fits[0] if fits else (streams, _Pointer())
        if not fits:
            _check(
                self._library.wavenet_new_workspace(self._handle, streams, ctypes.byref(entry[1]))
            )
        try:
            yield entry[1]
        finally:
            with self._lock:
                self._workspaces.append(entry)


@functools.cache
def targets() -> tuple[str, ...]:
    """Returns the instruction sets of the library that this processor has, the best one first."""
    missing = 9  # WAVENET_NO_TARGET
    handle = _Pointer()
    return tuple(
        name
        for name in TARGETS
        if _library().wavenet_open_memory(b"", 0, name.encode(), ctypes.byref(handle)) != missing
    )
