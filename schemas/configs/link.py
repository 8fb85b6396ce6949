"""Options of linking: which detections of a video become tracks. Times are in seconds."""

from typing import Self

from pydantic import Field, model_validator

from schemas.job_config import JobConfig


class LinkConfig(JobConfig):
    """How the people found in each frame are joined into tracks."""

    max_gap_s: float = Field(default=0.5, ge=0)
    """Longest time between two observations of one track, s; the frames between are interpolated and flagged."""

    min_track_s: float = Field(default=0.5, ge=0)
    """Shortest track to keep, first to last observation, s."""

    min_observations: int = Field(default=3, ge=1)
    """Fewest frames in which the person of a track is observed; until then, weak detections do not prolong it."""

    high_score: float = Field(default=0.5, ge=0, le=1)
    """Box score from which a person may start a track, and is matched in the first pass, 0 to 1."""

    low_score: float = Field(default=0.1, ge=0, le=1)
    """Box score from which a person may prolong a track that the first pass left without one, 0 to 1."""

    min_similarity: float = Field(default=0.2, gt=0, le=1)
    """Least similarity (boxes and keypoints) of a track's prediction to the person that prolongs it, 0 to 1."""

    oks_weight: float = Field(default=0.7, ge=0, le=1)
    """Share of keypoints (OKS) in the similarity when all are visible, the rest is box overlap, 0 to 1."""

    visible_score: float = Field(default=0.2, ge=0, le=1)
    """Keypoint score above which a joint counts as visible when keypoints are compared, 0 to 1."""

    @model_validator(mode="after")
    def _scores_are_ordered(self) -> Self:
        if self.low_score > self.high_score:
            raise ValueError(f"low_score ({self.low_score}) must not be above high_score ({self.high_score})")
        return self
