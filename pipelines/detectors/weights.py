"""Options that name weights: a URI, a Hugging Face name, or a seed for tests and benchmarks."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from pydantic import AfterValidator

from pipelines.io import storage
from schemas.errors import UserError

RANDOM = "random:"


def random_seed(weights: str) -> int | None:
    """The seed of `random:SEED`; None for anything else.

    Raises:
        UserError: The seed is not a number.
    """
    if not weights.startswith(RANDOM):
        return None
    seed = weights.removeprefix(RANDOM)
    if not seed.isdecimal():
        raise UserError(f"{weights}: the seed is no whole number; random weights are written random:0")
    return int(seed)


def absolute(weights: str) -> str:
    """Weights as every process of this machine finds them: a path that exists is made absolute."""
    # An address that is not a path on this machine stays as it is; reading a config never uses the network.
    if weights.startswith(RANDOM) or "://" in weights or not storage.exists(weights):
        return weights
    return storage.absolute(weights)


Weights = Annotated[str, AfterValidator(absolute)]
"""An option that names weights, as every process of this machine finds them: paths that exist are made absolute."""


@contextmanager
def named(field: str) -> Iterator[None]:
    """Prefix error messages, which begin with the file, with the option that named it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{field}={error}") from error


def combined_sha256(*digests: str) -> str:
    """One hash for several weights, of which some may be missing (empty); a single hash is returned unchanged."""
    present = [digest for digest in digests if digest]
    return present[0] if len(present) == 1 else hashlib.sha256("".join(present).encode()).hexdigest()


def parse_size(size: str, multiple: int) -> tuple[int, int]:
    """Width and height of a size written HEIGHTxWIDTH, as the papers write it.

    Raises:
        ValueError: The width or the height is not a multiple of `multiple`.
    """
    height, width = map(int, size.split("x"))
    if height % multiple or width % multiple:
        raise ValueError(f"height and width must be multiples of {multiple}")
    return width, height
