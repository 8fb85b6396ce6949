"""The flip test: the heatmaps of each crop and of its mirror image are averaged."""

from collections.abc import Callable
from functools import lru_cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from schemas.layouts import JointLayout

Maps = Float[Tensor, "people joints height width"]


def mirrored(maps: Maps, layout: JointLayout, shift: bool = False) -> Maps:
    """Turn the maps of mirrored crops into maps of the crops: mirror them back and swap left and right joints.

    Args:
        maps: Heatmaps of mirrored crops.
        layout: Joint layout of the maps, which gives the pairs to swap.
        shift: Move the result one pixel to the right and keep the first column. Networks trained without UDP need it:
            their heatmap pixel k stands for crop pixel stride · k, so a mirrored map lies almost a pixel too far left.
    """
    back = maps.flip(3)[:, _mirror(layout, maps.device)]
    return torch.cat([back[..., :1], back[..., :-1]], -1) if shift else back


@lru_cache
def _mirror(layout: JointLayout, device: torch.device) -> Int64[Tensor, " joints"]:
    """The index of each joint's counterpart on the other side, copied to the device once."""
    with torch.inference_mode(False):
        return torch.tensor(layout.mirror, device=device)


def flip_test(
    net: Callable[[Float[Tensor, "people 3 crop_height crop_width"]], Maps],
    crops: Float[Tensor, "people 3 crop_height crop_width"],
    layout: JointLayout,
    shift: bool,
) -> Maps:
    """The mean of a network's maps of crops and of their mirror images."""
    return (net(crops) + mirrored(net(crops.flip(3)), layout, shift)) / 2
