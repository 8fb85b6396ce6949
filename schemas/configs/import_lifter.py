"""What the import_lifter job may be told."""

from pydantic import Field

from schemas.job_config import JobConfig


class ImportLifterConfig(JobConfig):
    """Make a published checkpoint of temporal convolutions a lifter that the other jobs take."""

    model: str = Field(min_length=1)
    """The checkpoint (any URI): a dictionary with model_pos, or the weights alone; nothing but tensors is loaded."""

    output: str = Field(min_length=1)
    """The file to write, such as lifter.pt (any URI)."""

    input_layout: str
    """Joints of the keypoints it was trained on: coco17, h36m17, …; the file does not say."""

    output_layout: str = "h36m17"
    """Joints that it predicts."""

    fps: float = Field(default=50.0, gt=0)
    """Frames per second of what it was trained on; Human3.6M has 50."""

    causal: bool = False
    """Whether it was trained to predict the last frame that it sees."""
