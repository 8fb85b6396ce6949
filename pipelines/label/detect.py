"""The stage detect: each row of a decoded clip gets the people in its frames, which are dropped here."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.detectors.base import Detector, TimedDetector
from pipelines.detectors.loading import load_detector
from pipelines.pose.people import People
from pipelines.ray_cluster.logs import log_failure
from pipelines.video.errors import reason_of
from schemas.errors import UserError
from schemas.formats.detections import DETECTIONS, FRAME_FIELDS, TRANSIT_FIELDS
from schemas.job_config import PluginConfig

# The columns of rows before they are written: the added ones become file metadata or end the job.
DETECTED = pa.schema(
    [
        *DETECTIONS,
        *TRANSIT_FIELDS,
        pa.field("weights_sha256", pa.string()),
        pa.field("layout", pa.string()),
        pa.field("user_error", pa.string()),
    ]
)


class DetectPeople:
    """Replaces the frames of decoded clips by the people in them.

    Args:
        config: Which detector, and its options.
        threads: CPU threads the detector may use.
        device: A torch device string.
        expected_sha256: Weights that the output was begun with; None if it is new.

    If the detector cannot be built, every row carries a `user_error`, which the driver raises: an exception raised here
    would reach the driver as text within one of Ray's own.
    """

    def __init__(self, config: PluginConfig, threads: int, device: str, expected_sha256: str | None = None) -> None:
        try:
            self._detector: Detector | str = load_detector(config, threads, device, expected_sha256)
        except UserError as error:
            self._detector = str(error)

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        """Detect in each clip of a batch."""
        for number, row in enumerate(batch.drop_columns([f.name for f in FRAME_FIELDS]).to_pylist()):
            started = time.perf_counter()
            row |= {"people": [[] for _ in row["decoded"]], "detections": 0}
            if isinstance(self._detector, str):
                row["user_error"] = self._detector
            else:
                row |= {"weights_sha256": self._detector.weights_sha256, "layout": self._detector.layout.name}
                if row["error"] is None and any(row["decoded"]):
                    row |= self._people(self._detector, row, batch.slice(number, 1))
            row["detect_s"] = time.perf_counter() - started
            yield pa.Table.from_pylist([row], schema=DETECTED)

    def _people(self, detector: Detector, row: dict[str, Any], clip: pa.Table) -> dict[str, Any]:
        """The people of a clip, or the error of its row."""
        try:
            return self._detect(detector, row, clip)
        except Exception as error:  # whatever error a hostile video causes, only this clip fails
            reason = reason_of(error)
            log_failure("label", "detect", row["video"], reason, clip_id=row["clip_id"])
            return {"error": reason}

    @staticmethod
    def _detect(detector: Detector, row: dict[str, Any], clip: pa.Table) -> dict[str, Any]:
        height, width = clip["frame_height"][0].as_py(), clip["frame_width"][0].as_py()
        frames = np.frombuffer(clip["frames"][0].as_buffer(), np.uint8).reshape(-1, height, width, 3)
        to_pixels = np.array([row["width"] / width, row["height"] / height], np.float32)
        shown_s = np.array(row["timestamps_s"], np.float64)[row["decoded"]]
        timed = isinstance(detector, TimedDetector)
        detections = detector.detect_clip(frames, shown_s) if timed else detector(frames)
        people_of_frames: list[list[dict[str, Any]]] = [[] for _ in row["decoded"]]
        for position, people in zip(np.flatnonzero(row["decoded"]), detections, strict=True):
            people_of_frames[position] = _people(people, to_pixels)
        return {"people": people_of_frames, "detections": sum(map(len, people_of_frames))}


def _people(people: People, to_pixels: np.ndarray) -> list[dict[str, Any]]:
    boxes = people.boxes * np.tile(to_pixels, 2)
    keypoints = map(np.ravel, people.keypoints * to_pixels)
    columns = zip(boxes, people.scores, keypoints, people.keypoint_scores, strict=True)
    return [
        {"box": box, "score": score, "keypoints": points, "keypoint_scores": scores}
        for box, score, points, scores in columns
    ]
