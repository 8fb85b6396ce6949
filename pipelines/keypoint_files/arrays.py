"""Arrays of keypoints in an npz file: the format for users' own scripts.

`keypoints` is (frames, joints, 2 or 3) or (people, frames, joints, 2 or 3), the third number a confidence; `scores` may
hold the confidences instead. `joints` are the names of the joints, or `layout` is that of a known layout.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float64

from pipelines.io.npz import read_npz
from pipelines.keypoint_files.found_videos import FoundVideo
from pipelines.keypoint_files.named_arrays import video_of_array
from pipelines.keypoint_files.result_lists import name_of
from schemas.errors import UserError
from schemas.layouts import layout as layout_of


def read(uri: str, names: Mapping[str, str]) -> Iterator[FoundVideo]:
    """The video of a file.

    Args:
        uri: The file.
        names: Joint names by the names in the file, where these are others.

    Raises:
        UserError: The file is not of this format, or its joints fit no layout.
    """
    arrays = read_npz(uri, "keypoints")
    values = _numbers(uri, "keypoints", arrays["keypoints"])
    values = values[None] if values.ndim == 3 else values
    if values.ndim != 4 or values.shape[3] not in (2, 3):
        raise UserError(f"{uri}: keypoints have shape {values.shape}, must be (people,) frames, joints, 2 or 3")
    if "layout" in arrays:
        given = list(layout_of(str(arrays["layout"])).joints)
    elif "joints" in arrays:
        given = [str(name) for name in arrays["joints"]]
    else:
        raise UserError(f"{uri}: has neither joints (their names) nor layout; add one of them")
    if len(given) != values.shape[2]:
        raise UserError(f"{uri}: names {len(given)} joints, its keypoints have {values.shape[2]}")
    scores = values[..., 2:] if values.shape[3] == 3 else _numbers(uri, "scores", arrays.get("scores", 1.0))
    if values.shape[3] == 2:
        scores = np.broadcast_to(scores, values.shape[:3])[..., None]
    triples = np.concatenate([values[..., :2], scores], axis=3)
    yield video_of_array(name_of(uri), uri, triples, given, names)


def _numbers(uri: str, name: str, value: object) -> Float64[np.ndarray, "..."]:
    """An array of a file; NumPy would read dates as numbers, and complex numbers without their second part.

    Raises:
        UserError: The array does not hold numbers.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise UserError(f"{uri}: {name} hold {array.dtype}; write them as numbers (float32)")
    return array.astype(np.float64)
