import io

import numpy as np
import pandas as pd
import pytest
import torch
from tracks.lifted_samples import lifted

from pipelines.export.angles import angles_csv, angles_parquet
from pipelines.pose.joint_angles import joint_angles_deg, joint_angles_of
from schemas.layouts import layout


def test_the_score_of_an_angle_is_that_of_its_worst_joint():
    scores = np.full((4, 17), 0.9, np.float32)
    scores[:, layout("h36m17").index("left_ankle")] = 0.1
    table = pd.read_csv(io.BytesIO(angles_csv(lifted(4, joint_scores=scores))))
    assert table["left_knee_flexion_score"].tolist() == [0.1] * 4
    assert table["left_hip_flexion_score"].tolist() == [0.9] * 4
    unknown = pd.read_csv(io.BytesIO(angles_csv(lifted(4, joint_scores=None))))
    assert unknown["left_hip_flexion_score"].isna().tolist() == [True] * 4


def test_pandas_reads_one_row_a_frame_and_one_column_an_angle():
    track = lifted(9, start_frame=5)
    table = pd.read_csv(io.BytesIO(angles_csv(track)))
    body = layout(track.layout)
    names = [f"{angle.name}_deg" for angle in joint_angles_of(body)]
    assert list(table)[:3] == ["frame", "time_s", "interpolated"]
    assert list(table)[3::2] == names
    assert table["frame"].tolist() == list(range(5, 14))
    assert table["time_s"].tolist() == pytest.approx(track.timestamps_s.tolist(), abs=1e-4)
    angles = joint_angles_deg(torch.from_numpy(track.positions), body).numpy()
    assert table[names].to_numpy() == pytest.approx(angles, abs=0.0051)


def test_parquet_holds_the_same_table():
    track = lifted(9, start_frame=5)
    written = pd.read_csv(io.BytesIO(angles_csv(track)))
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(angles_parquet(track))), written, check_dtype=False)


def test_the_angle_of_an_ankle_is_empty_where_its_foot_was_not_seen():
    scores = np.full((4, 19), 0.9, np.float32)
    scores[1, layout("h36m19").index("left_foot_index")] = 0.1
    scores[2, layout("h36m19").index("right_knee")] = 0.1
    plain = lifted(4)
    feet = plain.positions[:, [layout("h36m17").index(f"{side}_ankle") for side in ("left", "right")]] + 0.1
    positions = np.concatenate([plain.positions, feet], axis=1)
    track = lifted(4, layout="h36m19", positions=positions, joint_scores=scores)
    table = pd.read_csv(io.BytesIO(angles_csv(track)))
    assert table["left_ankle_dorsiflexion_deg"].isna().tolist() == [False, True, False, False]
    assert table["right_ankle_dorsiflexion_deg"].isna().tolist() == [False] * 4
    assert table["right_knee_flexion_deg"].isna().tolist() == [False] * 4
    assert table["left_ankle_dorsiflexion_score"].tolist() == [0.9, 0.1, 0.9, 0.9]
