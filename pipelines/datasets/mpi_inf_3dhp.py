"""MPI-INF-3DHP (Mehta et al. 2017) from one npz of camera-space arrays.

`data` = {sequence: {camera: arrays}}, where a sequence is named like "S1 Seq1" or "TS1". Also read are cameras wrapped
in a list of one, {sequence: [{camera: arrays}]}, and data without cameras, {sequence: arrays} (one camera each, as in
the test set).
`arrays` is a dict with

    data_3d  (frames, 17, 3)  camera space, absolute, in the dataset millimetres
    data_2d  (frames, 17, 2)  pixels
    valid    (frames)         optional: 0 for frames whose labels must not be used

in the dataset's order of 17 joints: head top, neck, right arm, left arm, right leg, left leg, pelvis, spine, head.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pipelines.datasets.pose_source import Shot, fill_missing, stem
from pipelines.datasets.world import UnitConfig, World, read_positions
from pipelines.io.npz import mapping, numbers, read_npz
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.stretches import stretches
from schemas.job_config import Address
from schemas.layouts import layout

# The indices of h36m17's joints in the dataset's order (its list: mmpose, configs/_base_/datasets/mpi_inf_3dhp.py).
# Names of the upper spine differ: the dataset's neck is our thorax, its head our neck, its head top nearly our head.
JOINTS = (14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4)

# Picture sizes of the training cameras and four of the six test sequences, and of TS5 and TS6, which were filmed
# outdoors with another camera.
_SIZE, _OUTDOOR_SIZE, _OUTDOOR = (2048, 2048), (1920, 1080), ("TS5", "TS6")


class MpiInf3dhp:
    """MPI-INF-3DHP: an npz of camera-space arrays, joints renamed to h36m17."""

    class Config(UnitConfig):
        """Options of the source."""

        # The unit of the original files, which version 0.1.0 assumed for all files.
        BEFORE: ClassVar[Mapping[str, Any]] = {"unit": "mm"}

        arrays: Address = Field(min_length=1)
        """npz with `data` = {sequence: {camera: {data_3d, data_2d (px), valid}}}."""

        fps: float = Field(gt=0)
        """Frame rate of the arrays, frames per second; the file does not contain it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.notes: list[str] = []

    def inputs(self) -> Mapping[str, Sequence[str]]:
        """The file."""
        return {"arrays": [self._config.arrays]}

    def tracks(self) -> Iterator[KeypointTrack]:
        """The tracks, without intrinsics; each run of valid frames is a track.

        Raises:
            UserError: The file cannot be read, or has another format.
        """
        uri = self._config.arrays
        views = [
            (sequence, camera, mapping(uri, arrays, f"camera {camera} of {sequence}"))
            for sequence, cameras in mapping(uri, read_npz(uri, "data")["data"], "data").items()
            for camera, arrays in _by_camera(uri, sequence, cameras).items()
        ]
        motions = (self._positions(*view) for view in views)
        world = World(self._config.unit, "-y", motions, layout("h36m17"), target="-y", usual="mm")
        self.notes += world.notes
        for view in views:
            yield from self._runs(*view, world)

    def _positions(self, sequence: str, camera: str, arrays: Mapping[str, Any]) -> np.ndarray:
        what = f"data_3d of {sequence}, camera {camera}"
        return read_positions(self._config.arrays, arrays.get("data_3d"), what, len(JOINTS))[:, list(JOINTS)]

    def _runs(self, sequence: str, camera: str, arrays: Mapping[str, Any], world: World) -> Iterator[KeypointTrack]:
        uri, h36m = self._config.arrays, layout("h36m17")
        subject, _, action = sequence.partition(" ")
        size = _OUTDOOR_SIZE if sequence in _OUTDOOR else _SIZE
        shot = Shot(f"mpi_inf_3dhp:{stem(uri)}", subject, action or sequence, camera, *size, self._config.fps, None)
        positions = world.convert(self._positions(sequence, camera, arrays))
        frames, what = len(positions), f"data_2d of {shot.name}"
        image = numbers(uri, arrays.get("data_2d"), what, frames, len(JOINTS), 2, finite=False)[:, list(JOINTS)]
        image, scores = fill_missing(image, None)
        valid = np.ravel(arrays.get("valid", np.ones(frames)))
        valid = numbers(uri, valid, f"valid of {shot.name}", frames) > 0
        if not valid.all():
            self.notes.append(f"{shot.name}: {frames - valid.sum()} of {frames} frames are left out as not valid")
        for start, stop in stretches(valid):
            part = slice(start, stop)
            yield shot.track(h36m, image[part], None if scores is None else scores[part], positions[part], h36m, start)


def _by_camera(uri: str, sequence: str, value: Any) -> Mapping[str, Any]:
    if isinstance(value, Sequence | np.ndarray) and len(value) == 1:
        value = value[0]
    if isinstance(value, Mapping) and "data_3d" in value:
        return {"0": value}
    # Camera names may be integers in the file.
    named = {str(camera): arrays for camera, arrays in value.items()} if isinstance(value, Mapping) else value
    return mapping(uri, named, f"data of {sequence}")
