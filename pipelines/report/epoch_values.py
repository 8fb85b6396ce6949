"""The values of a training's history by epoch, which its page and its figures draw."""

from collections.abc import Mapping, Sequence
from typing import Any


def values_by_name(history: Sequence[Mapping[str, Any]], part: str) -> dict[str, list[float | None]]:
    """The values of each name over all epochs; None in epochs without it, such as terms absent during the warm-up."""
    names = dict.fromkeys(name for epoch in history for name in epoch[part])
    return {name: [epoch[part].get(name) for epoch in history] for name in names}
