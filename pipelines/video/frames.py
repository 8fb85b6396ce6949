"""The frames of a range of a video, as readers return them; imports no decoder, which takes long."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64, UInt8

DecoderName = Literal["decord", "pyav", "opencv"]


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of a range that could be decoded.

    Attributes:
        images: RGB, upright.
        indices: Frame number of each in the video, ascending; damaged frames are left out.
        timestamps_s: When each is shown, s.
        decoder: The decoder that was used.
        damage: Which frames are missing ("2 of 45 frames damaged: 28, 31"), or None.
    """

    images: UInt8[np.ndarray, "frames height width 3"]
    indices: Int64[np.ndarray, " frames"]
    timestamps_s: Float64[np.ndarray, " frames"]
    decoder: DecoderName
    damage: str | None
