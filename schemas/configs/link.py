"""Options of linking, the step that joins a video's detections into tracks."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from schemas.job_config import JobConfig


class LinkConfig(JobConfig):
    """How the people detected in each frame are joined into tracks."""

    BEFORE: ClassVar[Mapping[str, Any]] = {"max_gap_s": 0.5, "min_similarity": 0.2}
    """What outputs that lack these options were made with."""

    max_gap_s: float = Field(default=0.7, ge=0)
    """Longest time between two observations of one track, seconds. The frames between are interpolated and marked
    so."""

    min_track_s: float = Field(default=0.5, ge=0)
    """Shortest track to keep, from its first to its last observation, seconds. In a video of less than twice that
    length, half of the video is enough."""

    min_observations: int = Field(default=3, ge=1)
    """Fewest frames with an observation that a track must have, or half of the frames of a video with few. Until it has
    them, only detections from high_score on prolong it."""

    high_score: float = Field(default=0.4, ge=0, le=1)
    """Box score from which a person may start a track and takes part in the first round of matching, 0 to 1."""

    low_score: float = Field(default=0.1, ge=0, le=1)
    """Box score from which a person may prolong a track that the first round of matching left unmatched, 0 to 1."""

    min_similarity: float = Field(default=0.1, gt=0, le=1)
    """Lowest similarity between a track's predicted and a detected person (boxes and keypoints) for a match, 0 to 1."""

    oks_weight: float = Field(default=0.4, ge=0, le=1)
    """Weight of keypoint similarity (OKS) against box overlap when all keypoints are visible, 0 to 1."""

    visible_score: float = Field(default=0.2, ge=0, le=1)
    """Keypoint score above which a joint counts as visible when keypoints are compared, 0 to 1."""

    repair_swaps: bool = True
    """Whether frames in which the detector took a person's left for their right are found, put right and marked."""

    across_cuts: bool = False
    """Whether a track may go on where the film cuts to another shot. Cuts, fades and cross-fades are found while
    decoding."""

    @model_validator(mode="after")
    def _scores_are_ordered(self) -> Self:
        if self.low_score > self.high_score:
            raise ValueError(f"low_score ({self.low_score}) must not be above high_score ({self.high_score})")
        return self
