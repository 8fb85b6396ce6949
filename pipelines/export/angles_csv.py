"""The joint angles of a lifted track as a CSV file, for spreadsheets: one row a frame, one column an angle."""

import csv
import io

import torch

from pipelines.pose.joint_angles import joint_angles_deg, joint_angles_of
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.layouts import layout


def angles_csv(lifted: LiftedTrack) -> str:
    """The text of the CSV file.

    Its columns are frame (number in the video), time_s, interpolated (1 where the person was not observed), and one for
    each angle that the joints of the layout give, degrees: left_hip_flexion_deg, right_hip_flexion_deg, …
    """
    body = layout(lifted.layout)
    angles = joint_angles_deg(torch.from_numpy(lifted.positions), body).numpy()
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    names = (f"{angle.name}_deg" for angle in joint_angles_of(body))
    writer.writerow(["frame", "time_s", "interpolated", *names])
    for index, row in enumerate(angles):
        known = (lifted.start_frame + index, f"{lifted.timestamps_s[index]:.4f}", int(lifted.interpolated[index]))
        writer.writerow([*known, *(f"{value:.2f}" for value in row)])
    return table.getvalue()
