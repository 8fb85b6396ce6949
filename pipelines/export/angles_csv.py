"""The joint angles of a lifted track as a CSV file, for spreadsheets: one row a frame, one column an angle."""

import csv
import io

import torch

from pipelines.pose.joint_angles import joint_angles_deg, joint_angles_of
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.layouts import layout


def angles_csv(lifted: LiftedTrack) -> str:
    """The text of the CSV file.

    Its columns are frame (number in the video), time_s, interpolated (1 where the person was not observed), and two for
    each angle that the joints of the layout give: left_hip_flexion_deg, and left_hip_flexion_score, the lowest score of
    its three joints (below 0.3 one of them was not seen; empty if unknown).
    """
    body = layout(lifted.layout)
    angles = joint_angles_of(body)
    values = joint_angles_deg(torch.tensor(lifted.positions), body).numpy()
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    names = (f"{angle.name}_{what}" for angle in angles for what in ("deg", "score"))
    writer.writerow(["frame", "time_s", "interpolated", *names])
    joints = [[body.index(joint) for joint in angle.joints] for angle in angles]
    for index, row in enumerate(values):
        known = (lifted.start_frame + index, f"{lifted.timestamps_s[index]:.4f}", int(lifted.interpolated[index]))
        scores = ["" if lifted.joint_scores is None else f"{lifted.joint_scores[index, at].min():.2f}" for at in joints]
        pairs = zip((f"{value:.2f}" for value in row), scores, strict=True)
        writer.writerow([*known, *(cell for pair in pairs for cell in pair)])
    return table.getvalue()
