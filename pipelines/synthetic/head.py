"""The head: skull, hair, and a face on the front only. Its frame is that of the neck joint, with x towards the nose."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from pipelines.synthetic.meshes import Mesh, Painted, ellipsoid, loft
from pipelines.synthetic.wardrobe import Look

# A head of 0.23 m from chin (0) to crown (1): height, half width, half depth, forward shift (m).
_SKULL = np.array(
    [
        (0.00, 0.000, 0.000, 0.036),
        (0.03, 0.030, 0.034, 0.034),
        (0.11, 0.048, 0.058, 0.026),
        (0.22, 0.061, 0.077, 0.014),
        (0.34, 0.068, 0.087, 0.007),
        (0.46, 0.073, 0.093, 0.002),
        (0.58, 0.075, 0.096, -0.002),
        (0.70, 0.074, 0.096, -0.005),
        (0.80, 0.067, 0.088, -0.007),
        (0.89, 0.052, 0.070, -0.008),
        (0.96, 0.031, 0.042, -0.008),
        (1.00, 0.000, 0.000, -0.008),
    ]
)
_SKULL_HEIGHT_M = 0.23
_SECTORS = 28
# Painted spots count as this much nearer to the camera, m, so that they are painted after the skin below them.
_SPOT_NEARER_M = 0.02

_HAIR_TIE = (0.12, 0.12, 0.14)

# Hairline: azimuth from the nose (degrees) and the height above which hair grows.
_HAIRLINE = np.array([(0, 0.80), (38, 0.78), (58, 0.60), (72, 0.42), (86, 0.52), (100, 0.40), (125, 0.17), (180, 0.13)])


class Head:
    """The surfaces of one person's head.

    Args:
        look: Skin and hair.
        chin: Height of the chin in the frame of the neck joint, metres.
        height: From chin to crown, metres.
    """

    def __init__(self, look: Look, chin: float, height: float) -> None:
        self._look, self._chin, self._scale = look, chin, height / _SKULL_HEIGHT_M

    def parts(self) -> list[Painted]:
        """Skull with hair, nose, ears, and the face painted on."""
        skin = np.array(self._look.skin)
        return [
            self._skull(),
            self._blob((0.100, 0.0, 0.37), (0.020, 0.014, 0.020), 0.94 * skin),
            self._blob((0.092, 0.0, 0.44), (0.014, 0.010, 0.032), skin),
            self._blob((-0.004, 0.076, 0.45), (0.018, 0.010, 0.032), 0.92 * skin),
            self._blob((-0.004, -0.076, 0.45), (0.018, 0.010, 0.032), 0.92 * skin),
            *self._more_hair(),
            *self._face(),
        ]

    def _face(self) -> list[Painted]:
        red, green, blue = self._look.skin
        spots = [self._spot(0.0, 0.185, 15.0, 0.020, (0.62 * red, 0.42 * green, 0.40 * blue))]
        for side in (-1, 1):
            spots += [
                self._spot(side * 24.0, 0.50, 9.5, 0.026, (0.95, 0.94, 0.92)),
                self._spot(side * 24.0, 0.50, 4.5, 0.024, (0.13, 0.09, 0.07), layer=1),
                self._spot(side * 25.0, 0.585, 12.0, 0.012, tuple(0.8 * c for c in self._look.hair)),
            ]
        return spots

    def _skull(self) -> Painted:
        height, width, depth, shift = _SKULL.T
        centres = np.stack([shift, 0 * shift, height], axis=1)
        mesh = loft(
            self._place(centres),
            self._scale * np.stack([depth, width], axis=1),
            _SECTORS,
        )
        volume = {"shaved": 0.02, "short": 0.10}.get(self._look.hair_style, 0.14)
        axis = self._place(np.stack([shift, 0 * shift, np.minimum(height, 0.6)], axis=1)).repeat(_SECTORS, axis=0)
        grown = np.clip(10 * self._above_hairline(mesh.vertices), 0, 1)[:, None]
        mesh = Mesh(mesh.vertices + volume * grown * (mesh.vertices - axis), mesh.faces, mesh.rings, mesh.sectors)
        hairy = self._above_hairline(mesh.centres) > 0
        share, azimuth = self._share(mesh.centres), self._azimuth(mesh.centres)
        if self._look.beard:
            hairy |= (share < 0.30) & (azimuth < 75) & ~((share > 0.13) & (azimuth < 22))
        # Strands of hair are a little darker in every other sector.
        strands = np.array(self._look.hair) * np.where(mesh.sectors % 2, 1.0, 0.92)[:, None]
        return Painted(mesh, np.where(hairy[:, None], strands, self._look.skin))

    def _more_hair(self) -> list[Painted]:
        hair = np.array(self._look.hair)
        match self._look.hair_style:
            case "bob":
                return [self._blob((-0.046, 0.0, 0.36), (0.058, 0.094, 0.095), hair)]
            case "bun":
                return [self._blob((-0.095, 0.0, 0.88), (0.045, 0.048, 0.045), hair)]
            case "ponytail":
                tail = [(-0.100, 0.62, 0.012), (-0.135, 0.66, 0.020), (-0.150, 0.40, 0.022)]
                tail += [(-0.142, 0.05, 0.018), (-0.130, -0.25, 0.008), (-0.128, -0.27, 0.0)]
                x, share, radius = np.array(tail)[::-1].T
                centres = self._place(np.stack([x, 0 * x, share], axis=1))
                mesh = loft(centres, self._scale * np.stack([radius, radius], axis=1), sectors=10)
                tie = self._blob((-0.112, 0.0, 0.64), (0.022, 0.026, 0.026), np.array(_HAIR_TIE))
                return [Painted.plain(mesh, 0.8 * hair), tie]
            case _:
                return []

    def _place(self, points: Float64[np.ndarray, "*shape 3"]) -> Float64[np.ndarray, "*shape 3"]:
        """From metres of the average head, with heights as shares, to the frame of the neck joint."""
        return points * (self._scale, self._scale, self._scale * _SKULL_HEIGHT_M) + (0, 0, self._chin)

    def _share(self, points: Float64[np.ndarray, "*shape 3"]) -> Float64[np.ndarray, "*shape"]:
        return (points[..., 2] - self._chin) / (self._scale * _SKULL_HEIGHT_M)

    @staticmethod
    def _azimuth(points: Float64[np.ndarray, "*shape 3"]) -> Float64[np.ndarray, "*shape"]:
        return np.degrees(np.arctan2(np.abs(points[..., 1]), points[..., 0]))

    def _above_hairline(self, points: Float64[np.ndarray, "*shape 3"]) -> Float64[np.ndarray, "*shape"]:
        return self._share(points) - np.interp(self._azimuth(points), *_HAIRLINE.T)

    def _blob(
        self, centre: tuple[float, float, float], radii: tuple[float, float, float], colour: np.ndarray
    ) -> Painted:
        x, y, z = self._place(np.array(centre, np.float64))
        a, b, c = (self._scale * radius for radius in radii)
        mesh = ellipsoid((float(x), float(y), float(z)), (a, b, c), rings=7, sectors=10)
        return Painted.plain(mesh, colour)

    def _spot(
        self,
        azimuth_deg: float,
        share: float,
        half_deg: float,
        half_share: float,
        colour: Sequence[float],
        layer: int = 0,
    ) -> Painted:
        turn = 2 * np.pi * np.arange(8) / 8
        azimuth = np.deg2rad(azimuth_deg + half_deg * np.cos(turn))
        height = share + half_share * np.sin(turn)
        width, depth, shift = (np.interp(height, _SKULL[:, 0], column) for column in _SKULL[:, 1:].T)
        # The spot is 2 % in front of the skin, because the skin is made of flat faces.
        surface = [shift + 1.02 * depth * np.cos(azimuth), 1.02 * width * np.sin(azimuth), height]
        corners = self._place(np.stack(surface, axis=1))
        return Painted.plain(Mesh.spot(corners), colour, nearer=_SPOT_NEARER_M + layer * 0.002)
