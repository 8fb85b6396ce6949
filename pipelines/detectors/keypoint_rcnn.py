"""Keypoint R-CNN (He et al. 2017) by torchvision, an optional extra: people and joints by one network.

The detector family that Pavllo et al. 2019 labeled with. torchvision comes built for one version of PyTorch; where it
is missing or built for another, building the detector says so.
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
from pipelines.io.torch_files import read_hashed
from pipelines.pose.people import People
from schemas.errors import UserError
from schemas.job_config import JobConfig
from schemas.layouts import LAYOUTS

# The class number of people in torchvision's COCO models.
_PERSON = 1


class KeypointRcnnConfig(JobConfig):
    """The options of `detector.name=keypoint_rcnn`."""

    PRACTICAL: ClassVar[dict[str, Any]] = {"weights": True, "batch_size": True}
    """Options that say where weights lie or how fast it goes."""

    weights: Weights
    """torchvision's checkpoint keypointrcnn_resnet50_fpn_coco-fc266e95.pth (any URI)."""

    min_person_score: float = Field(default=0.5, ge=0, le=1)
    """Score from which a find counts as a person, 0 to 1."""

    max_people: int = Field(default=20, ge=1)
    """Most people of one frame, those of the best scores."""

    batch_size: int | None = Field(default=None, ge=1)
    """Frames looked at together; none: 8 on a GPU, 1 on a CPU."""


class KeypointRcnn:
    """Keypoint R-CNN with ResNet-50 and feature pyramid; implements `pipelines.detectors.base.Detector`.

    Args:
        config: The options, a `KeypointRcnnConfig`.
        threads: CPU threads.
        device: A torch device string.

    Raises:
        UserError: torchvision is missing or not made for this PyTorch, or the weights cannot be had or are others.
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
        self._model.eval().requires_grad_(False).to(device)
        self._frames_at_once = Batches(config.batch_size or (8 if device.startswith("cuda") else 1), "frames")

    @torch.inference_mode()
    def __call__(self, frames: UInt8[np.ndarray, "frames height width 3"]) -> list[People]:
        """Find the people of each RGB frame, the best seen first."""
        clip = ClipFrames(frames, self._device)

        def look(part: slice) -> list[People]:
            images = clip.until(part.stop)[part].permute(0, 3, 1, 2).float() / 255
            return [self._people(found) for found in self._model(list(images))]

        return [people for batch in self._frames_at_once(len(frames), look) for people in batch]

    @staticmethod
    def _people(found: dict[str, Tensor]) -> People:
        persons = found["labels"] == _PERSON
        # The network's joint scores are logits.
        columns = (found["boxes"], found["scores"], found["keypoints"][..., :2], found["keypoints_scores"].sigmoid())
        return People(*(column[persons].float().cpu().numpy() for column in columns))


def _torchvision_models() -> Any:
    try:
        return importlib.import_module("torchvision.models.detection")
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"detector=keypoint_rcnn: needs the torchvision made for torch {torch.__version__} ({reason}); install it, "
            "or take detector=hrnet or vitpose, which do without"
        ) from error
