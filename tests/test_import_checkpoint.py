"""What holds for checkpoints of every program: their recognition, and errors that name them."""

import numpy as np
import pytest
from conftest import run_program
from torch_files import legacy

from wavenet_tf import convert
from wavenet_tf.convert import importing, weight_map
from wavenet_tf.convert.checkpoint import Checkpoint
from wavenet_tf.errors import InputError

NAMES = {
    "ibab": "wavenet/dilated_stack/layer{}/gate",
    "kan-bayashi": "dil_sigmoid.{}.conv.weight",
    "r9y9": "conv_layers.{}.conv1x1_skip.weight",
    "vincentherrmann": "skip_convs.{}.weight",
}


def checkpoint(*names: str) -> Checkpoint:
    return Checkpoint("file", {name: np.zeros(1, np.float32) for name in names}, {})


def test_every_source_is_found_by_the_names_of_its_weights():
    assert tuple(NAMES) == convert.SOURCES
    for source, name in NAMES.items():
        names = [name.format(index) for index in range(3)]
        assert source == importing.nearest_source(checkpoint(*names, "other").tensors).NAME


def test_a_checkpoint_of_no_known_layout_is_refused_by_its_first_name():
    with pytest.raises(
        InputError, match=r"of no known layout \(ibab, .*\): its first name is a\.b"
    ):
        convert.convert_checkpoint(checkpoint("a.b", "c"))


@pytest.mark.parametrize("source", convert.SOURCES)
def test_another_program_than_the_one_named_is_named(source):
    other = next(name for name in NAMES if name != source)
    names = [NAMES[other].format(index) for index in range(3)]
    with pytest.raises(InputError, match=f"the checkpoint has no .*; the nearest known .* {other}"):
        convert.convert_checkpoint(checkpoint(*names), source)


def test_networks_that_predict_a_block_ahead_are_refused_with_the_reason(tmp_path):
    names = ["hs.0.gatedconv.conv_f.weight", "hs.0.gatedconv.conv_g.weight", "hs.0.conv_1.bias"]
    names += ["batch_norms.0.running_mean", "conv_1_1.weight", "h_class.weight"]
    path = tmp_path / "model.pth"
    path.write_bytes(legacy(checkpoint(*names).tensors))
    with pytest.raises(InputError, match="Mason-McGough/Wavenet-PyTorch, which cannot be imported"):
        convert.import_checkpoint(path, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_rows_must_name_every_variable_once():
    class Model:
        variables = ()

    row = weight_map.Row("trunk/extra")
    with pytest.raises(ValueError, match="must name every variable once; wrong is trunk/extra"):
        convert.assign_weights(Model(), [row], {})


@pytest.mark.slow
def test_the_program_prints_one_line_for_an_attack_and_writes_nothing(tmp_path):
    marker = tmp_path / "ran"
    path = tmp_path / "model.pth"
    path.write_bytes(f"(S'touch {marker}'\nios\nsystem\n.".encode())
    output = tmp_path / "out"
    result = run_program("import_checkpoint.py", f"--checkpoint={path}", f"--output_dir={output}")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "it calls os.system when it is loaded" in result.stderr
    assert not marker.exists()
    assert not output.exists()
