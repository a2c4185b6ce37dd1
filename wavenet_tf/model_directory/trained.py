"""The trained models that come with the package: model directories that have names."""

import dataclasses
import json
import os
from pathlib import Path

from wavenet_tf.errors import InputError

TRAINED_MODELS = Path(__file__).parent.parent / "trained"
CARD = "card.json"


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """What a trained model of the package is, as its `card.json` states it.

    Attributes:
        task: "generate", "speak", "recognize" or "classify", as `runs.Settings` names it.
        description: what the model does, in a sentence.
        data: what it was trained on.
        licence: of the weights.
        figures: what `tools/evaluate.py` printed on new recordings, by line.
        commands: the commands that made data and model, in order.
    """

    task: str
    description: str
    data: str
    licence: str
    figures: tuple[str, ...]
    commands: tuple[str, ...]

    def __post_init__(self):
        object.__setattr__(self, "figures", tuple(self.figures))
        object.__setattr__(self, "commands", tuple(self.commands))

    def to_json(self) -> str:
        """Returns the card as the text of a `card.json`."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"


def trained_models() -> tuple[str, ...]:
    """Returns the names of the trained models of the package, sorted."""
    return tuple(sorted(path.parent.name for path in TRAINED_MODELS.glob(f"*/{CARD}")))


def model_card(name: str) -> ModelCard:
    """Returns the card of a trained model.

    Args:
        name: of `trained_models()`.

    Raises:
        InputError: for an unknown name.
    """
    if name not in trained_models():
        raise InputError(
            f"unknown trained model {name!r}: there are {', '.join(trained_models()) or 'none'}"
        )
    text = (TRAINED_MODELS / name / CARD).read_text(encoding="utf-8")
    return ModelCard(**json.loads(text))


def resolve_model_dir(name_or_path: str | os.PathLike) -> Path:
    """Returns the model directory of a path or of the name of a trained model.

    Args:
        name_or_path: a folder, or one of `trained_models()`; an existing folder of such a name is
            preferred.
    """
    path = Path(name_or_path)
    if not path.exists() and str(name_or_path) in trained_models():
        return TRAINED_MODELS / str(name_or_path)
    return path
