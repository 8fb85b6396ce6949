"""Lifters on disk: a card that says what the model is, and its weights. Nothing is unpickled but tensors."""

import io
import pickle
from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from pipelines import storage
from pipelines.lifters.model import LiftingModel, build_model
from schemas import __version__
from schemas.config import PluginConfig
from schemas.errors import UserError
from schemas.layouts import layout

FORMAT = "raylift.lifter/1"


class LifterCard(BaseModel):
    """What a lifter is: everything needed to build it and to feed it right."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: Literal["raylift.lifter/1"] = FORMAT
    """Names the format and its version."""

    lifter: str
    """A name of the table `LIFTERS`, or package.module:Class."""

    config: dict[str, Any]
    """The lifter's options."""

    input_layout: str
    """Joints of the keypoints it reads."""

    output_layout: str
    """Joints of the poses it predicts."""

    trajectory: bool
    """Whether it predicts the root's trajectory."""

    fps: float
    """Frames per second of the tracks it was trained on."""

    receptive_field: int
    """Frames that one prediction sees."""

    version: str = __version__
    """The package that wrote it."""

    lineage: dict[str, str] = {}
    """Where it comes from: run, digests of data, what its makers note."""


def save_lifter(uri: str, model: LiftingModel, card: LifterCard) -> None:
    """Write a model with its card, whole or not at all.

    Raises:
        RunFailed: It cannot be written.
    """
    content = io.BytesIO()
    torch.save({"format": card.format, "card": card.model_dump_json(), "weights": model.state_dict()}, content)
    storage.write_bytes(uri, content.getbuffer())


def load_lifter(uri: str) -> tuple[LiftingModel, LifterCard]:
    """Read what `save_lifter` wrote; the model is on the CPU, in evaluation mode.

    Raises:
        UserError: No such file; it is damaged; it is another format, version or architecture.
    """
    content = read_checkpoint(uri)
    card = _read_card(uri, content)
    config = PluginConfig.model_validate({"name": card.lifter, **card.config})
    try:
        model = build_model(config, layout(card.input_layout), layout(card.output_layout), card.trajectory)
    except ValidationError as error:
        wrong = error.errors()[0]
        path = ".".join(["lifter", *map(str, wrong["loc"])])
        raise UserError(
            f"{uri}: {path}={wrong['input']}: {wrong['msg']}; it was written by raylift {card.version}"
        ) from error
    load_weights(uri, model, content.get("weights", {}))
    return model.eval(), card


def require_layout(card: LifterCard, layout_name: str) -> None:
    """Hold data against the layout that a lifter reads.

    Raises:
        UserError: The data has another.
    """
    if layout_name != card.input_layout:
        raise UserError(
            f"layout: the keypoints are {layout_name}, the lifter was trained on {card.input_layout}; "
            f"label with {card.input_layout}, or take a lifter for {layout_name}"
        )


def read_checkpoint(uri: str) -> dict[str, Any]:
    """The dictionary in a file that `torch.save` wrote, tensors on the CPU.

    Raises:
        UserError: No such file; it is damaged; it holds pickled objects, which are never loaded, or no dictionary.
    """
    try:
        data = storage.read_bytes(uri)
    except OSError as error:
        raise UserError(f"{uri}: cannot be read: {error.strerror or error}; give the path of a lifter") from error
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        # Damaged bytes fail in every way that bytes can; only a refusal is told apart, by PyTorch's words for it.
        if isinstance(error, pickle.UnpicklingError) and (
            "Unsupported global" in str(error) or "Unsupported class" in str(error)
        ):
            raise UserError(
                f"{uri}: holds pickled objects besides tensors, which can run code and are refused; "
                "save its state dict alone"
            ) from error
        raise UserError(f"{uri}: is damaged or no checkpoint; copy it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{uri}: holds a {type(content).__name__}, not a lifter")
    return content


def load_weights(uri: str, model: torch.nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Fill a model with weights read from `uri`.

    Raises:
        UserError: Names or shapes are not the model's; the message tells the first that differ.
    """
    require_shapes(uri, shapes_of(model.state_dict()), weights)
    model.load_state_dict(weights)


def require_shapes(uri: str, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, Tensor]) -> None:
    """Hold weights against the names and shapes that an architecture has.

    Raises:
        UserError: They differ.
    """
    shapes = shapes_of(found)
    differ = [name for name in {**expected, **shapes} if expected.get(name) != shapes.get(name)]
    if differ:
        told = ", ".join(f"{name} {_told(expected, name)}, found {_told(shapes, name)}" for name in differ[:3])
        more = f", and {len(differ) - 3} more" if len(differ) > 3 else ""
        raise UserError(f"{uri}: weights of another architecture; expected {told}{more}")


def shapes_of(weights: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor, empty for what is none."""
    return {str(name): tuple(getattr(value, "shape", ())) for name, value in weights.items()}


def _told(shapes: Mapping[str, tuple[int, ...]], name: str) -> str:
    return "×".join(map(str, shapes[name])) or "scalar" if name in shapes else "nothing"


def _read_card(uri: str, content: Mapping[str, Any]) -> LifterCard:
    if "format" not in content:
        keys = ", ".join(list(map(str, content))[:3])
        raise UserError(
            f"{uri}: is no Raylift lifter (keys: {keys}, …); python -m jobs.import_lifter makes one of a published one"
        )
    if content["format"] != FORMAT:
        raise UserError(f"{uri}: format is {content['format']!r}, this version reads {FORMAT!r}; upgrade raylift")
    try:
        return LifterCard.model_validate_json(content["card"])
    except (ValidationError, KeyError) as error:
        raise UserError(f"{uri}: the card is damaged; copy the file again") from error
