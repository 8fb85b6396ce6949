"""The stage estimate: each row of an image gets the people in it; the pixels stay in the process."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import pyarrow as pa
from jaxtyping import UInt8

from pipelines.annotations.images import ImageError, read_image
from pipelines.detectors.base import Detector, KeypointEstimator
from pipelines.detectors.loading import load_detector
from pipelines.pose.people import People
from schemas.errors import RunFailed, UserError
from schemas.formats.predictions import PREDICTIONS
from schemas.job_config import PluginConfig

# The columns of rows before they are written: the added ones become file metadata or end the job.
ESTIMATED = pa.schema(
    [
        *PREDICTIONS,
        pa.field("weights_sha256", pa.string()),
        pa.field("layout", pa.string()),
        pa.field("user_error", pa.string()),
        pa.field("run_failed", pa.string()),
    ]
)

# Number of threads that read images. They mostly wait for storage, since decoding an image takes a few milliseconds.
READERS = 8
# Images that are read ahead of the detector: enough to keep it busy, and few enough for memory.
IMAGES_AHEAD = 16
# Bytes of the images that the detector gets together, padded to one size; thirty images of COCO fit.
GROUP_BYTES = 32 * 10**6

Row = dict[str, Any]
Image = UInt8[np.ndarray, "height width 3"]


class EstimateKeypoints:
    """Turns rows of tasks into rows of the predictions format.

    Args:
        config: Which detector, and its options.
        threads: CPU threads the detector may use.
        device: A torch device string.
        joints: The joints of the result, in this order.
        partial: Whether the detector may lack some of them, which are then NaN.
        expected_sha256: Weights that the output was begun with; None if it is new.

    If the detector cannot be built or finds other joints, every row carries a `user_error`; if storage cannot be
    reached, one row carries a `run_failed`. The driver raises them: an exception raised here would reach it as text
    within one of Ray's own.
    """

    def __init__(
        self,
        config: PluginConfig,
        threads: int,
        device: str,
        joints: tuple[str, ...],
        partial: bool,
        expected_sha256: str | None = None,
    ) -> None:
        self._detector: Detector | None = None
        self._user_error = None
        try:
            self._detector = load_detector(config, threads, device, expected_sha256)
            self._joints = _find_joints(self._detector, joints, partial)
        except UserError as error:
            self._user_error = str(error)

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        """Find the people in the images of a batch, one group of images at a time."""
        rows = batch.to_pylist()
        if self._user_error is not None or self._detector is None:
            failed = [_result(row, user_error=self._user_error) for row in rows]
            yield pa.Table.from_pylist(failed, schema=ESTIMATED)
            return
        try:
            yield from self._estimate(rows, self._detector)
        except RunFailed as error:
            yield pa.Table.from_pylist([_result(rows[0], run_failed=str(error))], schema=ESTIMATED)

    def _estimate(self, rows: Sequence[Row], detector: Detector) -> Iterator[pa.Table]:
        about = {"weights_sha256": detector.weights_sha256, "layout": detector.layout.name}
        for group in _groups(_read_ahead(rows)):
            started = time.perf_counter()
            images = [(row, image) for row, image, _, _ in group if image is not None]
            people = iter(self._find_people(detector, images))
            share_s = (time.perf_counter() - started) / max(len(images), 1)
            results = [
                _result(
                    row,
                    people=[] if image is None else _people(row, next(people), self._joints),
                    read_s=read_s,
                    detect_s=0.0 if image is None else share_s,
                    error=error,
                )
                for row, image, error, read_s in group
            ]
            yield pa.Table.from_pylist([result | about for result in results], schema=ESTIMATED)

    @staticmethod
    def _find_people(detector: Detector, images: Sequence[tuple[Row, Image]]) -> list[People]:
        if not images:
            return []
        if images[0][0]["boxes"] is None:
            # Images are passed one at a time, because padding would change what a detector finds in them.
            return [people for _, image in images for people in detector(image[None])]
        height, width = (max(image.shape[axis] for _, image in images) for axis in (0, 1))
        frames = np.zeros((len(images), height, width, 3), np.uint8)
        for frame, (_, image) in zip(frames, images, strict=True):
            frame[: image.shape[0], : image.shape[1]] = image
        boxes = [np.array(row["boxes"], np.float32).reshape(-1, 4) for row, _ in images]
        return cast(KeypointEstimator, detector).estimate(frames, boxes)


def _find_joints(detector: Detector, joints: tuple[str, ...], partial: bool) -> np.ndarray:
    """Indices of the joints among the detector's; -1 for those it lacks."""
    known = {joint: index for index, joint in enumerate(detector.layout.joints)}
    missing = [joint for joint in joints if joint not in known]
    if missing and (not partial or len(missing) == len(joints)):
        raise UserError(
            f"detector: finds joints of layout {detector.layout.name}, which lacks {', '.join(missing)} of the "
            "annotations; give another detector or other annotations"
        )
    return np.array([known.get(joint, -1) for joint in joints])


def _read_ahead(rows: Iterable[Row]) -> Iterator[tuple[Row, Image | None, str | None, float]]:
    """Each row with its image, the reason if there is none, and the seconds that reading took."""
    with ThreadPoolExecutor(READERS) as pool:
        waiting: deque[tuple[Row, Future[tuple[Image | None, str | None, float]]]] = deque()
        for row in rows:
            waiting.append((row, pool.submit(_read, row)))
            if len(waiting) > IMAGES_AHEAD:
                first, future = waiting.popleft()
                yield first, *future.result()
        for row, future in waiting:
            yield row, *future.result()


def _read(row: Row) -> tuple[Image | None, str | None, float]:
    started = time.perf_counter()
    image, error = None, None
    try:
        image = read_image(row["image"], (row["width"], row["height"]) if row["width"] else None)
    except ImageError as failure:
        error = str(failure)
    return image, error, time.perf_counter() - started


def _groups(
    read: Iterator[tuple[Row, Image | None, str | None, float]],
) -> Iterator[list[tuple[Row, Image | None, str | None, float]]]:
    """Consecutive images that together, padded to one size, have at most `GROUP_BYTES`; a larger image alone."""
    group, height, width = [], 0, 0
    for entry in read:
        shape = (0, 0) if entry[1] is None else entry[1].shape[:2]
        height, width = max(height, shape[0]), max(width, shape[1])
        if group and (len(group) + 1) * height * width * 3 > GROUP_BYTES:
            yield group
            group, (height, width) = [], shape
        group.append(entry)
    if group:
        yield group


def _result(row: Row, **known: Any) -> Row:
    return {"image_id": row["image_id"], "image": row["image"], "people": [], **known}


def _people(row: Row, people: People, joints: np.ndarray) -> list[Row]:
    """The people as the predictions format has them."""
    has_boxes = row["boxes"] is not None
    keypoints, scores = people.keypoints[:, joints].copy(), people.keypoint_scores[:, joints].copy()
    # A joint whose position or score is not finite counts as not found.
    invalid = ~(np.isfinite(keypoints).all(-1) & np.isfinite(scores))
    keypoints[invalid], scores[invalid] = 0, 0
    keypoints[:, joints < 0], scores[:, joints < 0] = np.nan, 0
    return [
        {
            "annotation": row["annotations"][number] if has_boxes else -1,
            "box": people.boxes[number],
            "score": row["box_scores"][number] if has_boxes else people.scores[number],
            "keypoints": keypoints[number].ravel(),
            "keypoint_scores": scores[number],
        }
        for number in range(len(people))
    ]
