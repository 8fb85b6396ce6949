"""Rotations from directions, and Euler angles without jumps. Matrices act on column vectors: `rotation @ vector`."""

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

# A vector shorter than this, m, has no direction.
_SHORTEST_M = 1e-6
# Directions count as opposite if 1 + their cosine is below this; the shortest rotation is not unique then, and one is
# chosen.
_OPPOSITE = 1e-7
# Directions with a second singular value below this lie on one line, so that the rotation about it is undetermined.
_FLAT = 1e-3


def unit(vectors: Float64[np.ndarray, "*shape 3"]) -> Float64[np.ndarray, "*shape 3"]:
    """Vectors scaled to length 1; zero for vectors without a direction."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(lengths > _SHORTEST_M, vectors / np.maximum(lengths, _SHORTEST_M), 0.0)


def swing(
    start: Float64[np.ndarray, " 3"], directions: Float64[np.ndarray, "frames 3"]
) -> Float64[np.ndarray, "frames 3 3"]:
    """The shortest rotation of `start` to each direction; the identity for zero vectors."""
    rotations = np.tile(np.eye(3), (len(directions), 1, 1))
    nearness = 1 + directions @ start
    turned = (nearness > _OPPOSITE) & directions.any(axis=-1)
    cross = _cross_matrix(np.cross(start, directions[turned]))
    rotations[turned] += cross + cross @ cross / nearness[turned, None, None]
    # For opposite directions, half a turn about any perpendicular axis is used.
    axis = np.cross(start, np.eye(3)[np.argmin(abs(start))])
    rotations[nearness <= _OPPOSITE] = 2 * np.outer(axis, axis) / (axis @ axis) - np.eye(3)
    return rotations


def best_fit(
    start: Float64[np.ndarray, "bones 3"], directions: Float64[np.ndarray, "frames bones 3"]
) -> Float64[np.ndarray, "frames 3 3"]:
    """The rotation that best aligns several directions with others (Kabsch), or a swing if they lie on one line."""
    u, spread, v_transposed = np.linalg.svd(np.einsum("bi,fbj->fij", start, directions))
    sign = np.linalg.det(u @ v_transposed)
    v = v_transposed.swapaxes(-1, -2) * np.stack([np.ones_like(sign), np.ones_like(sign), sign], axis=-1)[:, None]
    rotations = v @ u.swapaxes(-1, -2)
    flat = spread[:, 1] < _FLAT
    if flat.any():
        first = directions[flat].any(axis=-1).argmax(axis=-1)
        for bone in np.unique(first):
            chosen = np.flatnonzero(flat)[first == bone]
            rotations[chosen] = swing(start[bone], directions[chosen, bone])
    return rotations


def euler_deg(rotations: Float64[np.ndarray, "frames 3 3"], order: str) -> Float64[np.ndarray, "frames 3"]:
    """Euler angles in an order such as "ZXY", degrees, without jumps by half or whole turns between frames.

    Two triples describe the same rotation: (a, b, c) and (a + 180, 180 - b, c + 180). The one nearer to the frame
    before is used, and whole turns are added, so that programs that interpolate angles turn the short way.
    """
    angles = Rotation.from_matrix(rotations).as_euler(order, suppress_warnings=True)
    other = np.array([np.pi, np.pi, np.pi]) + angles * [1, -1, 1]

    def apart(first: Float64[np.ndarray, "steps 3"], then: Float64[np.ndarray, "steps 3"]) -> np.ndarray:
        return abs((then - first + np.pi) % (2 * np.pi) - np.pi).sum(axis=-1)

    # Changing to the other triple in both frames keeps their distance, so whether the triple changes between two
    # frames does not depend on the triples of earlier frames.
    changes = apart(angles[:-1], other[1:]) < apart(angles[:-1], angles[1:])
    changed = np.concatenate([[False], np.cumsum(changes) % 2 == 1])
    return np.rad2deg(np.unwrap(np.where(changed[:, None], other, angles), axis=0))


def _cross_matrix(vectors: Float64[np.ndarray, "frames 3"]) -> Float64[np.ndarray, "frames 3 3"]:
    matrices = np.zeros((len(vectors), 3, 3))
    x, y, z = vectors.T
    matrices[:, 0, 1], matrices[:, 0, 2], matrices[:, 1, 2] = -z, y, -x
    return matrices - matrices.swapaxes(-1, -2)
