"""Config of the import_lifter job."""

from pydantic import Field

from schemas.job_config import Address, JobConfig


class ImportLifterConfig(JobConfig):
    """Config of the import_lifter job, which makes a lifter file of a published checkpoint.

    It reads temporal convolutions (Pavllo et al. 2019), residual perceptrons (Martinez et al. 2017) and DSTformers
    (MotionBERT).
    """

    model: Address = Field(min_length=1)
    """The checkpoint (any URI): a dictionary with model_pos or state_dict, or the weights alone. Only tensors are
    loaded from it."""

    output: Address = Field(min_length=1)
    """File to write (any URI), such as lifter.pt."""

    input_layout: str
    """Joint layout of the 2D keypoints it was trained on: coco17, h36m17, …; the checkpoint does not record it."""

    output_layout: str = "h36m17"
    """Joint layout of the 3D poses it predicts."""

    fps: float = Field(default=50.0, gt=0)
    """Frame rate of its training data, frames per second. Human3.6M has 50."""

    causal: bool = False
    """Whether it was trained to predict the last frame of its input instead of the middle one."""

    statistics: Address | None = None
    """For a residual perceptron, which does not hold them: an npz file (any URI) with mean_2d and std_2d of its
    keypoints, in pixels of a picture 1000 wide, and mean_3d and std_3d of its joints, in mm."""

    unit_m: float = Field(default=1.0, gt=0)
    """For a DSTformer, whose predictions are in units of the picture: metres per unit."""
