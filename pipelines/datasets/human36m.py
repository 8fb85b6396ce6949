"""Human3.6M (Ionescu et al. 2014) from the npz pair of `paired_npz.py`: four cameras, 50 fps, 17 of 32 joints."""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field

from pipelines.datasets.camera_table import read_cameras
from pipelines.datasets.human36m_cameras import HUMAN36M_CAMERAS
from pipelines.datasets.paired_npz import PairedFiles
from pipelines.datasets.world import WorldConfig
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.job_config import Address
from schemas.layouts import layout

FPS = 50.0

# Those of the 32 recorded joints that move and are not duplicates, in the order of layout h36m17.
JOINTS = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)

# The first take of S11's Directions is corrupt; "Directions 1" is the second and is not.
DROPPED = frozenset([("S11", "Directions")])


class Human36M:
    """Human3.6M: data_3d_h36m.npz with data_2d_h36m_*.npz, or with the 3D joints projected."""

    class Config(WorldConfig):
        """Options of the source."""

        positions: Address = Field(min_length=1)
        """data_3d_h36m.npz: positions_3d = {subject: {action: (frames, 32, 3)}}, world."""

        keypoints: Address | None = None
        """data_2d_h36m_*.npz: positions_2d (pixels, per camera) and metadata; by default true joints are projected."""

        keypoints_layout: str | None = None
        """Joint layout of the 2D keypoints; by default what their metadata says by name or symmetry."""

        cameras: Address | None = None
        """JSON table of other cameras (see pipelines/datasets/camera_table.py); by default those of Human3.6M."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.notes: list[str] = []

    def inputs(self) -> Mapping[str, Sequence[str]]:
        """The two files, and the table of cameras if there is one."""
        named = self._config.model_dump(include={"positions", "keypoints", "cameras"}, exclude_none=True)
        return {name: [uri] for name, uri in named.items()}

    def tracks(self) -> Iterator[KeypointTrack]:
        """The tracks; subjects without 3D (S2, S3, S4) become unlabeled tracks with intrinsics.

        Raises:
            UserError: The files cannot be read, or have another format.
        """
        config = self._config
        files = PairedFiles(
            unit=config.unit,
            up=config.up,
            source="human36m",
            positions=config.positions,
            keypoints=config.keypoints,
            keypoints_layout=config.keypoints_layout,
            positions_layout=layout("h36m17"),
            joints=(32, JOINTS),
            cameras=read_cameras(config.cameras) if config.cameras else HUMAN36M_CAMERAS,
            fps=FPS,
            dropped=DROPPED,
        )
        yield from files.tracks(self.notes)
