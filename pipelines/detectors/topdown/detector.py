"""The top-down detector: people are found in frames, cut out, and the joints of each are predicted.

The people of all frames of a clip share the batches of the network.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from torch import Tensor

from pipelines import registry
from pipelines.detectors.batches import Batches
from pipelines.detectors.clip_frames import ClipFrames
from pipelines.detectors.heatmaps import HeatmapNet
from pipelines.detectors.persons.base import Boxes, PersonFinder
from pipelines.detectors.persons.box_propagation import fill_in, looked_at
from pipelines.detectors.persons.selection import select
from pipelines.detectors.topdown.crops import (
    PADDING,
    CropBoxes,
    crop_boxes,
    crop_matrices,
    cut,
    heatmap_to_crop,
    invert,
    move,
)
from pipelines.detectors.topdown.decode import decode
from pipelines.detectors.topdown.flips import flip_test
from pipelines.detectors.topdown.options import TopDownConfig
from pipelines.detectors.topdown.people import people_of_boxes, without_duplicates
from pipelines.detectors.weights import combined_sha256
from pipelines.pose.people import People
from pipelines.pose.upload import uploaded

# Crops are computed in coordinates in which pixel centres are whole numbers; in `People`, (0, 0) is a corner.
_TO_CENTRES = 0.5
# This frame rate is assumed if no timestamps are given, because most videos have it.
_USUAL_FPS = 30.0

Keypoints = tuple[Float32[np.ndarray, "people joints 2"], Float32[np.ndarray, "people joints"]]


class TopDown:
    """Finds people, then the joints of each; base class of `Hrnet` and `Vitpose`.

    Args:
        net: The network from crops to heatmaps, on `device`.
        config: The options.
        threads: CPU threads of this process.
        device: A torch device string.
        net_sha256: Hash of the network's weights.

    Attributes:
        net: As given.
        layout: The joints.
        weights_sha256: Hash of the weights of the network and of the person finder, if that has any.

    Raises:
        UserError: The person finder cannot be built.
    """

    def __init__(self, net: HeatmapNet, config: TopDownConfig, threads: int, device: str, net_sha256: str) -> None:
        use_threads(threads)
        self.layout = net.layout
        self.net = net
        self._config = config
        self._device = device
        finder = registry.load(registry.PERSONS, config.persons.name)
        self._persons: PersonFinder = finder(config.persons, threads, device)
        self.weights_sha256 = combined_sha256(net_sha256, self._persons.weights_sha256)
        on_gpu = device.startswith("cuda")
        self._crop_batches = Batches(config.batch_size or (128 if on_gpu else 8), "people")
        self._frame_batches = Batches(config.persons.batch_size or (16 if on_gpu else 1), "frames")

    def __call__(self, frames: UInt8[np.ndarray, "frames height width 3"]) -> list[People]:
        """Detect the people of each RGB frame, highest score first; 30 frames/s are assumed."""
        return self.detect_clip(frames, np.arange(len(frames)) / _USUAL_FPS)

    def detect_clip(
        self,
        frames: UInt8[np.ndarray, "frames height width 3"],
        timestamps_s: Float64[np.ndarray, " frames"],
    ) -> list[People]:
        """Detect the people of each RGB frame, highest score first; see `TimedDetector`."""
        clip = ClipFrames(frames, self._device)
        boxes = self._find(clip, frames.shape[:3], timestamps_s)
        people, crops = self._people(clip, boxes)
        areas = np.split(crops.sizes.prod(1).numpy(), np.cumsum([len(frame_boxes) for frame_boxes in boxes])[:-1])
        return without_duplicates(people, areas, self.net.layout, self._config) if len(frames) else []

    def estimate(
        self,
        frames: UInt8[np.ndarray, "frames height width 3"],
        boxes: Sequence[Float32[np.ndarray, "_people 4"]],
    ) -> list[People]:
        """Detect the joints of the people in the given boxes; see `KeypointEstimator`."""
        given = [Boxes(corners, np.ones(len(corners), np.float32)) for corners in boxes]
        return self._people(ClipFrames(frames, self._device), given)[0]

    @torch.inference_mode()
    def _find(
        self, clip: ClipFrames, shape: tuple[int, ...], timestamps_s: Float64[np.ndarray, " frames"]
    ) -> list[Boxes]:
        """The boxes of each frame's people; the device works on all frames before its first result is read."""
        count, height, width = shape
        chosen = looked_at(count, self._config.persons.every)

        def find_batch(part: slice) -> tuple[Tensor, Tensor]:
            wanted = chosen[part]
            frames = clip.until(wanted[-1] + 1)
            dense = wanted[-1] - wanted[0] + 1 == len(wanted)
            return self._persons(frames[wanted[0] : wanted[-1] + 1] if dense else frames[wanted])

        batches = list(self._frame_batches(len(chosen), find_batch))
        if not batches:
            return []
        corners, scores = _to_numpy(batches)
        frame_wh, config = (width, height), self._config.persons
        people = [select(*of_frame, frame_wh, config) for of_frame in zip(corners, scores, strict=True)]
        return fill_in(dict(zip(chosen, people, strict=True)), timestamps_s, frame_wh, config.max_people)

    @torch.inference_mode()
    def _people(self, clip: ClipFrames, boxes: Sequence[Boxes]) -> tuple[list[People], CropBoxes]:
        """One person for each box, and the crops in which they were detected."""
        corners = np.concatenate([np.zeros((0, 4), np.float32), *(frame_boxes.corners for frame_boxes in boxes)])
        known = torch.from_numpy(np.nan_to_num(corners, posinf=0, neginf=0))
        crops = crop_boxes(known - _TO_CENTRES, self.net.input_wh, PADDING)
        frame_index = np.repeat(np.arange(len(boxes)), [len(frame_boxes) for frame_boxes in boxes])
        keypoints, scores = self._keypoints(clip, crops, frame_index)
        return people_of_boxes(boxes, keypoints + np.float32(_TO_CENTRES), scores), crops

    def _keypoints(self, clip: ClipFrames, crops: CropBoxes, frame_index: Int64[np.ndarray, " people"]) -> Keypoints:
        net, config = self.net, self._config
        udp = config.decode == "udp"
        device = torch.device(self._device)
        matrices = uploaded(crop_matrices(crops.centres, crops.sizes, None, net.input_wh, udp), device)
        index = uploaded(torch.from_numpy(frame_index), device)

        def estimate_batch(part: slice) -> tuple[Tensor, Tensor]:
            frames = clip.until(int(frame_index[part.stop - 1]) + 1)
            maps = self._heatmaps(cut(frames, index[part], matrices[part], net.input_wh))
            points, scores = decode(maps, config.decode, config.kernel(net.input_wh))
            heatmap_wh = (maps.shape[3], maps.shape[2])
            return move(heatmap_to_crop(points, net.input_wh, heatmap_wh, udp), invert(matrices[part])), scores

        batches = list(self._crop_batches(len(frame_index), estimate_batch))
        joints = len(net.layout)
        if not batches:
            return np.zeros((0, joints, 2), np.float32), np.zeros((0, joints), np.float32)
        return _to_numpy(batches)

    def _heatmaps(self, crops: Tensor) -> Tensor:
        if not self._config.flip:
            return self.net(crops)
        # Without UDP, mirrored heatmaps are almost a pixel off; see `mirrored`.
        return flip_test(self.net, crops, self.net.layout, shift=self._config.decode != "udp")


def _to_numpy(batches: Sequence[tuple[Tensor, Tensor]]) -> tuple[np.ndarray, np.ndarray]:
    """Join the batches of a pair of results into one array each; waits for the device, once for both."""
    first, second = (torch.cat(column).float() for column in zip(*batches, strict=True))
    both = torch.cat([first.flatten(1), second.flatten(1)], 1).cpu().numpy()
    size = math.prod(first.shape[1:])
    return both[:, :size].reshape(first.shape), both[:, size:].reshape(second.shape)


def use_threads(threads: int) -> None:
    """Set the number of CPU threads that PyTorch and OpenCV use in this process."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
