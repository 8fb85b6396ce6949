"""The parts of a clothed mannequin: surfaces around the bones of a body, as thick as a person's limbs and trunk."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from pipelines.synthetic.head import Head
from pipelines.synthetic.meshes import Mesh, Painted, Y, Z, limb, loft
from pipelines.synthetic.skeleton import JOINT, Body
from pipelines.synthetic.wardrobe import Look

# All widths below are for a person of this stature, m.
_AVERAGE_STATURE_M = 1.75
# Thickness of the cloth of sleeves and of trousers, m.
_SLEEVE_M, _TROUSER_M = 0.007, 0.011

# Bare limbs: (share of the length, radius in m).
_UPPER_ARM = [(0.0, 0.050), (0.2, 0.052), (0.6, 0.045), (1.0, 0.040)]
_FOREARM = [(0.0, 0.041), (0.2, 0.043), (0.6, 0.034), (1.0, 0.026)]
_THIGH = [(0.0, 0.081), (0.25, 0.080), (0.7, 0.063), (1.0, 0.054)]
_SHIN = [(0.0, 0.054), (0.25, 0.057), (0.6, 0.044), (1.0, 0.034)]

# Trunk: height as a share from pelvis (0) to thorax (1), half width, half depth, forward shift (m). Buttocks, hollow
# back and chest distinguish the back from the front.
_TRUNK = np.array(
    [
        (-0.21, 0.000, 0.000, -0.010),
        (-0.20, 0.070, 0.060, -0.008),
        (-0.12, 0.140, 0.097, -0.014),
        (-0.02, 0.174, 0.113, -0.015),
        (0.06, 0.177, 0.114, -0.008),
        (0.16, 0.166, 0.110, 0.004),
        (0.30, 0.144, 0.099, 0.012),
        (0.44, 0.144, 0.102, 0.010),
        (0.58, 0.153, 0.112, 0.010),
        (0.70, 0.163, 0.117, 0.010),
        (0.80, 0.170, 0.114, 0.004),
        (0.88, 0.174, 0.105, -0.004),
        (0.945, 0.170, 0.088, -0.008),
        (0.99, 0.138, 0.072, -0.006),
        (1.035, 0.085, 0.060, 0.000),
        (1.07, 0.056, 0.053, 0.004),
        (1.08, 0.000, 0.000, 0.004),
    ]
)
_TRUNK_SECTORS = 28
# Height of the belt, in the unit of the trunk: trousers below, shirt above.
_BELT = 0.05

# Hand, from the finger tips up: height, half width (thumb to little finger), half thickness (m).
_HAND = [(-0.188, 0.0, 0.0), (-0.182, 0.017, 0.008), (-0.14, 0.033, 0.012), (-0.09, 0.041, 0.016)]
_HAND += [(-0.045, 0.038, 0.018), (0.0, 0.027, 0.021), (0.02, 0.0, 0.0)]
_THUMB = [
    (0.070, -0.098, 0.0),
    (0.066, -0.092, 0.010),
    (0.045, -0.06, 0.014),
    (0.018, -0.03, 0.016),
    (0.01, -0.02, 0.0),
]

# Shoe, from the heel forwards: x, height of the middle above the sole, half width, half height (m).
_SHOE = [(-0.068, 0.030, 0.0, 0.0), (-0.062, 0.032, 0.026, 0.026), (-0.035, 0.046, 0.036, 0.046)]
_SHOE += [(0.0, 0.050, 0.038, 0.050), (0.05, 0.041, 0.041, 0.041), (0.10, 0.031, 0.046, 0.031)]
_SHOE += [(0.145, 0.024, 0.045, 0.024), (0.172, 0.019, 0.032, 0.018), (0.184, 0.016, 0.0, 0.0)]


@dataclass(frozen=True)
class Part:
    """A surface that moves with one joint, or with a blend of two.

    Attributes:
        painted: The surface at rest, in the frame of the first joint.
        joint: Index of the first joint.
        second: Index of a child of that joint, or the same joint.
        blend: Weight of the second joint for each vertex, 0 to 1.
    """

    painted: Painted
    joint: int
    second: int
    blend: Float64[np.ndarray, " vertices"]

    @classmethod
    def rigid(cls, painted: Painted, joint: str) -> "Part":
        """A surface that moves with one joint only."""
        return cls(painted, JOINT[joint], JOINT[joint], np.zeros(len(painted.mesh.vertices)))


def parts_of(body: Body, look: Look) -> list[Part]:
    """All surfaces of a person."""
    parts = [_trunk(body, look), _neck(body, look)]
    parts += [Part.rigid(painted, "neck") for painted in _head(body, look).parts()]
    for side in ("left", "right"):
        parts += [*_arm(body, look, side), *_leg(body, look, side)]
    return parts


def _scale(body: Body) -> float:
    return body.stature / _AVERAGE_STATURE_M


def _head(body: Body, look: Look) -> Head:
    # A head is 13 % of stature; the crown is at the height of the stature.
    height = 0.13 * body.stature
    upright = ("left_knee", "left_ankle", "spine", "thorax", "neck")
    neck = -body.heel[2] + sum(abs(body.offsets[JOINT[joint]][2]) for joint in upright)
    return Head(look, chin=body.stature - neck - height, height=height)


def _trunk(body: Body, look: Look) -> Part:
    length = body.offsets[JOINT["spine"]][2] + body.offsets[JOINT["thorax"]][2]
    share, width, depth, shift = _TRUNK.T
    chest = np.clip((share - 0.3) / 0.4, 0, 1)
    waist = np.exp(-(((share - 0.36) / 0.14) ** 2))
    width = width * (1 + (look.shoulders - 1) * chest) * (1 + (look.waist - 1) * waist)
    size = _scale(body) * body.girth**0.6
    centres = np.stack([size * shift, 0 * share, share * length], axis=1)
    around = size * np.stack([depth, width], axis=1)
    mesh = loft(centres, around, _TRUNK_SECTORS)
    colours = _trunk_colours(look, mesh, mesh.centres[:, 2] / length)
    # The waist bends smoothly: it blends from the pelvis to the spine.
    x = np.clip((mesh.vertices[:, 2] / length - 0.12) / 0.6, 0, 1)
    return Part(Painted(mesh, colours), JOINT["pelvis"], JOINT["spine"], x * x * (3 - 2 * x))


def _trunk_colours(look: Look, mesh: Mesh, height: Float64[np.ndarray, " faces"]) -> Float64[np.ndarray, "faces 3"]:
    """Trousers with back pockets, a shirt with its pattern and an open collar."""
    colours = np.where((height > _BELT)[:, None], look.top, look.bottom)
    accent = {
        "plain": np.zeros(len(height), bool),
        "stripes": (mesh.rings % 2 == 0) & (height > _BELT),
        "chest_band": (height > 0.55) & (height < 0.75),
        "two_tone": height > 0.62,
    }[look.pattern]
    colours = np.where(accent[:, None], look.accent, colours)
    # Angle from straight ahead, 0 to 180 degrees.
    middle = 360 * (mesh.sectors + 0.5) / _TRUNK_SECTORS
    azimuth = np.minimum(middle, 360 - middle)
    pockets = (azimuth > 130) & (azimuth < 170) & (height > -0.1) & (height < 0.03)
    collar = (height > 0.955) & (azimuth < 40)
    colours = np.where(pockets[:, None], 0.72 * np.array(look.bottom), colours)
    return np.where(collar[:, None], look.skin, colours)


def _neck(body: Body, look: Look) -> Part:
    size = _scale(body) * body.girth**0.4
    top = body.offsets[JOINT["neck"]]
    shares = np.array([-0.3, -0.29, 0.3, 0.8, 1.25, 1.26])
    radius = size * np.array([0, 0.066, 0.056, 0.053, 0.052, 0])
    mesh = loft(np.outer(shares, top), np.stack([radius, radius], axis=1), sectors=16)
    blend = np.clip(np.repeat(shares, 16) / 1.2, 0, 1)
    return Part(Painted.plain(mesh, look.skin), JOINT["thorax"], JOINT["neck"], blend)


def _covered(
    length: float, bare: list[tuple[float, float]], size: float, cloth: float, hem: float, sectors: int
) -> tuple[Mesh, Bool[np.ndarray, " faces"]]:
    """A limb with cloth down to the share `hem`, where its thickness steps; and which faces are clothed."""
    shares, radii = np.array(bare).T
    at = np.unique(np.concatenate([np.linspace(0, 1, 7), shares]))
    radius = size * np.interp(at, shares, radii)
    # Cloth is thinner at the upper end, so that it fits under the next part.
    ease = cloth * np.clip(at / 0.3, 0.4, 1)
    profile = [(float(s), float(r + e * (s <= hem))) for s, r, e in zip(at, radius, ease, strict=True)]
    if 0 < hem < 1:
        edge = size * float(np.interp(hem, shares, radii))
        profile = [p for p in profile if abs(p[0] - hem) > 0.03]
        profile = sorted([*profile, (hem, edge + cloth), (hem + 1e-3, edge)])
    mesh = limb(length, profile, sectors)
    clothed = -mesh.centres[:, 2] / length <= hem if hem > 0 else np.zeros(len(mesh.faces), bool)
    return mesh, clothed


def _arm(body: Body, look: Look, side: str) -> list[Part]:
    size = _scale(body) * body.girth**0.8
    parts = []
    segments = (("shoulder", "elbow", _UPPER_ARM, 0.0), ("elbow", "wrist", _FOREARM, 0.5))
    for joint, end, bare, begins in segments:
        hem = _hem(look.sleeve, begins)
        mesh, clothed = _covered(body.bone(f"{side}_{end}"), bare, size, _SLEEVE_M, hem, sectors=14)
        sleeve = look.accent if look.pattern == "two_tone" else look.top
        colours = np.where(clothed[:, None], sleeve, look.skin)
        parts.append(Part.rigid(Painted(mesh, colours), f"{side}_{joint}"))
    return parts + _hand(body, look, side)


def _hem(covered: float, begins: float) -> float:
    """Where clothes that cover a share of a whole limb end on the half that begins at `begins`; 2: below it."""
    share = (covered - begins) / 0.5
    return 2.0 if share >= 1 else max(share, 0.0)


def _hand(body: Body, look: Look, side: str) -> list[Part]:
    size = _scale(body)
    z, width, thickness = np.array(_HAND).T * size
    palm = loft(
        np.stack([0 * z, 0 * z, z], axis=1),
        np.stack([width, thickness], axis=1),
        sectors=10,
    )
    x, z, radius = np.array(_THUMB).T * size
    thumb = loft(np.stack([x, 0 * x, z], axis=1), np.stack([radius, radius], axis=1), sectors=8)
    return [Part.rigid(Painted.plain(mesh, look.skin), f"{side}_wrist") for mesh in (palm, thumb)]


def _leg(body: Body, look: Look, side: str) -> list[Part]:
    size = _scale(body) * body.girth**0.8
    parts = []
    for joint, end, bare, begins in (("hip", "knee", _THIGH, 0.0), ("knee", "ankle", _SHIN, 0.5)):
        mesh, clothed = _covered(body.bone(f"{side}_{end}"), bare, size, _TROUSER_M, _hem(look.leg, begins), sectors=16)
        colours = np.where(clothed[:, None], look.bottom, look.skin)
        parts.append(Part.rigid(Painted(mesh, colours), f"{side}_{joint}"))
    return [*parts, _shoe(body, look, side)]


def _shoe(body: Body, look: Look, side: str) -> Part:
    size = _scale(body)
    x, middle, width, height = np.array(_SHOE).T * size
    centres = np.stack([x, 0 * x, body.heel[2] + middle], axis=1)
    mesh = loft(centres, np.stack([width, height], axis=1), sectors=14, u=Y, v=Z)
    # The lowest third of the circumference is the sole.
    low = np.sin(2 * np.pi * (mesh.sectors + 0.5) / 14) < -0.6
    return Part.rigid(Painted(mesh, np.where(low[:, None], look.sole, look.shoe)), f"{side}_ankle")
