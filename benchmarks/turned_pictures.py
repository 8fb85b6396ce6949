"""How well detectors see people whose picture is turned: as if they lay, leaned or hung upside-down.

python benchmarks/turned_pictures.py EVERY VIDEO…

Every EVERYth frame of each video is turned about its middle, on a black ground. The truth is what `movenet_blazepose`
sees in the upright frame, turned likewise: people of a score above 0.5, limb joints of a score above 0.5. A person is
found if the median joint of somebody is within a tenth of the person's size (the root of the box's area).
"""

import sys
from collections import defaultdict

import av
import cv2
import numpy as np
import torch

from pipelines.detectors.blazepose.detector import BlazePose, BlazePoseConfig
from pipelines.detectors.movenet.detector import MoveNet
from pipelines.detectors.movenet.options import MoveNetBlazePoseConfig, MoveNetConfig
from pipelines.detectors.movenet_blazepose import MoveNetBlazePose
from pipelines.pose.people import People

ANGLES_DEG = (0, 30, 60, 90, 135, 180, 270)
LIMBS = slice(5, 17)
NEAR = 0.1
CERTAIN = 0.5


def main(every: int, videos: list[str]) -> None:
    """Print a row for each detector and angle."""
    threads = torch.get_num_threads()
    best = MoveNetBlazePose(MoveNetBlazePoseConfig(layout="coco17"), threads, "cpu")
    detectors = {
        "movenet": MoveNet(MoveNetConfig(), threads, "cpu"),
        "blazepose": BlazePose(BlazePoseConfig(layout="coco17"), threads, "cpu"),
        "movenet_blazepose": best,
    }
    misses = defaultdict[tuple[str, int], list[float]](list)
    for frame in (frame for video in videos for frame in frames_of(video, every)):
        [truth] = best(frame[None])
        for angle in ANGLES_DEG:
            picture, affine = turned(frame, angle)
            for name, detector in detectors.items():
                [people] = detector(picture[None])
                misses[name, angle] += missed(truth, people, affine)
    for (name, angle), values in sorted(misses.items()):
        off = np.array(values)
        near = off < NEAR
        median = 100 * np.median(off[near]) if near.any() else np.nan
        print(f"{name:<20}{angle:>4}°  of {len(off)} people found {100 * near.mean():.0f} %, off by {median:.1f} %")


def frames_of(video: str, every: int) -> list[np.ndarray]:
    """Some frames of a video, RGB."""
    with av.open(video) as container:
        decoded = enumerate(container.decode(video=0))
        return [frame.to_ndarray(format="rgb24") for number, frame in decoded if number % every == 0]


def turned(frame: np.ndarray, angle_deg: float) -> tuple[np.ndarray, np.ndarray]:
    """The frame turned anticlockwise, whole, and the affine map of its points."""
    height, width = frame.shape[:2]
    affine = cv2.getRotationMatrix2D((width / 2, height / 2), angle_deg, 1)
    cosine, sine = abs(affine[0, :2])
    size = round(width * cosine + height * sine), round(width * sine + height * cosine)
    affine[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return cv2.warpAffine(frame, affine, size), affine


def missed(truth: People, people: People, affine: np.ndarray) -> list[float]:
    """How far the nearest person is from each true one, as a share of the true one's size."""
    result = []
    for person in np.flatnonzero(truth.scores > CERTAIN):
        joints = truth.keypoints[person, LIMBS] @ affine[:, :2].T + affine[:, 2]
        visible = truth.keypoint_scores[person, LIMBS] > CERTAIN
        low, high = np.split(truth.boxes[person], 2)
        distances = np.linalg.norm(people.keypoints[:, LIMBS] - joints, axis=-1)[:, visible]
        medians = np.median(distances, axis=1) if visible.any() else np.full(len(people), np.inf)
        result.append(float(min(medians, default=np.inf) / np.sqrt((high - low).prod())))
    return result


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
