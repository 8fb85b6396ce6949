"""What the import_poses job may be told."""

from typing import Annotated

from pydantic import Field

from schemas.job_config import JobConfig, PluginConfig, PluginTable


class ImportPosesConfig(JobConfig):
    """Turn labeled poses of others into labeled tracks."""

    source: Annotated[PluginConfig, PluginTable("pose_sources")]
    """Where the poses come from."""

    output: str = Field(min_length=1)
    """Folder (any URI) for tracks/ and report.json; one output holds one import."""
