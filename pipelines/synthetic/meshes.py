"""Surfaces made of rings of points along an axis, joined by quadrilaterals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Mesh:
    """A closed surface at rest, in the frame of the body part that carries it.

    Attributes:
        vertices: Metres.
        faces: Four vertices of each face, counter-clockwise seen from outside.
        rings: Index along the axis of each face.
        sectors: Index around the axis of each face; 0 begins at +u, turning to +v.
    """

    vertices: Float64[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 4"]
    rings: Int[np.ndarray, " faces"]
    sectors: Int[np.ndarray, " faces"]

    @classmethod
    def spot(cls, corners: Float64[np.ndarray, "8 3"]) -> "Mesh":
        """A flat eight-cornered spot, corners counter-clockwise."""
        return cls(corners, np.array([[0, 1, 2, 3], [0, 3, 4, 7], [4, 5, 6, 7]]), np.zeros(3, int), np.arange(3))

    @property
    def centres(self) -> Float64[np.ndarray, "faces 3"]:
        """Middle of each face."""
        return self.vertices[self.faces].mean(axis=1)


@dataclass(frozen=True)
class Painted:
    """A surface with its colours.

    Attributes:
        mesh: The surface.
        colours: Red, green, blue of each face, 0 to 1.
        nearer: Distance (m) by which its faces count as nearer to the camera when faces are sorted by distance.
    """

    mesh: Mesh
    colours: Float64[np.ndarray, "faces 3"]
    nearer: float = 0.0

    @classmethod
    def plain(cls, mesh: Mesh, colour: Sequence[float] | np.ndarray, nearer: float = 0.0) -> "Painted":
        """A surface of one colour."""
        return cls(mesh, np.tile(np.asarray(colour, np.float64), (len(mesh.faces), 1)), nearer)


@dataclass(frozen=True)
class Surface:
    """Many painted meshes joined into one; the positions of its vertices are given when it is drawn.

    Attributes:
        faces: Four vertices of each face.
        colours: Colour of each face, 0 to 1.
        nearer: `Painted.nearer` of each face.
        parts: Index of the mesh that each vertex comes from.
    """

    faces: Int[np.ndarray, "faces 4"]
    colours: Float64[np.ndarray, "faces 3"]
    nearer: Float64[np.ndarray, " faces"]
    parts: Int[np.ndarray, " vertices"]

    @classmethod
    def of(cls, painted: Sequence[Painted]) -> "Surface":
        """Join meshes; their vertices follow each other."""
        counts = [len(part.mesh.vertices) for part in painted]
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        return cls(
            faces=np.concatenate([part.mesh.faces + start for part, start in zip(painted, starts, strict=True)]),
            colours=np.concatenate([part.colours for part in painted]),
            nearer=np.concatenate([np.full(len(part.mesh.faces), part.nearer) for part in painted]),
            parts=np.repeat(np.arange(len(painted)), counts),
        )


def loft(
    centres: Float64[np.ndarray, "rings 3"],
    radii: Float64[np.ndarray, "rings 2"],
    sectors: int,
    u: tuple[float, float, float] = X,
    v: tuple[float, float, float] = Y,
) -> Mesh:
    """Join ellipses into a surface.

    Args:
        centres: Centre of each ring, in order along u × v.
        radii: Half axes of each ring along u and v; 0 closes an end.
        sectors: Faces around.
        u: Unit vector.
        v: Unit vector, at a right angle to u.
    """
    angle = 2 * np.pi * np.arange(sectors) / sectors
    circle_u, circle_v = np.outer(np.cos(angle), u), np.outer(np.sin(angle), v)
    rings = centres[:, None] + radii[:, None, :1] * circle_u + radii[:, None, 1:] * circle_v
    ring, sector = (grid.ravel() for grid in np.indices((len(centres) - 1, sectors)))
    here, following = ring * sectors + sector, ring * sectors + (sector + 1) % sectors
    faces = np.stack([here, following, following + sectors, here + sectors], axis=1)
    return Mesh(rings.reshape(-1, 3), faces, ring, sector)


def limb(length: float, profile: list[tuple[float, float]], sectors: int, flat: float = 1.0) -> Mesh:
    """A limb that hangs from the origin down to -length, round at both ends.

    Args:
        length: Metres.
        profile: (share of the length, radius in metres) from top to bottom.
        sectors: Faces around.
        flat: Sideways (y) radius as a share of the forward (x) one.
    """
    (_, top), (_, bottom) = profile[0], profile[-1]
    # Half circles as caps: (height, radius) at 90, 60 and 30 degrees.
    cap = [(1.0, 0.0), (0.87, 0.5), (0.5, 0.87)]
    rings = [(height * top, radius * top) for height, radius in cap]
    rings += [(-share * length, radius) for share, radius in profile]
    rings += [(-length - height * bottom, radius * bottom) for height, radius in reversed(cap)]
    # Rings climb along x × y = z: from the bottom up.
    z, radius = np.array(rings[::-1]).T
    centres = np.stack([0 * z, 0 * z, z], axis=1)
    return loft(centres, np.stack([radius, flat * radius], axis=1), sectors)


def ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float], rings: int, sectors: int) -> Mesh:
    """An ellipsoid with its poles up and down."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
    centres = np.array(centre) + np.outer(radii[2] * np.sin(latitude), Z)
    around = np.maximum(np.cos(latitude), 0)[:, None] * radii[:2]
    return loft(centres, around, sectors)
