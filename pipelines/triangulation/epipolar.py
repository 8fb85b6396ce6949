"""How far two views are from seeing the same points: distances from epipolar lines."""

import numpy as np
from jaxtyping import Float64

from pipelines.calibration.camera import Camera


def essential(first: Camera, second: Camera) -> Float64[np.ndarray, "3 3"]:
    """The matrix E with x2ᵀ E x1 = 0 for rays x1, x2 to one point (Hartley and Zisserman, section 9.6)."""
    turn = second.rotation @ first.rotation.T
    x, y, z = second.translation - turn @ first.translation
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ turn


def distances_px(
    first: Camera,
    second: Camera,
    rays: Float64[np.ndarray, "*shape 2"],
    others: Float64[np.ndarray, "*shape 2"],
) -> tuple[Float64[np.ndarray, "*shape"], Float64[np.ndarray, "*shape"]]:
    """Distance of each ray from the epipolar line of the other, px in the first and in the second view."""
    matrix = essential(first, second)
    ones = np.ones_like(rays[..., :1])
    x1, x2 = np.concatenate([rays, ones], -1), np.concatenate([others, ones], -1)
    line2, line1 = x1 @ matrix.T, x2 @ matrix
    miss = abs((x2 * line2).sum(-1))

    def pixels(line: np.ndarray, camera: Camera) -> np.ndarray:
        focal = (camera.intrinsics.fx + camera.intrinsics.fy) / 2
        return focal * miss / np.maximum(np.linalg.norm(line[..., :2], axis=-1), 1e-12)

    return pixels(line1, first), pixels(line2, second)
