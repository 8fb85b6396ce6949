"""Keypoint R-CNN (He et al. 2017) of torchvision, an optional dependency: one network detects people and their joints.

Pavllo et al. 2019 labeled their videos with this family of detectors. Each release of torchvision works with one
version of PyTorch; if it is missing or does not match, the constructor raises a `UserError` that says so.
"""

import importlib
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import UInt8
from pydantic import Field
from torch import Tensor

from pipelines.detectors.batches import Batches
from pipelines.detectors.clip_frames import ClipFrames
from pipelines.detectors.topdown.detector import use_threads
from pipelines.detectors.weights import Weights, named
from pipelines.io.torch_files import read_hashed, require_finite
from pipelines.pose.people import People
from schemas.errors import UserError
from schemas.job_config import JobConfig
from schemas.layouts import LAYOUTS

# The class number of people in torchvision's COCO models.
_PERSON = 1


class KeypointRcnnConfig(JobConfig):
    """The options of `detector.name=keypoint_rcnn`."""

    PRACTICAL: ClassVar[dict[str, Any]] = {"weights": True, "batch_size": True}
    """Options that do not change the results: the address of the weights, and what only affects speed."""

    weights: Weights
    """Torchvision's checkpoint keypointrcnn_resnet50_fpn_coco-fc266e95.pth (any URI)."""

    min_person_score: float = Field(default=0.5, ge=0, le=1)
    """Lowest score of a detected person, 0 to 1."""

    max_people: int = Field(default=20, ge=1)
    """Largest number of people in one frame; those with the highest scores are kept."""

    batch_size: int | None = Field(default=None, ge=1)
    """Frames per batch; by default 8 on a GPU and 1 on a CPU."""


class KeypointRcnn:
    """Keypoint R-CNN with ResNet-50 and feature pyramid; implements `pipelines.detectors.base.Detector`.

    Args:
        config: The options, a `KeypointRcnnConfig`.
        threads: CPU threads.
        device: A torch device string.

    Raises:
        UserError: torchvision is missing or does not match this PyTorch, or the weights cannot be read, belong to
            another architecture or are not finite.
    """

    Config: ClassVar[type[JobConfig]] = KeypointRcnnConfig

    def __init__(self, config: JobConfig, threads: int, device: str) -> None:
        assert isinstance(config, KeypointRcnnConfig)
        use_threads(threads)
        models = _torchvision_models()
        with named("detector.weights"):
            content, self.weights_sha256 = read_hashed(config.weights, "checkpoint of Keypoint R-CNN")
        self.layout = LAYOUTS["coco17"]
        self._config = config
        self._device = device
        self._model = models.keypointrcnn_resnet50_fpn(
            weights=None,
            weights_backbone=None,
            num_keypoints=len(self.layout),
            box_score_thresh=config.min_person_score,
            box_detections_per_img=config.max_people,
        )
        try:
            self._model.load_state_dict(content)
        except (RuntimeError, AttributeError) as error:
            wrong = " ".join(str(error).split())[:200]
            raise UserError(f"detector.weights={config.weights}: weights of another architecture ({wrong})") from error
        with named("detector.weights"):
            require_finite(config.weights, self._model.state_dict())
        self._model.eval().requires_grad_(False).to(device)
        self._frame_batches = Batches(config.batch_size or (8 if device.startswith("cuda") else 1), "frames")

    @torch.inference_mode()
    def __call__(self, frames: UInt8[np.ndarray, "frames height width 3"]) -> list[People]:
        """Detect the people of each RGB frame, highest score first."""
        clip = ClipFrames(frames, self._device)

        def detect_batch(part: slice) -> list[People]:
            images = clip.until(part.stop)[part].permute(0, 3, 1, 2).float() / 255
            return [self._people(detections) for detections in self._model(list(images))]

        return [people for batch in self._frame_batches(len(frames), detect_batch) for people in batch]

    @staticmethod
    def _people(detections: dict[str, Tensor]) -> People:
        persons = detections["labels"] == _PERSON
        columns = (
            detections["boxes"],
            detections["scores"],
            detections["keypoints"][..., :2],
            detections["keypoints_scores"].sigmoid(),  # the network's joint scores are logits
        )
        return People(*(column[persons].float().cpu().numpy() for column in columns))


def _torchvision_models() -> Any:
    try:
        return importlib.import_module("torchvision.models.detection")
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"detector=keypoint_rcnn: needs the torchvision made for torch {torch.__version__} ({reason}); install it, "
            "or give detector=hrnet or detector=vitpose, which do not need it"
        ) from error
