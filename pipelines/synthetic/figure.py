"""The surface of a clothed mannequin, posed by the joints of a motion, and the stool it sits on."""

import numpy as np
from jaxtyping import Float64

from pipelines.synthetic.anatomy import parts_of
from pipelines.synthetic.meshes import Painted, Surface, loft
from pipelines.synthetic.skeleton import Body
from pipelines.synthetic.wardrobe import Colour, Look

_WOOD: Colour = (0.45, 0.33, 0.22)

Vertices = Float64[np.ndarray, "vertices 3"]


class Figure:
    """One person's surface.

    Args:
        body: The person's proportions.
        look: Skin, hair and clothes.

    Attributes:
        surface: Faces and colours.
    """

    def __init__(self, body: Body, look: Look) -> None:
        parts = parts_of(body, look)
        counts = [len(part.painted.mesh.vertices) for part in parts]
        self.surface = Surface.of([part.painted for part in parts])
        self._first = np.repeat([part.joint for part in parts], counts)
        self._second = np.repeat([part.second for part in parts], counts)
        self._blend = np.concatenate([part.blend for part in parts])[:, None]
        self._rest = np.concatenate([part.painted.mesh.vertices for part in parts])
        # The second joint is a child of the first; at rest its frame is translated, not rotated.
        moved = np.where((self._second != self._first)[:, None], body.offsets[self._second], 0)
        self._rest_second = self._rest - moved

    def posed(self, positions: Float64[np.ndarray, "17 3"], rotations: Float64[np.ndarray, "17 3 3"]) -> Vertices:
        """World positions (m) of the vertices, for given joints and rotations of their body parts."""
        first = positions[self._first] + np.einsum("vij,vj->vi", rotations[self._first], self._rest)
        second = positions[self._second] + np.einsum("vij,vj->vi", rotations[self._second], self._rest_second)
        return first + self._blend * (second - first)


def stool(x: float, y: float, height: float, colour: Colour) -> tuple[Surface, Vertices]:
    """A stool with a cushion on four legs; metres, world frame."""
    # (height, radius) of the cushion, its edge rounded.
    cushion = [(-0.085, 0.0), (-0.085, 0.17), (-0.06, 0.19), (-0.025, 0.19), (0.0, 0.17), (0.0, 0.0)]
    z, radius = np.array(cushion).T
    centres = np.stack([x + 0 * z, y + 0 * z, height + z], axis=1)
    round_ = np.stack([radius, radius], axis=1)
    parts = [Painted.plain(loft(centres, round_, sectors=24), colour)]
    for side, front in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        foot, top = np.array([0.16 * side, 0.16 * front, 0]), np.array([0.10 * side, 0.10 * front, height - 0.07])
        leg = np.stack([foot, foot, top, top]) + np.array([x, y, 0])
        thickness = np.array([[0.0, 0.0], [0.016, 0.016], [0.022, 0.022], [0.0, 0.0]])
        parts.append(Painted.plain(loft(leg, thickness, sectors=8), _WOOD))
    return Surface.of(parts), np.concatenate([part.mesh.vertices for part in parts])
