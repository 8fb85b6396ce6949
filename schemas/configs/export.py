"""Config of exported files: which formats, and what those are like that leave a choice."""

from typing import Literal

from pydantic import Field

from schemas.job_config import JobConfig

ExportFormat = Literal["npz", "bvh", "angles", "angles_parquet", "trc", "c3d", "glb", "openpose"]
Unit = Literal["mm", "m"]
UpAxis = Literal["y", "z"]


class TrcConfig(JobConfig):
    """What TRC files are like."""

    unit: Unit = Field(default="mm")
    """Unit of positions; the file says which."""

    up: UpAxis = Field(default="y")
    """The axis that points up: y, as OpenSim has it, or z. The format has no place to say it."""


class C3dConfig(JobConfig):
    """What C3D files are like."""

    unit: Unit = Field(default="mm")
    """Unit of positions; the file says which."""

    up: UpAxis = Field(default="z")
    """The axis that points up: z, as laboratories have it, or y. The file says which (POINT:Y_SCREEN)."""


class ExportOptions(JobConfig):
    """What exported files are like; the defaults are those of the programs that read them."""

    trc: TrcConfig = TrcConfig()
    """TRC files."""

    c3d: C3dConfig = C3dConfig()
    """C3D files."""

    fps: float | None = Field(default=None, gt=0, le=1000)
    """Frame rate of BVH, TRC, C3D and glTF, frames per second. If not given, that of the film."""
