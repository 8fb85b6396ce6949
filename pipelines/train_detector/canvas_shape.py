"""The size of the canvases in the crop cache, which a training's plan needs without PyTorch."""

from dataclasses import dataclass
from math import ceil, hypot


@dataclass(frozen=True)
class CanvasShape:
    """The network input that canvases are cut for.

    Attributes:
        layout: Name of the joint layout.
        input_wh: Width and height of the network's input, pixels.
        side: Side of a canvas, pixels.
    """

    layout: str
    input_wh: tuple[int, int]
    side: int

    @classmethod
    def for_net(cls, layout_name: str, input_wh: tuple[int, int], most_scale: float) -> "CanvasShape":
        """Canvases that contain crops of up to `most_scale` times the size at any rotation."""
        return cls(layout_name, input_wh, ceil(most_scale * hypot(*input_wh)))
