"""The frames of a range of a video, as the readers give them; light to import, decoders are not."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64, UInt8

DecoderName = Literal["decord", "pyav"]


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of a range that could be decoded.

    Attributes:
        images: RGB, upright.
        indices: Which frame of the video each is, ascending; damaged ones are absent.
        timestamps_s: When each is shown.
        decoder: Who decoded them.
        damage: What is missing, in words ("2 of 45 frames damaged: 28, 31"), or None.
    """

    images: UInt8[np.ndarray, "frames height width 3"]
    indices: Int64[np.ndarray, " frames"]
    timestamps_s: Float64[np.ndarray, " frames"]
    decoder: DecoderName
    damage: str | None
