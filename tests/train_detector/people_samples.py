"""Small people for tests of detector training: images with a bright dot on each joint, as a part in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipelines.annotations.people.source import LabeledImage, Part, Unreadable, people_of_joints
from pipelines.train_detector.batches import Batches
from pipelines.train_detector.canvas_shape import CanvasShape
from pipelines.train_detector.crop_cache import CanvasSet, cut_part
from pipelines.train_detector.loop import DetectorData, DetectorTraining
from pipelines.train_detector.plan import NetPlan
from pipelines.training.worker_group import WorkerGroup
from pipelines.video.isolated import IsolatedReader
from schemas.configs.train_detector import TrainDetectorConfig
from schemas.layouts import layout

LAYOUT = layout("h36m17")
INPUT_WH = (64, 96)


@dataclass(frozen=True)
class DottedPeople:
    """Images of one person each; a `Part`. One in `missing` cannot be read."""

    digest: str = "dots"
    images: int = 6
    missing: int = -1

    def read(self, reader: IsolatedReader) -> Iterator[LabeledImage | Unreadable]:
        for number in range(self.images):
            if number == self.missing:
                yield Unreadable(f"{number}.png", "there is no such file")
                continue
            pixels, points = dotted(number)
            yield LabeledImage(
                f"{number}.png", pixels, people_of_joints(points[None], known(points)[None], LAYOUT, 1.2)
            )


def dotted(number: int) -> tuple[np.ndarray, np.ndarray]:
    """An image of 200 by 160 pixels and the joints in it, each a disc of its own grey."""
    random = np.random.default_rng((number, 5))
    points = random.uniform((40, 30), (120, 170), (17, 2)).astype(np.float32)
    pixels = np.zeros((200, 160, 3), np.uint8)
    x, y = np.meshgrid(np.arange(160), np.arange(200))
    for joint, point in enumerate(points):
        pixels[np.hypot(x - point[0], y - point[1]) < 2.5] = 255 - 10 * joint
    return pixels, points


def known(points: np.ndarray) -> np.ndarray:
    """All joints but the left wrist, which is not labeled."""
    return np.arange(len(points)) != LAYOUT.index("left_wrist")


def shape() -> CanvasShape:
    return CanvasShape.for_net(LAYOUT.name, INPUT_WH, 1.35)


def canvases(folder, part: Part | None = None) -> CanvasSet:
    """The canvases of a part, from a file in `folder`."""
    part = part or DottedPeople()
    file = folder / f"{part.digest}.arrow"
    file.write_bytes(cut_part(part, shape(), IsolatedReader(10.0)))
    return CanvasSet([str(file)], shape())


def training(folder, workers: WorkerGroup, **optimization) -> DetectorTraining:
    """A net of two channels on its way."""
    values = {"epochs": 4, "batch_size": 3, **optimization}
    config = TrainDetectorConfig.model_validate({"data": {"name": "x"}, "output": str(folder), "optimization": values})
    data = DetectorData(*(Batches(canvases(folder), workers, 1) for _ in range(2)))
    return DetectorTraining(config, NetPlan("hrnet", shape(), "96x64", 2, False, 2.0, None), data, workers)
