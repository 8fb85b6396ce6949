"""Config of the curate job."""

from pydantic import Field

from schemas.configs.resources import Share
from schemas.job_config import Address, Addresses, JobConfig
from schemas.run_config import RunConfig


class QualityConfig(JobConfig):
    """Which tracks are good enough to train on; null: no such rule.

    Lengths without a unit are in trunk sizes: a trunk, from the shoulders to the hips, is about a quarter of a person's
    height.
    """

    min_seconds: float | None = Field(default=0.5, ge=0)
    """Shortest track, seconds."""

    max_unobserved: Share | None = 0.5
    """Largest share of frames in which the person was not found, 0 to 1."""

    min_score: Share | None = 0.3
    """Lowest median score of the limbs' keypoints, 0 to 1."""

    max_missing: Share | None = 0.5
    """Largest share of the limbs' keypoints that were not seen (scores below 0.3), 0 to 1."""

    min_size_px: float | None = Field(default=40.0, ge=0)
    """Smallest person, pixels: the longer side of the box around the limbs, median."""

    max_proportions: float | None = Field(default=1.1, ge=0)
    """Longest forearm, upper arm, shin or thigh in the picture, median. Cameras that look down on people shorten their
    trunks: give more for them."""

    max_jitter: float | None = Field(default=0.2, ge=0)
    """Largest jitter at 30 frames/s: how far a joint is from the middle between the frames before and after, median."""

    max_swaps: Share | None = 0.15
    """Largest share of frames in which left and right of arms or legs are exchanged, 0 to 1."""

    min_motion: float | None = Field(default=0.02, ge=0)
    """Least motion of the pose around its mean, root mean square. Photographs, and films that stand, have less."""

    max_bone_length_deviation: float | None = Field(default=None, ge=0)
    """Largest deviation of bone lengths once lifted, median over the frames, as a share. Needs poses."""


class DuplicatesConfig(JobConfig):
    """Which tracks are copies of others: the same clip encoded again, cropped, mirrored, cut shorter or retimed."""

    find: bool = True
    """Reject copies; the longest track of them is kept."""

    max_distance: float = Field(default=0.3, gt=0)
    """How far a copy may be from its original: the root mean square distance of their poses, as a share of how much
    the pose varies."""

    min_overlap: float = Field(default=0.8, gt=0, le=1)
    """Share of a track that must be in the other one, 0 to 1."""


class CurateConfig(RunConfig):
    """Config of the curate job, which chooses the tracks that are worth training on and says why others are not."""

    tracks: Addresses
    """Tracks to choose from: a file or folder (any URI), or a list."""

    poses: Addresses | None = None
    """The same tracks lifted, a file or folder that lift wrote (any URI), or a list: their bone lengths are judged by
    quality.max_bone_length_deviation."""

    output: Address = Field(min_length=1)
    """Folder (any URI) for tracks/ (the choice, as train unlabeled=… takes it), measures/, report.json and
    curation.html. Run the same command again to resume, with other rules to judge again, or to add tracks."""

    quality: QualityConfig = QualityConfig()
    """Which tracks are good enough."""

    duplicates: DuplicatesConfig = DuplicatesConfig()
    """Which tracks are copies of others."""

    budget_frames: int | None = Field(default=None, ge=1)
    """Number of frames to keep, those of the tracks that show most different poses. If not given, all that are good
    enough and no copies."""
