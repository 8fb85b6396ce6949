"""Config of the import_poses job."""

from typing import Annotated

from pydantic import Field

from schemas.job_config import Address, PluginConfig, PluginTable
from schemas.run_config import RunConfig


class ImportPosesConfig(RunConfig):
    """Config of the import_poses job, which converts labeled poses of a data set to labeled tracks."""

    source: Annotated[PluginConfig, PluginTable("pose_sources")]
    """The data set or format that the poses come from."""

    output: Address = Field(min_length=1)
    """Folder (any URI) for tracks/ and report.json. Each import needs its own."""
