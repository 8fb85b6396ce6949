"""The curves of a pose page: what they are called, and where they are broken."""

import numpy as np
from tracks.lifted_samples import lifted

from pipelines.report.poses.curves import curve_groups
from pipelines.report.poses.packing import pack
from pipelines.tracks.lifted_angles import lifted_angles_deg
from schemas.layouts import layout


def test_angles_of_feet_are_called_rough_and_are_broken_where_a_foot_is_not_seen():
    body, plain = layout("h36m19"), lifted(5)
    ankles = [body.index("left_ankle"), body.index("right_ankle")]
    scores = np.full((5, 19), 0.9, np.float32)
    scores[2, body.index("left_foot_index")] = 0.1
    positions = np.concatenate([plain.positions, plain.positions[:, ankles] + np.float32(0.1)], axis=1)
    track = lifted(5, layout="h36m19", positions=positions, joint_scores=scores)
    _, angles = curve_groups(track, slice(1, 5))
    assert [row["title"] for row in angles["rows"]] == [
        *("hip flexion, °", "knee flexion, °", "ankle dorsiflexion (rough), °"),
        *("shoulder elevation, °", "elbow flexion, °"),
    ]
    left, right = angles["rows"][2]["lines"]
    values = np.rint(lifted_angles_deg(track)[1:, 4:6] / 0.1)
    assert np.flatnonzero(np.isnan(values[:, 0])).tolist() == [1]
    assert left["values"] == pack(np.where(np.isnan(values[:, 0]), -(2**31), values[:, 0]).astype(np.int32))
    assert right["values"] == pack(values[:, 1].astype(np.int32))


def test_a_body_without_feet_has_no_such_row():
    _, angles = curve_groups(lifted(5), slice(5))
    assert len(angles["rows"]) == 4
