"""People in frames of made-up videos, as a detector would find them.

Each person's detections carry a box score of their own: it names the person whom a track follows.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import numpy as np

from pipelines.pose.people import People
from pipelines.tracking.tracker import track_people
from pipelines.tracking.tracks import Frame, Timeline, Track
from schemas.configs.link import LinkConfig
from schemas.layouts import LAYOUTS, JointLayout

COCO = LAYOUTS["coco17"]
CONFIG = LinkConfig()
HEIGHT = 200.0
# A standing person, arms down, in heights from the middle of the feet: (x, y) by joint of coco17.
STANDING = np.array(
    [
        *([0, -0.93], [0.02, -0.95], [-0.02, -0.95], [0.05, -0.94], [-0.05, -0.94]),
        *([0.12, -0.8], [-0.12, -0.8], [0.16, -0.62], [-0.16, -0.62], [0.18, -0.46], [-0.18, -0.46]),
        *([0.08, -0.5], [-0.08, -0.5], [0.09, -0.27], [-0.09, -0.27], [0.1, -0.02], [-0.1, -0.02]),
    ]
)
ARMS_UP = STANDING.copy()
ARMS_UP[7:11] = [[0.2, -0.9], [-0.2, -0.9], [0.18, -1], [-0.18, -1]]

Route = Callable[[float], float]


def person(x: float, time_s: float, score: float, pose: np.ndarray = STANDING) -> People:
    """Somebody who stands or walks at `x`, legs swinging, found with a little noise that depends on the time."""
    joints = pose.copy()
    # People do not walk in step: the score is the phase too.
    joints[13:, 0] += 0.1 * np.sin(6 * time_s + 20 * score) * np.array([1, -1, 2, -2])
    noise = np.random.default_rng(int(1e6 * score + 1e4 * time_s)).normal(0, 0.005, joints.shape)
    keypoints = (joints + noise) * HEIGHT + [x, 400]
    # The same box for every pose, so that it is the keypoints that differ.
    return one_person(keypoints, [x - 50, 400 - 1.05 * HEIGHT, x + 50, 405], score)


def one_person(keypoints: np.ndarray, box: Sequence[float], score: float) -> People:
    columns = ([box], [score], [keypoints], np.full((1, len(keypoints)), 0.8))
    return People(*(np.array(column, np.float32) for column in columns))


def together(people: Sequence[People]) -> People:
    columns = (field.name for field in fields(People))
    return People(*(np.concatenate([getattr(one, name) for one in [People.nobody(17), *people]]) for name in columns))


def video(times: Sequence[float], *routes: Route, poses: Sequence[np.ndarray] = (), drop: float = 0) -> list[Frame]:
    """People on their routes, of score 0.9, 0.8 and so on, each missed in a share `drop` of the frames."""
    missed = np.random.default_rng(7).random((len(times), len(routes))) < drop
    poses = poses or [STANDING] * len(routes)
    frames = []
    for index, time in enumerate(times):
        here = [i for i in range(len(routes)) if not missed[index, i]]
        people = [person(routes[i](time), time, 0.9 - 0.1 * i, poses[i]) for i in here]
        frames.append(Frame(index, time, together(people)))
    return frames


def without(frames: list[Frame], first: int, last: int) -> list[Frame]:
    """Nobody found from frame `first` to `last`."""
    return [replace(f, people=People.nobody(17)) if first <= f.index <= last else f for f in frames]


def with_scores(frames: list[Frame], first: int, last: int, score: float) -> list[Frame]:
    scored = [replace(f.people, scores=np.full(len(f.people), score, np.float32)) for f in frames]
    return [replace(f, people=s) if first <= f.index <= last else f for f, s in zip(frames, scored, strict=True)]


def track(
    frames: list[Frame], timeline: Timeline | None = None, layout: JointLayout = COCO, **options: float
) -> list[Track]:
    return track_people(frames, timeline, layout, CONFIG.model_copy(update=options))


def whom(one: Track) -> list[float]:
    """The scores, and so the people, that a track holds."""
    return sorted({round(float(score), 3) for score in one.box_scores[~one.interpolated]})


def walk(start: float, speed: float) -> Route:
    return lambda time_s: start + speed * time_s


SECOND = (np.arange(30) / 30).tolist()
THREE_SECONDS = (np.arange(90) / 30).tolist()
