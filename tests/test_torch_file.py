"""PyTorch's files are read without PyTorch, and nothing in them runs."""

import io
import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from torch_files import FORMATS, Call, Object, legacy, safetensors, zipped

from wavenet_tf import convert
from wavenet_tf.convert.torch_file import read_checkpoint, read_object
from wavenet_tf.errors import InputError


def state() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    shapes = {"start_conv.weight": (3, 1, 1), "end_conv.bias": (5,), "skip_convs.0.weight": (2, 4)}
    return {name: generator.normal(size=shape).astype("f4") for name, shape in shapes.items()}


def tensors_in(tmp_path, contents: bytes) -> dict[str, np.ndarray]:
    path = tmp_path / "model.pth"
    path.write_bytes(contents)
    return read_checkpoint(path).tensors


def assert_equal(actual, expected, **tolerance):
    assert list(actual) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, **(tolerance or {"rtol": 0}))


@pytest.mark.parametrize("kind", FORMATS)
def test_tensors_of_every_format_are_those_written(kind, tmp_path):
    assert_equal(tensors_in(tmp_path, FORMATS[kind](state())), state())


@pytest.mark.parametrize("kind", FORMATS)
def test_half_precision_and_doubles_become_float32(kind, tmp_path):
    expected = state()
    for dtype in ("f2", "f8"):
        written = {name: value.astype(dtype) for name, value in expected.items()}
        actual = tensors_in(tmp_path, FORMATS[kind](written))
        assert {value.dtype for value in actual.values()} == {np.dtype("float32")}
        assert_equal(actual, expected, atol=2e-3)
    bfloat16 = {name: (value.view("u4") >> 16).astype("u2") for name, value in expected.items()}
    assert_equal(tensors_in(tmp_path, FORMATS[kind](bfloat16)), expected, rtol=2**-7)


def test_tensors_may_share_a_storage_and_have_any_strides(tmp_path):
    base = np.arange(24, dtype="f4").reshape(4, 6)
    views = {"a": base.T, "b": base[1:3, ::2], "c": base}
    for kind in (legacy, zipped):
        assert_equal(tensors_in(tmp_path, kind(views)), views)


@pytest.mark.parametrize("name", ["state_dict", "model", "model_state_dict"])
def test_checkpoints_hold_their_state_beside_other_things(name, tmp_path):
    optimizer = {"state": {0: {"exp_avg": np.ones(3, "f4")}}, "param_groups": [{"lr": 0.1}]}
    checkpoint = {name: OrderedDict(state()), "optimizer": optimizer, "global_step": 7}
    assert_equal(tensors_in(tmp_path, zipped(checkpoint)), state())


def test_averaged_weights_are_taken_if_there_are_any(tmp_path):
    averaged = {name: value + 1.0 for name, value in state().items()}
    checkpoint = {"state_dict": state(), "ema_state_dict": averaged}
    assert_equal(tensors_in(tmp_path, legacy(checkpoint)), averaged)


def test_the_prefix_of_parallel_models_is_removed(tmp_path):
    parallel = {f"module.{name}": value for name, value in state().items()}
    assert_equal(tensors_in(tmp_path, legacy(parallel)), state())


@pytest.mark.parametrize(
    "spelling",
    [
        ("a.weight_g", "a.weight_v"),
        ("a.parametrizations.weight.original0", "a.parametrizations.weight.original1"),
    ],
)
def test_weight_normalization_is_multiplied_out(spelling, tmp_path):
    generator = np.random.default_rng(2)
    g, v = generator.normal(size=(4, 1, 1)).astype("f4"), generator.normal(size=(4, 3, 2))
    expected = g * v / np.sqrt((v**2).sum(axis=(1, 2), keepdims=True))
    parts = dict(zip(spelling, (g, v.astype("f4")), strict=True))
    actual = tensors_in(tmp_path, zipped({**parts, "a.bias": g[:, 0, 0]}))
    np.testing.assert_allclose(actual["a.weight"], expected, rtol=1e-5)
    assert sorted(actual) == ["a.bias", "a.weight"]
    with pytest.raises(InputError, match="but no a"):
        tensors_in(tmp_path, zipped({spelling[1]: v.astype("f4")}))


def test_foreign_objects_hold_their_attributes_only(tmp_path):
    path = tmp_path / "model.conf"
    namespace = Object("argparse", "Namespace", {"n_resch": 512, "name": "a"})
    path.write_bytes(legacy(namespace))
    read = read_object(path)
    assert vars(read) == {"n_resch": 512, "name": "a"}
    assert type(read).__module__ == "argparse"


