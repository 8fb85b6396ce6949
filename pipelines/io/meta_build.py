"""Networks that a file describes in a few numbers, built without memory until they are known to be what it holds."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as registration

from schemas.errors import UserError

# Modules, parameters and buffers that networks have for each of their tensors: convolutions have 2 to 3; and for all.
_PARTS_PER_TENSOR, _PARTS = 8, 1000
# Numbers that networks compute once and that their files do not hold.
_COMPUTED_NUMBERS = 1 << 20


def require_no_larger(build: Callable[[], nn.Module], weights: Mapping[str, Tensor]) -> None:
    """Check that a network has no more numbers than its weights, by building it on the device `meta`.

    Args:
        build: Builds the network.
        weights: What its file holds, by any names.

    Raises:
        UserError: It has more numbers or layers.
    """
    stored = sum(weight.numel() for weight in weights.values())
    with torch.device("meta"), _limited_parts(_PARTS_PER_TENSOR * len(weights) + _PARTS):
        network = build()
    described = sum(tensor.numel() for tensor in chain(network.parameters(), network.buffers()))
    if described > stored + _COMPUTED_NUMBERS:
        raise UserError(f"describes a network of {described:,} numbers, of which {stored:,} are stored")


@contextmanager
def _limited_parts(most: int) -> Iterator[None]:
    """End the building of networks with many layers, which take time and memory even if their numbers do not.

    Args:
        most: Largest number of modules, parameters and buffers.
    """
    left = most

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise UserError(f"describes a network of more than {most:,} parts, which are more than are stored")

    with ExitStack() as hooks:
        for register in (
            registration.register_module_module_registration_hook,
            registration.register_module_parameter_registration_hook,
            registration.register_module_buffer_registration_hook,
        ):
            hooks.callback(register(count).remove)
        yield
