"""The pair of npz files in which Human3.6M and HumanEva are distributed: 3D in world space, and 2D per camera.

`positions_3d` = {subject: {action: (frames, joints, 3)}}, world, in the dataset metres. `positions_2d` = {subject:
{action: [one (frames, joints, 2 or 3) per camera]}}, pixels, the third value a score; `metadata` = {"layout_name",
"num_joints", "keypoints_symmetry": [left, right]}, of which all but the symmetry may be missing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.datasets.camera_table import CameraTable
from pipelines.datasets.pose_source import Shot, fill_missing, stem
from pipelines.datasets.world import Axis, Unit, World, read_positions
from pipelines.io.npz import mapping, numbers, read_npz
from pipelines.synthetic.cameras import project
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.errors import UserError
from schemas.layouts import LAYOUTS, JointLayout

# This project's names of the layouts that the files name.
_LAYOUT_NAMES = {"h36m": "h36m17", "coco": "coco17", "mpii": "mpii16", "humaneva15": "humaneva15"}

Sequences = dict[tuple[str, str], Any]


@dataclass(frozen=True)
class PairedFiles:
    """The pair of files, and how to read it.

    Attributes:
        unit: Unit of the positions, as in `world.py`.
        up: Axis of the file that points up, as there.
        source: Name of the dataset.
        positions: URI of the 3D file.
        keypoints: URI of the 2D file; None: the 3D joints are projected.
        keypoints_layout: Joint layout of the 2D file; None: as its metadata says.
        positions_layout: Joint layout of the positions that are kept.
        joints: How many joints the 3D file has, and which of them are kept.
        cameras: The cameras, in the order of the 2D file.
        fps: Frames per second.
        dropped: (subject, action) pairs that are left out.
    """

    unit: Unit | float
    up: Axis
    source: str
    positions: str
    keypoints: str | None
    keypoints_layout: str | None
    positions_layout: JointLayout
    joints: tuple[int, Sequence[int]]
    cameras: CameraTable
    fps: float
    dropped: frozenset[tuple[str, str]] = frozenset()

    def tracks(self, notes: list[str]) -> Iterator[KeypointTrack]:
        """A track for every sequence and camera that has 2D; labeled where there is 3D of the same name.

        Raises:
            UserError: The files cannot be read, have another format, or do not belong together.
        """
        world = _sequences(self.positions, read_npz(self.positions, "positions_3d")["positions_3d"], "positions_3d")
        if self.keypoints is None:
            keypoints, image_layout = dict.fromkeys(world), self.positions_layout
        else:
            arrays = read_npz(self.keypoints, "positions_2d", "metadata")
            keypoints = _sequences(self.keypoints, arrays["positions_2d"], "positions_2d")
            metadata = mapping(self.keypoints, arrays["metadata"], "metadata")
            image_layout = find_layout(self.keypoints, metadata, self.keypoints_layout)
        unseen = sorted(world.keys() - keypoints.keys() - self.dropped)
        if unseen:
            notes.append(f"{len(unseen)} sequences have positions but no keypoints: {_names(unseen)}")
        motions = (self._positions(key, motion) for key, motion in world.items())
        conversion = World(self.unit, self.up, motions, self.positions_layout, self.cameras.up)
        notes += conversion.notes
        for key, views in keypoints.items():
            if key in self.dropped:
                notes.append(f"{_names([key])} is left out: its recording is known to be corrupt")
                continue
            positions = conversion.convert(self._positions(key, world[key])) if key in world else None
            yield from self._views(key, views, positions, image_layout)

    def _positions(self, key: tuple[str, str], motion: Any) -> np.ndarray:
        count, kept = self.joints
        return read_positions(self.positions, motion, f"positions_3d of {_names([key])}", count)[:, list(kept)]

    def _views(
        self, key: tuple[str, str], views: Any, positions: np.ndarray | None, image_layout: JointLayout
    ) -> Iterator[KeypointTrack]:
        subject, action = key
        if views is not None and len(views) != len(self.cameras.cameras):
            raise UserError(
                f"{self.keypoints}: {_names([key])} has 2D of {len(views)} cameras, the table of cameras has "
                f"{len(self.cameras.cameras)}; give source.cameras=… with those of the file, in its order"
            )
        for number, (name, camera) in enumerate(self.cameras.cameras.items()):
            file = stem(self.keypoints or self.positions)
            shot = Shot(
                *(f"{self.source}:{file}", subject, action, name),
                *(camera.width, camera.height, self.fps, camera.intrinsics),
            )
            in_camera = None if positions is None else self.cameras.place(subject, name).to_camera(positions)
            if views is not None:
                image, scores = _keypoints(self.keypoints or "", views[number], shot, image_layout)
            elif camera.intrinsics is not None and in_camera is not None:
                image, scores = project(camera.intrinsics, in_camera), None
            else:
                raise UserError(f"source.keypoints: {shot.name} cannot be projected without intrinsics; give a 2D file")
            if in_camera is not None:
                image, scores = _cut(shot, image, scores, len(in_camera))
            yield shot.track(image_layout, image, scores, in_camera, self.positions_layout)


def find_layout(uri: str, metadata: Mapping[str, Any], chosen: str | None) -> JointLayout:
    """The joint layout of a 2D file: the chosen one, else the one it names, else the only layout with its symmetry.

    Raises:
        UserError: The layout is unknown, or has another symmetry than the file.
    """
    named = metadata.get("layout_name")
    try:
        left, right = ({int(joint) for joint in side} for side in metadata["keypoints_symmetry"])
    except (LookupError, TypeError, ValueError) as error:
        raise UserError(f"{uri}: metadata lacks keypoints_symmetry = [left joints, right joints]") from error
    fitting = [one for one in LAYOUTS.values() if _symmetry(one) == (left, right)]
    fix = f"give source.keypoints_layout, one of {', '.join(LAYOUTS)}"
    if chosen or named:
        name = chosen or _LAYOUT_NAMES.get(str(named), str(named))
        where = f"source.keypoints_layout={chosen}" if chosen else f"layout_name={named}"
        if name not in LAYOUTS:
            raise UserError(f"{uri}: {where} is no known joint layout; {fix}")
        if LAYOUTS[name] not in fitting:
            raise UserError(f"{uri}: {where}, but its keypoints_symmetry is not that of {name}; {fix}")
        return LAYOUTS[name]
    joints = metadata.get("num_joints")
    fitting = [one for one in fitting if joints is None or len(one) == int(joints)]
    if len(fitting) != 1:
        raise UserError(f"{uri}: its metadata has no layout_name and a keypoints_symmetry of no known layout; {fix}")
    return fitting[0]


def _symmetry(one: JointLayout) -> tuple[set[int], set[int]]:
    return {left for left, _ in one.left_right}, {right for _, right in one.left_right}


def _sequences(uri: str, value: Any, what: str) -> Sequences:
    """The sequences of a file by (subject, action), in its order."""
    sequences: Sequences = {}
    for subject, actions in mapping(uri, value, what).items():
        for action, arrays in mapping(uri, actions, f"{what} of {subject}").items():
            sequences[subject, action] = arrays
    return sequences


def _keypoints(uri: str, value: Any, shot: Shot, image_layout: JointLayout) -> tuple[np.ndarray, np.ndarray | None]:
    features = value.shape[-1] if isinstance(value, np.ndarray) and value.ndim == 3 and value.shape[-1] == 3 else 2
    array = numbers(uri, value, f"positions_2d of {shot.name}", -1, len(image_layout), features, finite=False)
    return fill_missing(array[..., :2], np.clip(np.nan_to_num(array[..., 2]), 0, 1) if features == 3 else None)


def _cut(shot: Shot, image: np.ndarray, scores: np.ndarray | None, frames: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The 2D without the frames after the end of the mocap."""
    if len(image) < frames:
        raise UserError(
            f"{shot.name}: has {len(image)} frames of 2D for {frames} of mocap, and must have at least as many; "
            "give files that belong together"
        )
    return image[:frames], None if scores is None else scores[:frames]


def _names(keys: Sequence[tuple[str, str]]) -> str:
    shown = ", ".join(f"{subject} {action}" for subject, action in keys[:4])
    return shown if len(keys) <= 4 else f"{shown}, …"
