import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tracks.lifted_samples import lifted

from pipelines.lift.report import Histogram, quality, unseen_joints
from schemas.formats.poses import POSES


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_quantiles_are_right_to_one_percent(share):
    values = np.random.default_rng(0).lognormal(2, 3, 10_000).astype(np.float32)
    histogram = Histogram()
    for part in np.array_split(values, 7):
        histogram.add(part)
    assert histogram.quantile(share) == pytest.approx(np.quantile(values, share), rel=0.011)


def test_quantiles_of_nothing_of_zero_and_beyond_all_bins():
    histogram = Histogram()
    assert histogram.quantile(0.5) is None
    histogram.add(np.zeros(10))
    assert histogram.quantile(0.5) == 0
    histogram.add(np.full(100, 1e30))
    assert (histogram.quantile(0.5) or 0) > 1e5


def test_quality_counts_observed_frames_and_each_way_of_measuring_apart(tmp_path):
    observed = np.arange(40) < 30
    rows = [
        lifted(40, interpolated=~observed, reprojection_px=np.where(observed, 4, 900).astype(np.float32)),
        lifted(10, reprojection="orthographic", reprojection_px=np.full(10, 7, np.float32)),
        lifted(10, reprojection="none", reprojection_px=None),
    ]
    file = tmp_path / "part-a.parquet"
    pq.write_table(pa.Table.from_pylist([row.to_row() for row in rows], schema=POSES), file)
    result = quality([str(file)])
    assert result["reprojection_px.perspective"]["p95"] == pytest.approx(4, rel=0.01)
    assert result["reprojection_px.orthographic"]["median"] == pytest.approx(7, rel=0.01)
    assert result["keypoint_score"].keys() == {"median", "p5"}
    assert result["keypoint_score"]["median"] == pytest.approx(0.9, rel=0.01)
    assert set(result) == {
        *("reprojection_px.perspective", "reprojection_px.orthographic", "bone_length_deviation", "keypoint_score")
    }
    assert quality([]) == {}


def test_joints_that_no_track_shows_are_counted_and_earlier_files_tell_nothing(tmp_path):
    scores = np.full((10, 17), 0.9, np.float32)
    scores[:, 3] = 0
    rows = [lifted(10, joint_scores=scores), lifted(10)]
    table = pa.Table.from_pylist([row.to_row() for row in rows], schema=POSES)
    new, old = tmp_path / "part-a.parquet", tmp_path / "part-b.parquet"
    pq.write_table(table, new)
    pq.write_table(table.drop_columns(["joint_scores", "unseen_joints"]), old)
    assert unseen_joints([str(new), str(old)]) == {"right_ankle": 1}
