"""Arrays inside a page: differences from frame to frame, deflated, in base64; `unpack` of pose_data.js reads them.

People move little from one frame to the next: as differences, sorted by channel and by byte, a track takes about a
fifth of what its numbers would.
"""

import base64
import math
import zlib
from typing import Any

import numpy as np


def quantised(values: np.ndarray, unit: float, kind: type[np.integer] = np.int16) -> np.ndarray:
    """Values as whole multiples of a unit; what the type cannot hold becomes its nearest, what is no number 0."""
    limits = np.iinfo(kind)
    return np.clip(np.nan_to_num(np.rint(values / unit)), limits.min, limits.max).astype(kind)


def pack(values: np.ndarray) -> dict[str, Any]:
    """An integer array (frames first), ready for JSON: {"type": "int16", "shape": […], "data": "…"}."""
    channels = values.reshape(len(values), math.prod(values.shape[1:])).T
    # Differences wrap around, and so do the sums that undo them.
    unsigned = np.ascontiguousarray(channels).view(f"u{values.itemsize}")
    differences = np.diff(unsigned, axis=1, prepend=np.zeros((len(unsigned), 1), unsigned.dtype))
    planes = np.ascontiguousarray(differences.astype(f"<u{values.itemsize}")).view(np.uint8)
    planes = planes.reshape(-1, values.itemsize).T
    data = base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode()
    return {"type": values.dtype.name, "shape": list(values.shape), "data": data}
