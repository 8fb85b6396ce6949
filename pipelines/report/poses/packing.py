"""Packs arrays into a page: differences between frames, deflated, as base64; `unpack` in pose_data.js reads them.

People move little from one frame to the next, so differences sorted by channel and by byte compress well: a track takes
about a fifth of the space of its plain numbers.
"""

import base64
import math
import zlib
from typing import Any

import numpy as np


def quantised(values: np.ndarray, unit: float, kind: type[np.integer] = np.int16) -> np.ndarray:
    """Values as integer multiples of a unit; values out of the type's range are clipped, NaN becomes 0."""
    limits = np.iinfo(kind)
    return np.clip(np.nan_to_num(np.rint(values / unit)), limits.min, limits.max).astype(kind)


def pack(values: np.ndarray) -> dict[str, Any]:
    """An integer array (frames first) as a JSON-compatible dictionary: {"type": "int16", "shape": […], "data": "…"}."""
    channels = values.reshape(len(values), math.prod(values.shape[1:])).T
    # The differences may overflow; the sums that undo them overflow in the same way.
    unsigned = np.ascontiguousarray(channels).view(f"u{values.itemsize}")
    differences = np.diff(unsigned, axis=1, prepend=np.zeros((len(unsigned), 1), unsigned.dtype))
    planes = np.ascontiguousarray(differences.astype(f"<u{values.itemsize}")).view(np.uint8)
    planes = planes.reshape(-1, values.itemsize).T
    data = base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode()
    return {"type": values.dtype.name, "shape": list(values.shape), "data": data}
