"""Config of the import_lifter job."""

from pydantic import Field

from schemas.job_config import Address, JobConfig


class ImportLifterConfig(JobConfig):
    """Config of the import_lifter job, which makes a lifter file of a published checkpoint of temporal convolutions."""

    model: Address = Field(min_length=1)
    """The checkpoint (any URI): a dictionary with model_pos, or the weights alone. Only tensors are loaded from it."""

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
