"""The joint angles of a lifted track as a table: one row per frame, one column per angle; CSV or Parquet."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from pipelines.pose.joint_angles import joint_angles_of
from pipelines.tracks.lifted_angles import lifted_angles_deg
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.layouts import layout


def angles_table(lifted: LiftedTrack) -> pa.Table:
    """The table.

    Its columns are frame (number in the video), time_s, interpolated (1 where the person was not observed), and two for
    each angle that the joints of the layout give: left_hip_flexion_deg, and left_hip_flexion_score, the lowest score of
    its three joints (below 0.3 one of them was not seen; null if unknown). The angle of an ankle is null where its foot
    was not seen.
    """
    body, scores = layout(lifted.layout), lifted.joint_scores
    columns: dict[str, pa.Array] = {
        "frame": pa.array(lifted.start_frame + np.arange(len(lifted))),
        "time_s": pa.array(np.round(lifted.timestamps_s, 4)),
        "interpolated": pa.array(lifted.interpolated.astype(np.int8)),
    }
    for angle, degrees in zip(joint_angles_of(body), lifted_angles_deg(lifted).T, strict=True):
        lowest = None if scores is None else scores[:, [body.index(joint) for joint in angle.joints]].min(1)
        columns[f"{angle.name}_deg"] = pa.array(np.round(degrees, 2), mask=np.isnan(degrees))
        columns[f"{angle.name}_score"] = (
            pa.nulls(len(lifted), pa.float64()) if lowest is None else pa.array(np.round(lowest.astype(np.float64), 2))
        )
    return pa.table(columns)


def angles_csv(lifted: LiftedTrack) -> bytes:
    """The table as CSV; null is empty."""
    file = io.BytesIO()
    pyarrow.csv.write_csv(angles_table(lifted), file, pyarrow.csv.WriteOptions(quoting_style="none"))
    return file.getvalue()


def angles_parquet(lifted: LiftedTrack) -> bytes:
    """The table as Parquet."""
    file = io.BytesIO()
    pyarrow.parquet.write_table(angles_table(lifted), file)
    return file.getvalue()
