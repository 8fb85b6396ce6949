"""Config of the fetch_weights job."""

from typing import ClassVar

from schemas.job_config import Address, JobConfig


class FetchWeightsConfig(JobConfig):
    """Config of the fetch_weights job, which downloads a detector's weights ahead of time."""

    BARE_FIELD: ClassVar[str | None] = "detector"

    detector: str = "blazepose"
    """The detector: a name of the detector table, or package.module:Class."""

    model: str | None = None
    """Which of the detector's models, where it has several: full or heavy of blazepose and movenet_blazepose. If not
    given, the one that the detector uses by default."""

    into: Address | None = None
    """Folder to put the weights in, of this machine or of a bucket. If not given, the cache (the folder RAYLIFT_CACHE,
    or ~/.cache/raylift)."""
