"""The names that `from_preset` takes."""

from typing import NamedTuple

from wavenet_tf.model_directory import model_card, trained_models
from wavenet_tf.models.config import PRESETS, WaveNetConfig


class Preset(NamedTuple):
    """A name that `from_preset` takes.

    Attributes:
        name: for `from_preset`; that of a trained model also for the flag `--model_dir`.
        trained: whether it has weights.
        task: of a trained model "generate", "speak", "recognize" or "classify"; of a configuration
            "generate", though the trunk of each serves every task.
        description: in a sentence.
    """

    name: str
    trained: bool
    task: str
    description: str


def list_presets() -> list[Preset]:
    """Returns the trained models of the package, then the configurations without weights.

    Example:
    >>> [preset.name for preset in list_presets() if not preset.trained]
    ['tiny', 'small', 'medium', 'paper', 'music']
    """
    presets = []
    for name in trained_models():
        card = model_card(name)
        presets.append(Preset(name, True, card.task, card.description))
    for name in PRESETS:
        config = WaveNetConfig.from_preset(name)
        memory = f" and {len(config.context_stacks)} context stack" if config.context_stacks else ""
        description = (
            f"{len(config.block_dilations)} layers of {config.residual_channels} residual and "
            f"{config.skip_channels} skip channels{memory}, for {config.sample_rate:,} Hz."
        )
        presets.append(Preset(name, False, "generate", description))
    return presets
