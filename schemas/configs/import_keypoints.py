"""Config of the import_keypoints job."""

from typing import Annotated

from pydantic import Field

from schemas.job_config import Address, PluginConfig, PluginTable
from schemas.run_config import RunConfig


class ImportKeypointsConfig(RunConfig):
    """Config of the import_keypoints job, which converts keypoints that another system found to unlabeled tracks."""

    source: Annotated[PluginConfig, PluginTable("keypoint_sources")]
    """The system or format that the keypoints come from."""

    output: Address = Field(min_length=1)
    """Folder (any URI) for tracks/ and report.json. Each import needs its own."""
