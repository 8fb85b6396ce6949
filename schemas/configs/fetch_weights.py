"""What the fetch_weights job may be told."""

from schemas.job_config import JobConfig


class FetchWeightsConfig(JobConfig):
    """Fetch a detector's weights ahead of time."""

    detector: str = "blazepose"
    """A name of the detector table, or package.module:Class."""

    into: str | None = None
    """Folder to put them in; none: the cache (RAYLIFT_CACHE, or ~/.cache/raylift)."""
