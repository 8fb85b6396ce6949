"""Config of the evaluate_detector job."""

from typing import Annotated

from pydantic import AfterValidator, Field

from schemas.job_config import Address, AddressRule, JobConfig, PluginConfig, PluginTable
from schemas.run_config import RunConfig

Boxes = Annotated[str, AfterValidator(AddressRule(words=("truth", "detected")))]


class EvaluateDetectorWorkersConfig(JobConfig):
    """Number and size of the worker processes. By default they fill the machine or the cluster."""

    detectors: int | None = Field(default=None, ge=1)
    """Number of detector processes, which also read the images. If not given, as many as the CPUs (or GPUs) allow."""

    cpus_per_detector: int = Field(default=1, ge=1)
    """CPUs of one detector process, which is also its number of threads."""

    gpus_per_detector: float = Field(default=0.0, ge=0)
    """GPUs of one detector process. A fraction lets several processes share one GPU."""

    images_per_batch: int = Field(default=32, ge=1)
    """Number of images a detector process takes at a time. The people of all of them go through the network
    together."""

    images_per_file: int = Field(default=64, ge=1)
    """Number of images in one file of predictions. A killed job loses at most the files it has not finished."""


class EvaluateDetectorConfig(RunConfig):
    """Config of the evaluate_detector job, which scores a 2D keypoint detector on annotated images."""

    annotations: Address = Field(min_length=1)
    """COCO keypoint json, or a json list of the people in MPII as HRNet and mmpose distribute it (any URI)."""

    images: Address = Field(min_length=1)
    """Folder (any URI) that the file names in the annotations are relative to."""

    output: Address = Field(min_length=1)
    """Folder (any URI) for predictions/, predictions.json and metrics.json. Run the same command again to resume."""

    detector: Annotated[PluginConfig, PluginTable("detectors")] = PluginConfig(name="blazepose")
    """The 2D keypoint detector."""

    boxes: Boxes = Field(default="truth", min_length=1)
    """Where people's boxes come from: truth (the annotations), detected (the detector itself), or a COCO result file of
    boxes."""

    flip: bool | None = None
    """Also detect on the mirrored image and average, as published results do. If not given, the detector's own flip
    option."""

    min_box_score: float = Field(default=0.0, ge=0, le=1)
    """Lowest score of the boxes used from a result file, 0 to 1. Published COCO scores use all boxes."""

    max_similarity: float = Field(default=0.9, gt=0, le=1)
    """COCO only: object keypoint similarity above which two people of an image count as one person detected twice, 0 to
    1."""

    head_boxes: Address | None = None
    """MPII only: gt_valid.mat with the head sizes that PCKh needs. If not given, the one beside the annotations."""

    limit: int | None = Field(default=None, ge=1)
    """Number of images to score on, spread evenly over all. If not given, all. Raise it later to continue."""

    max_failed: int | None = Field(default=0, ge=0)
    """Number of images that may fail before the exit code is 1; null: any number. A failed image counts as one without
    people."""

    workers: EvaluateDetectorWorkersConfig = EvaluateDetectorWorkersConfig()
    """Number and size of the worker processes."""
