"""What the evaluate_detector job may be told."""

from typing import Annotated

from pydantic import Field

from schemas.job_config import JobConfig, PluginConfig, PluginTable


class EvaluateDetectorWorkersConfig(JobConfig):
    """How many processes work; the defaults fill the machine or the cluster."""

    detectors: int | None = Field(default=None, ge=1)
    """Detector processes, which read the images too; none: as many as the CPUs (or GPUs) hold."""

    cpus_per_detector: int = Field(default=1, ge=1)
    """CPUs, and so threads, of one detector."""

    gpus_per_detector: float = Field(default=0.0, ge=0)
    """GPUs of one detector; a fraction shares one GPU among several."""

    images_per_batch: int = Field(default=32, ge=1)
    """Images that a detector process takes at a time; their people are looked at together."""

    images_per_file: int = Field(default=64, ge=1)
    """Images in one file of predictions: what a killed job loses at most per write."""


class EvaluateDetectorConfig(JobConfig):
    """Score a 2D keypoint detector on annotated images."""

    annotations: str = Field(min_length=1)
    """COCO keypoint json, or a json list of MPII's people as HRNet and mmpose have it (any URI)."""

    images: str = Field(min_length=1)
    """Folder (any URI) that the file names in the annotations are relative to."""

    output: str = Field(min_length=1)
    """Folder (any URI) for predictions/, predictions.json and metrics.json; run again to resume."""

    detector: Annotated[PluginConfig, PluginTable("detectors")] = PluginConfig(name="blazepose")
    """The 2D keypoint detector."""

    boxes: str = Field(default="truth", min_length=1)
    """truth (the annotated boxes), detected (the detector finds people itself), or a COCO result file of boxes."""

    flip: bool | None = None
    """Look at the mirror image too and average, as published; none: as detector.flip says."""

    min_box_score: float = Field(default=0.0, ge=0, le=1)
    """Boxes of a result file below this are left out; published COCO scores take all."""

    max_similarity: float = Field(default=0.9, gt=0, le=1)
    """COCO: object keypoint similarity above which two people of an image are one found twice."""

    head_boxes: str | None = None
    """MPII: gt_valid.mat with the heads that PCKh is measured by; none: the one beside the annotations."""

    limit: int | None = Field(default=None, ge=1)
    """Score on so many images only, spread evenly over all; none: all. Raise it later to go on."""

    max_failed: int | None = Field(default=0, ge=0)
    """Images that may fail before the exit code is 1; null: any number. Nobody is found in a failed image."""

    workers: EvaluateDetectorWorkersConfig = EvaluateDetectorWorkersConfig()
    """How many processes work."""
