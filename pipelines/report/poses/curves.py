"""Curves of one person over time for the pose page: the quality of the lifted track, and the joint angles.

A group of curves is a list of rows, one below the other; a row has a title, a range of its axis (None: from the values)
and lines, each with its packed values in multiples of a unit.
"""

from typing import Any

import numpy as np
from jaxtyping import Shaped

from pipelines.pose.joint_angles import joint_angles_of
from pipelines.report.poses.packing import pack, quantised
from pipelines.tracks.lifted_angles import lifted_angles_deg
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.layouts import layout, without_feet

_ANGLE_DEG = 0.1
# For each attribute of the lifted track: title, factor of the values, unit, and range of the axis.
_QUALITY: dict[str, tuple[str, float, float, tuple[float, float] | None]] = {
    "reprojection_px": ("reprojection, px", 1, 0.01, None),
    "bone_length_deviation": ("bone-length deviation, %", 100, 0.01, None),
    "keypoint_score": ("keypoint score", 1, 1e-3, (0, 1.02)),
}


def curve_groups(lifted: LiftedTrack, shown: slice) -> list[dict[str, Any]]:
    """The groups of curves of a person, for the frames that are shown."""
    return [
        {"name": "quality", "rows": _quality_rows(lifted, shown)},
        {"name": "joint angles", "rows": _angle_rows(lifted, shown)},
    ]


def _quality_rows(lifted: LiftedTrack, shown: slice) -> list[dict[str, Any]]:
    rows = []
    for name, (title, factor, unit, axis) in _QUALITY.items():
        values = getattr(lifted, name)
        if values is not None:
            rows.append({"title": title, "range": axis, "lines": [_line("", values[shown] * factor, unit)]})
    return rows


def _angle_rows(lifted: LiftedTrack, shown: slice) -> list[dict[str, Any]]:
    """One row a joint, with a line for each side; what rests on feet is not as sure as the rest, and says so."""
    body = layout(lifted.layout)
    feet = set(body.joints) - set(without_feet(body).joints)
    values = lifted_angles_deg(lifted)[shown]
    rows: dict[str, dict[str, Any]] = {}
    for index, angle in enumerate(joint_angles_of(body)):
        title = f"{angle.title} (rough), °" if feet.intersection(angle.joints) else f"{angle.title}, °"
        row = rows.setdefault(angle.title, {"title": title, "range": None, "lines": []})
        row["lines"].append(_line(angle.side, values[:, index], _ANGLE_DEG))
    return list(rows.values())


def _line(side: str, values: Shaped[np.ndarray, " frames"], unit: float) -> dict[str, Any]:
    """A line in the colour of its side; a line without a side has the page's own colour. It is broken at NaN."""
    packed = np.where(np.isnan(values), np.iinfo(np.int32).min, quantised(values, unit, np.int32))
    return {"side": side, "unit": unit, "values": pack(packed)}
