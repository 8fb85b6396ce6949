"""Lifters that come with Raylift: their files lie beside this module, in half precision (docs/everyday.md)."""

import hashlib
from pathlib import Path

import torch

from pipelines.lifters.checkpoint import load_lifter, save_lifter
from schemas.errors import UserError
from schemas.job_config import SHIPPED_LIFTERS

# The SHA-256 of each shipped file.
HASHES = {"everyday": "d8b41200e3b36545d17ad2657b6ea1a3c1d8114cbbbaa2f50b9fbdc685e925ea"}
_FOLDER = Path(__file__).parent


def locate(name: str) -> Path:
    """The file of a shipped lifter.

    Raises:
        UserError: The file is not the one that this version was released with.
    """
    file = _FOLDER / f"{name}.pt"
    if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != HASHES[name]:
        raise UserError(f"model={name}: {file} is missing or damaged; install Raylift again")
    return file


def pack(source: str, name: str, lineage: dict[str, str]) -> str:
    """Write a trained lifter as a shipped one, in half precision; returns the hash to note in `HASHES`.

    Args:
        source: A lifter, such as out/everyday/best.pt.
        name: One of `SHIPPED_LIFTERS`.
        lineage: Where its data are from, and under which terms.
    """
    assert name in SHIPPED_LIFTERS, name
    model, card = load_lifter(source)
    file = _FOLDER / f"{name}.pt"
    save_lifter(str(file), model.to(torch.float16), card.model_copy(update={"lineage": card.lineage | lineage}))
    return hashlib.sha256(file.read_bytes()).hexdigest()
