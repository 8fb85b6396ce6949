"""Reads checkpoints of PyTorch models of unknown origin: only tensors are unpickled; errors have one line."""

import hashlib
import io
import pickle
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pipelines.io import storage
from schemas.errors import UserError


def read_checkpoint(uri: str, what: str) -> dict[str, Any]:
    """The dictionary in a file that `torch.save` wrote, with its tensors on the CPU.

    Args:
        uri: The file.
        what: What the file should be, for error messages.

    Raises:
        UserError: There is no such file, it is damaged, it holds other pickled objects than tensors, which are never
            loaded, or it does not hold a dictionary.
    """
    return read_hashed(uri, what)[0]


def read_hashed(uri: str, what: str) -> tuple[dict[str, Any], str]:
    """The result of `read_checkpoint`, and the file's SHA-256.

    Raises:
        UserError: As `read_checkpoint`.
    """
    try:
        data = storage.read_bytes(uri)
    except OSError as error:
        raise UserError(f"{uri}: cannot be read: {error.strerror or error}; give the path of a {what}") from error
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        # Damaged files raise exceptions of many types. A refused object has no type of its own, only these words.
        if isinstance(error, pickle.UnpicklingError) and (
            "Unsupported global" in str(error) or "Unsupported class" in str(error)
        ):
            raise UserError(
                f"{uri}: holds pickled objects besides tensors, which can run code and are refused; "
                "save its state dict alone"
            ) from error
        raise UserError(f"{uri}: is damaged or no checkpoint; copy it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{uri}: holds a {type(content).__name__}, not a {what}")
    return content, hashlib.sha256(data).hexdigest()


def load_weights(uri: str, model: torch.nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load the weights that were read from `uri` into a model.

    Raises:
        UserError: Names or shapes differ from the model's; the message shows the first three.
    """
    require_shapes(uri, shapes_of(model.state_dict()), weights)
    model.load_state_dict(weights)


def require_shapes(uri: str, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, Tensor]) -> None:
    """Compare weights with the names and shapes of an architecture.

    Raises:
        UserError: They differ.
    """
    shapes = shapes_of(found)
    differ = [name for name in {**expected, **shapes} if expected.get(name) != shapes.get(name)]
    if differ:
        first = ", ".join(f"{name} {_format(expected, name)}, found {_format(shapes, name)}" for name in differ[:3])
        more = f", and {len(differ) - 3} more" if len(differ) > 3 else ""
        raise UserError(f"{uri}: weights of another architecture; expected {first}{more}")


def shapes_of(weights: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor; empty for values that are not tensors."""
    return {str(name): tuple(getattr(value, "shape", ())) for name, value in weights.items()}


def _format(shapes: Mapping[str, tuple[int, ...]], name: str) -> str:
    return "×".join(map(str, shapes[name])) or "scalar" if name in shapes else "nothing"
