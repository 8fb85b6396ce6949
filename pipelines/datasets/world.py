"""Brings recorded positions to metres with z up, whatever unit and axes their file has."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, ClassVar, Literal, cast

import numpy as np
from jaxtyping import Float
from pydantic import Field

from pipelines.datasets.body_measures import Body, median
from pipelines.datasets.pose_source import PoseSourceConfig
from pipelines.io.npz import numbers
from schemas.layouts import JointLayout

UNITS_M = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254}
Unit = Literal["auto", "m", "cm", "mm", "inch"]
Axis = Literal["auto", "x", "y", "z", "-x", "-y", "-z"]

# Possible statures, m, and those of adults, by which inches are told from centimetres.
STATURE_M, GROWN_UP_M = (0.5, 2.6), (1.2, 2.2)
# The unit and the axis are found from this many frames of each motion, and from this many motions.
_FRAMES, _MOTIONS = 100, 200
# An axis points up if heads are above the ankles along it by at least this share of the stature, on average.
_CLEARLY_UP = 0.4
# Places further from the origin than this are damage, m: cameras that see them would be sought for hours.
_FARTHEST_M = 100_000.0
# Rotations that bring an axis of the file to z.
_TO_Z: Mapping[str, Sequence[Sequence[int]]] = {
    "z": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "-z": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "y": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "-y": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "x": ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
    "-x": ((0, 0, 1), (0, 1, 0), (-1, 0, 0)),
}


class UnitConfig(PoseSourceConfig):
    """Options of a source whose file may have any unit of length."""

    # Version 0.1.0 read every file as metres with z up.
    BEFORE: ClassVar[Mapping[str, Any]] = {"unit": "m"}

    unit: Unit | Annotated[float, Field(gt=0)] = "auto"
    """Unit of the positions: m, cm, mm, inch, or how many metres it has. auto: the one that gives people a human
    height."""


class WorldConfig(UnitConfig):
    """Options of a source whose file may have any unit of length and any axes."""

    BEFORE: ClassVar[Mapping[str, Any]] = {"up": "z"}

    up: Axis = "auto"
    """Axis of the file that points up. auto: the one along which heads are above ankles."""


def read_positions(uri: str, value: Any, what: str, joints: int) -> Float[np.ndarray, "frames joints 3"]:
    """Positions of a file. Joints that are missing, not finite or zero as motion capture writes them, are NaN.

    Raises:
        UserError: The value is not an array of positions.
    """
    positions = numbers(uri, value, what, -1, joints, 3, finite=False)
    missing = ~np.isfinite(positions).all(-1)
    zero = (positions == 0).all(-1)
    # If a joint is zero in every frame, positions are relative to it, so it is not missing.
    missing |= zero & ~zero.all(0)
    return np.where(missing[..., None], np.float32(np.nan), positions)


class World:
    """The conversion of all positions of a file to metres with the right axis up.

    Args:
        unit: As in `UnitConfig`.
        up: As in `WorldConfig`.
        motions: Motions of the file, from which is decided what is `auto`.
        layout: Their joint layout.
        target: The axis that shall point up: that of the cameras' world.
        usual: The unit that is taken where none makes people as tall as people are; the check of plausibility says so.
    """

    def __init__(
        self,
        unit: Unit | float,
        up: Axis,
        motions: Iterable[np.ndarray],
        layout: JointLayout,
        target: Axis = "z",
        usual: Unit = "m",
    ) -> None:
        self.notes: list[str] = []
        bodies: list[Body] = []
        if "auto" in (unit, up):
            bodies = [Body(motion[:: 1 + len(motion) // _FRAMES], layout) for motion in islice(motions, _MOTIONS)]
        self._metres = self._unit(bodies, usual) if unit == "auto" else UNITS_M[unit] if isinstance(unit, str) else unit
        up = self._axis(bodies, target) if up == "auto" else up
        self._turn = None if up == target else np.linalg.inv(np.array(_TO_Z[target])) @ np.array(_TO_Z[up])

    def convert(self, positions: Float[np.ndarray, "frames joints 3"]) -> Float[np.ndarray, "frames joints 3"]:
        """Positions of the file in metres, turned to the axis that shall point up; joints 100 km away are missing."""
        if self._metres != 1:
            positions = positions * self._metres
        far = np.any(np.abs(positions) > _FARTHEST_M, axis=-1, keepdims=True)
        if far.any():
            positions = np.where(far, np.nan, positions)
        return positions if self._turn is None else positions @ self._turn.T

    def _unit(self, bodies: Sequence[Body], usual: Unit) -> float:
        stature = median(np.array([body.stature() for body in bodies]))
        unit = unit_of(stature) or usual
        if unit != usual:
            self.notes.append(
                f"source.unit: people are {stature:,.4g} units tall, taken as {unit}: {stature * UNITS_M[unit]:.2f} m"
            )
        return UNITS_M[unit]

    def _axis(self, bodies: Sequence[Body], target: Axis) -> Axis:
        with np.errstate(invalid="ignore"):  # The stature is 0 if all joints are at one point.
            shares = [body.towards_head() / body.stature() for body in bodies]
        known = [share for share in np.concatenate(shares or [np.empty((0, 3))]) if np.isfinite(share).all()]
        mean = np.mean(known or [np.zeros(3)], axis=0)
        axis = int(np.abs(mean).argmax())
        up = cast(Axis, ("" if mean[axis] > 0 else "-") + "xyz"[axis])
        if np.abs(mean[axis]) < _CLEARLY_UP or up == target:
            return target  # People who lie down do not tell which axis points up.
        self.notes.append(f"source.up: heads are above ankles along {up}, by {abs(mean[axis]):.0%} of the stature")
        return up


def unit_of(stature: float) -> str | None:
    """The unit in which this number is a human height; None if there is none."""
    low, high = GROWN_UP_M
    for unit, metres in UNITS_M.items():
        if low <= stature * metres <= high:
            return unit
    low, high = STATURE_M
    return next((u for u in ("m", "cm", "mm") if math.isfinite(stature) and low <= stature * UNITS_M[u] <= high), None)
