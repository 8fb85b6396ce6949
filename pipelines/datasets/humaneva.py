"""HumanEva-I (Sigal et al. 2010) from the npz pair of `paired_npz.py`: three cameras, 60 fps, 15 joints."""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field

from pipelines.datasets.camera_table import read_cameras
from pipelines.datasets.paired_npz import PairedFiles
from pipelines.datasets.world import WorldConfig
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.job_config import Address
from schemas.layouts import layout

FPS = 60.0


class HumanEva15:
    """HumanEva-I: the npz pair with keys such as "Train/S1" and actions such as "Walking 1 chunk0".

    Chunks between damaged mocap are sequences of their own; those under "Unlabeled/" become unlabeled tracks.
    """

    class Config(WorldConfig):
        """Options of the source."""

        positions: Address = Field(min_length=1)
        """data_3d_humaneva15.npz: positions_3d = {"Train/S1": {action: (frames, 15, 3)}}, world."""

        keypoints: Address = Field(min_length=1)
        """data_2d_humaneva15_*.npz: positions_2d, pixels per camera, and metadata."""

        cameras: Address = Field(min_length=1)
        """JSON table of the three 640 x 480 cameras with their places (form: pipelines/datasets/camera_table.py)."""

        keypoints_layout: str | None = None
        """Joint layout of the 2D keypoints; by default what their metadata says by name or symmetry."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.notes: list[str] = []

    def inputs(self) -> Mapping[str, Sequence[str]]:
        """The two files and the table of cameras."""
        return {name: [getattr(self._config, name)] for name in ("positions", "keypoints", "cameras")}

    def tracks(self) -> Iterator[KeypointTrack]:
        """The tracks; without intrinsics unless the table has some, as none are published.

        Raises:
            UserError: The files cannot be read, or have another format.
        """
        config, joints = self._config, layout("humaneva15")
        files = PairedFiles(
            unit=config.unit,
            up=config.up,
            source="humaneva15",
            positions=config.positions,
            keypoints=config.keypoints,
            keypoints_layout=config.keypoints_layout,
            positions_layout=joints,
            joints=(len(joints), range(len(joints))),
            cameras=read_cameras(config.cameras),
            fps=FPS,
        )
        yield from files.tracks(self.notes)
