"""The ground truth of synthetic videos, as Parquet: 2D and 3D joints, visibility and camera of every person."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float32, Float64

from pipelines.io import storage
from pipelines.synthetic.cameras import View
from pipelines.synthetic.foreground import Foreground
from pipelines.synthetic.motion import Motion
from pipelines.synthetic.skeleton import LAYOUT
from pipelines.synthetic.visibility import visible_joints
from schemas import FORMAT_KEY
from schemas.cameras import Intrinsics
from schemas.errors import UserError
from schemas.formats.truth import FORMAT, TRUTH


@dataclass(frozen=True)
class Truth:
    """One person in one video; joints in layout `h36m17`.

    Attributes:
        video: Address relative to the manifest's folder.
        person: Number of the person in the video.
        subject: Name of the person.
        action: Name of the action.
        view: The camera; its name is the camera id.
        fps: Frames per second.
        timestamps_s: Time of each frame, s.
        keypoints: Pixels, (0, 0) is the top left corner.
        positions: Metres, camera space (x right, y down, z forward).
        visible: Whether no other body part and no furniture is in front of the joint.
    """

    video: str
    person: int
    subject: str
    action: str
    view: View
    fps: float
    timestamps_s: Float64[np.ndarray, " frames"]
    keypoints: Float32[np.ndarray, "frames 17 2"]
    positions: Float32[np.ndarray, "frames 17 3"]
    visible: Bool[np.ndarray, "frames 17"]


def true_people(
    video: str, subjects: Sequence[str], motions: Sequence[Motion], view: View, foreground: Foreground | None = None
) -> list[Truth]:
    """The ground truth of each person, as seen by a camera, perhaps behind furniture."""
    people = []
    for person, (subject, motion, visible) in enumerate(
        zip(subjects, motions, visible_joints(motions, view), strict=True)
    ):
        keypoints = view.project(motion.positions)
        people.append(
            Truth(
                video=video,
                person=person,
                subject=subject,
                action=motion.action,
                view=view,
                fps=motion.fps,
                timestamps_s=np.arange(len(motion)) / motion.fps,
                keypoints=keypoints.astype(np.float32),
                positions=view.to_camera(motion.positions).astype(np.float32),
                visible=visible if foreground is None else visible & foreground.shows(keypoints),
            )
        )
    return people


def write_truth(uri: str, people: Sequence[Truth]) -> None:
    """Write the ground truth of one video.

    Raises:
        RunFailed: The file cannot be written.
    """
    rows = [
        {
            "video": truth.video,
            "person": truth.person,
            "subject": truth.subject,
            "action": truth.action,
            "camera": truth.view.name,
            "layout": LAYOUT.name,
            "width": truth.view.width,
            "height": truth.view.height,
            "fps": truth.fps,
            "timestamps_s": truth.timestamps_s,
            "keypoints": truth.keypoints.ravel(),
            "positions": truth.positions.ravel(),
            "visible": truth.visible.ravel(),
            "intrinsics": truth.view.intrinsics.model_dump(),
            "orientation": list(truth.view.orientation),
            "translation": list(truth.view.translation),
        }
        for truth in people
    ]
    storage.write_table(uri, pa.Table.from_pylist(rows, schema=TRUTH))


def load_truth(folder: str) -> list[Truth]:
    """Read the ground truth of all videos in an output of the synthesize job, sorted by video and person.

    Raises:
        UserError: There is no ground truth, or it was written in another format.
    """
    files = storage.list_folder(storage.join(folder, "truth"), ".parquet")
    if not files:
        raise UserError(f"{folder}: holds no truth/*.parquet; make it with: raylift synthesize output={folder}")
    return [truth for file in files for truth in read_truth(file)]


def read_truth(file: str) -> list[Truth]:
    """Read the ground truth of one video.

    Raises:
        UserError: The file was written in another format.
    """
    written = (storage.read_schema(file).metadata or {}).get(FORMAT_KEY, b"none").decode()
    if written != FORMAT:
        raise UserError(f"{file}: the format is {written}, expected {FORMAT}; run raylift synthesize again")
    return [_from_row(row) for row in storage.read_table(file).to_pylist()]


def _from_row(row: dict) -> Truth:
    frames = len(row["timestamps_s"])
    view = View(
        name=row["camera"],
        intrinsics=Intrinsics(**row["intrinsics"]),
        orientation=tuple(row["orientation"]),
        translation=tuple(row["translation"]),
        width=row["width"],
        height=row["height"],
    )
    return Truth(
        **{name: row[name] for name in ("video", "person", "subject", "action", "fps")},
        view=view,
        timestamps_s=np.array(row["timestamps_s"]),
        keypoints=np.array(row["keypoints"], np.float32).reshape(frames, len(LAYOUT), 2),
        positions=np.array(row["positions"], np.float32).reshape(frames, len(LAYOUT), 3),
        visible=np.array(row["visible"], bool).reshape(frames, len(LAYOUT)),
    )
