"""Sample frames of labeled videos with the detected people drawn in, which show at a glance how good the labels are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from pipelines.io import storage
from pipelines.report.pages.label_sample import Moment
from pipelines.video.errors import VideoError, reason_of
from pipelines.video.isolated import IsolatedReader
from pipelines.video.numbered import is_there
from schemas.errors import UserError
from schemas.layouts import JointLayout

# Pixels of the longer side, and JPEG quality; a frame then has 20 to 40 kB.
_SIDE_PX = 480
_QUALITY = 82
# A video that takes longer than this to read, s, is left out.
_TIMEOUT_S = 20.0
# Keypoints with a lower score are drawn thin.
_SURE = 0.3
# RGB colours; left and right have those of the page.
_COLOURS = {"left": (31, 119, 208), "right": (226, 113, 29), "centre": (240, 240, 240)}
_BOX = (255, 255, 255)


@dataclass(frozen=True)
class Overlay:
    """A frame with its people drawn in.

    Attributes:
        moment: The frame.
        jpeg: The image, encoded.
        width: Width of the image, px.
        height: Height of the image, px.
    """

    moment: Moment
    jpeg: bytes
    width: int
    height: int


def draw_overlays(moments: Sequence[Moment], layout: JointLayout, most: int) -> tuple[list[Overlay], dict[str, str]]:
    """Draw frames spread evenly from the highest to the lowest mean score.

    Args:
        moments: Frames to choose from, of different videos.
        layout: Joint layout of their keypoints.
        most: Most frames to draw.

    Returns:
        The overlays, and the reason for each video that cannot be shown.
    """
    left_out = {moment.video: reason for moment in moments if (reason := _why_not(moment.video))}
    usable = sorted((moment for moment in moments if moment.video not in left_out), key=lambda m: (-m.score, m.video))
    chosen = np.unique(np.linspace(0, len(usable) - 1, min(most, len(usable))).round().astype(int))
    overlays, reader = [], IsolatedReader(_TIMEOUT_S)
    try:
        for moment in (usable[index] for index in chosen):
            try:
                read = reader.read(_file(moment.video), moment.frame, moment.frame + 1, _SIDE_PX)
                if not len(read.images):
                    raise VideoError(f"frame {moment.frame} cannot be decoded")
                overlays.append(_overlay(moment, np.array(read.images[0]), layout))
            except Exception as error:  # whatever error a hostile video causes, only its picture is missing
                left_out[moment.video] = reason_of(error)
    finally:
        reader.close()
    return overlays, left_out


def _why_not(video: str) -> str | None:
    try:
        here = storage.is_local(video)
    except UserError:  # this machine lacks the package for the address's kind of store
        here = False
    if not here:
        return "not on this machine"
    return None if is_there(str(_file(video))) else "no longer there"


def _file(video: str) -> Path:
    return Path(storage.absolute(video))


def _overlay(moment: Moment, image: UInt8[np.ndarray, "height width 3"], layout: JointLayout) -> Overlay:
    height, width = image.shape[:2]
    scale = np.array([width / moment.width, height / moment.height])
    for person in moment.people:
        box = np.array(person["box"]).reshape(2, 2) * scale
        points = np.array(person["keypoints"]).reshape(-1, 2) * scale
        _draw(image, box, points, np.array(person["keypoint_scores"]), layout.sided_bones)
    done, jpeg = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done
    return Overlay(moment, jpeg.tobytes(), width, height)


def _draw(
    image: UInt8[np.ndarray, "height width 3"],
    box: np.ndarray,
    points: np.ndarray,
    scores: np.ndarray,
    bones: Sequence[tuple[int, int, str]],
) -> None:
    """Draw a box, bones and joints; each bone lies on a dark line, so that it is visible on a bright background."""
    # OpenCV takes fixed-point coordinates with two fractional bits (`shift`), which are quarter pixels.
    fixed = np.round(points * 4).astype(int)
    thickness = max(1, round(max(image.shape) / 240))
    low, high = (tuple(corner.tolist()) for corner in np.round(box).astype(int))
    cv2.rectangle(image, low, high, _BOX, 1, cv2.LINE_AA)
    for under in (True, False):
        for child, parent, side in bones:
            sure = min(scores[child], scores[parent]) >= _SURE
            width = (thickness if sure else 1) + (2 if under else 0)
            colour = (20, 20, 20) if under else _COLOURS[side]
            ends = tuple(fixed[child].tolist()), tuple(fixed[parent].tolist())
            cv2.line(image, *ends, colour, width, cv2.LINE_AA, 2)
    for point, score in zip(fixed.tolist(), scores, strict=True):
        if score >= _SURE:
            cv2.circle(image, tuple(point), 4 * thickness, (255, 255, 255), -1, cv2.LINE_AA, 2)