class Marker:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def attacks(command: str) -> dict[str, bytes]:
    """Files that run a command when a usual unpickler loads them."""
    calls = {
        "posix.system": Call("posix", "system", (command,)),
        "os.system": Call("os", "system", (command,)),
        "builtins.eval": Call("builtins", "eval", (f"__import__('os').system({command!r})",)),
        "builtins.exec": Call("builtins", "exec", (f"import os; os.system({command!r})",)),
        "builtins.getattr": Call("builtins", "getattr", ({}, "keys")),
        "subprocess.Popen": Call("subprocess", "Popen", (["sh", "-c", command],)),
        "subprocess.check_output": Call("subprocess", "check_output", (["sh", "-c", command],)),
        "runpy.run_path": Call("runpy", "run_path", ("/tmp/x.py",)),
        "pty.spawn": Call("pty", "spawn", (["sh", "-c", command],)),
        "torch.load": Call("torch", "load", ("other.pth",)),
        "torch.hub.load": Call("torch.hub", "load", ("owner/name", "model")),
        "numpy.load": Call("numpy", "load", ("x.npy", None, True)),
        "pickle.loads": Call("pickle", "loads", ("x",)),
        "operator.attrgetter": Call("operator", "attrgetter", ("system",)),
        "functools.partial": Call("functools", "partial", ()),
        "webbrowser.open": Call("webbrowser", "open", ("http://localhost",)),
    }
    files = {}
    for name, call in calls.items():
        files[f"{name} in a legacy file"] = legacy({**state(), "x": call})
        files[f"{name} in a zip file"] = zipped({**state(), "x": call})
        files[f"{name} as the state"] = legacy({"state_dict": call})
        files[f"{name} in a module"] = legacy(Object("net", "Net", {"_modules": {"a": call}}))
    plain = pickle.dumps(Marker(command))
    files["posix.system in a plain pickle"] = plain
    for protocol in (0, 1, 4, 5):
        files[f"posix.system in protocol {protocol}"] = pickle.dumps(Marker(command), protocol)
    old = f"(S{command!r}\nios\nsystem\n.".encode()
    files["os.system by the opcode INST"] = old
    files["os.system by the opcode OBJ"] = f"(cos\nsystem\nS{command!r}\no.".encode()
    return files


def test_a_pickle_that_would_run_code_is_refused_by_name(tmp_path):
    marker = tmp_path / "ran"
    files = attacks(f"touch {marker}")
    assert len(files) > 60
    for name, contents in files.items():
        path = tmp_path / "model.pth"
        path.write_bytes(contents)
        with pytest.raises(InputError) as error:
            convert.import_checkpoint(path, tmp_path / "out")
        message = str(error.value)
        assert f"it calls {name.split()[0]} when it is loaded, which may run" in message, name
        assert "\n" not in message
        assert not marker.exists(), name
        assert not (tmp_path / "out").exists()
    # The files do run the command in an unpickler that calls what they name.
    pickle.loads(files["posix.system in a plain pickle"])
    assert marker.exists()


def damaged() -> dict[str, bytes]:
    """Files that are cut, changed, or something else, by what is wrong with them."""
    whole = {name: write(state()) for name, write in FORMATS.items()}
    files = {"nothing": b"", "text": b"hello", "zeros": bytes(1000), "noise": b"\x80\x02" * 500}
    for name, contents in whole.items():
        for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
            files[f"{name} cut at {share}"] = contents[: int(len(contents) * share)]
        files[f"{name} without its last byte"] = contents[:-1]
    contents = whole["legacy"]
    size = contents.index(struct.pack("<q", 3))
    for wrong in (-1, 2**40, 0):
        changed = contents[:size] + struct.pack("<q", wrong) + contents[size + 8 :]
        files[f"a storage of {wrong} elements"] = changed
    files["another magic number"] = contents.replace(b"\xf9\x46\x9c\xfc\x6c"[::-1], b"12345")
    nan = {**state(), "end_conv.bias": np.float32([np.nan] * 5)}
    for name, write in FORMATS.items():
        files[f"{name} with NaN"] = write(nan)
    files["no tensors"] = legacy({"a": 1})
    files["a list"] = zipped([1, 2])
    files["a number"] = legacy(3)
    parts = ("storage", "1")
    files["a tensor of no storage"] = legacy(
        {"a": Call("torch._utils", "_rebuild_tensor_v2", (parts, 0, (3,), (1,)))}
    )
    files["a memo of 2**31 entries"] = b"\x80\x02Nr\xff\xff\xff\x7f."
    files["nested lists"] = b"\x80\x02" + b"(" * 10**5 + b"."
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**6))
    files["a compressed member"] = file.getvalue()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("word/document.xml", "<a/>")
    files["another kind of zip file"] = file.getvalue()
    header = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    for name, change in {
        "offsets beyond the file": {"data_offsets": [0, 800]},
        "negative offsets": {"data_offsets": [-8, 0]},
        "another type": {"dtype": "C64"},
        "another shape": {"shape": [3]},
        "no shape": {"shape": None},
    }.items():
        text = json.dumps({"a": {**header["a"], **change}}).encode()
        files[f"safetensors with {name}"] = struct.pack("<Q", len(text)) + text + bytes(8)
    files["safetensors with a list"] = struct.pack("<Q", 4) + b"{[]}" + bytes(8)
    return files


def test_damaged_files_are_refused_in_a_line(tmp_path):
    files = damaged()
    assert len(files) > 40
    for name, contents in files.items():
        path = tmp_path / "model.pth"
        path.write_bytes(contents)
        with pytest.raises(InputError) as error:
            convert.import_checkpoint(path, tmp_path / "out")
        assert "\n" not in str(error.value), name
        assert not (tmp_path / "out").exists()


def test_changed_bytes_end_in_one_error_or_in_other_numbers(tmp_path):
    generator = np.random.default_rng(0)
    path = tmp_path / "model.pth"
    for contents in (legacy(state()), zipped(state()), safetensors(state())):
        for _ in range(150):
            changed = bytearray(contents)
            for position in generator.integers(0, len(changed), 3):
                changed[position] = generator.integers(0, 256)
            path.write_bytes(bytes(changed))
            try:
                read_checkpoint(path)
            except InputError as error:
                assert "\n" not in str(error)
