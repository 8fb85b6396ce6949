"""Person boxes between looks: how near those of `detector.persons.every` come to the true ones.

python benchmarks/person_boxes.py [mocap npz]

People of the synthetic studio, and of real motion capture if it is given (`../shared/data/mocap/cmu_mocap_17j.npz`),
are put into scenes and seen by a still camera at 30 frames/s; their boxes are those of their joints and the flesh
around. Finds are these boxes with errors: each edge off by 2 % of the box (standard deviation), one person in 20
missed, a box on nobody in one look of 20. Clips are as long as `label` makes them, 46 frames. Prints one JSON line: of
all true people in all frames the share with a box of IoU 0.5 or more, and the mean IoU (0 without a box); the share of
boxes on nobody; and what filling in costs, in CPU microseconds a frame.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from pipelines.detectors.persons.base import Boxes, PersonsConfig
from pipelines.detectors.persons.box_propagation import fill_in, looked_at
from pipelines.detectors.persons.selection import select
from pipelines.io.npz import mapping, read_npz
from pipelines.synthetic.cameras import View, matrix_to_quaternion
from pipelines.synthetic.studio import build_scene
from pipelines.tracking.association import iou, match
from schemas.cameras import Intrinsics
from schemas.configs.synthesize import SynthesizeConfig

EVERY, CLIP, FPS, SIZE = (1, 3, 5, 10), 46, 30, (640, 360)
EDGE_ERROR, MISSED, GHOSTS = 0.02, 0.05, 0.05
# A box is larger than its joints by so much of its height.
FLESH = 0.06
# Somebody is in view with this share of their box.
IN_VIEW = 0.25
MOCAP = {"walk": ("S07", "S35", "S38", "U_walk"), "run": ("U_run",), "dance": ("S60", "S61"), "fight": ("S135",)}

Fill = Callable[[dict[int, Boxes], np.ndarray, int], list[Boxes]]
Clip = list[np.ndarray]
"""The true boxes of each frame, nearest person first."""


def camera(rng: np.random.Generator, distance_m: float) -> View:
    """A still one at some side, 1 m high, level, that sees 58 degrees."""
    angle = rng.uniform(0, 2 * np.pi)
    forward = -np.array([np.cos(angle), np.sin(angle), 0])
    right = np.cross(forward, [0, 0, 1])
    orientation = matrix_to_quaternion(np.stack([right, np.cross(forward, right), forward], 1))
    x, y, _ = -distance_m * forward
    lens = Intrinsics(fx=0.9 * SIZE[0], fy=0.9 * SIZE[0], cx=SIZE[0] / 2, cy=SIZE[1] / 2)
    return View("C0", lens, orientation, (float(x), float(y), 1.0), *SIZE)


def clips(people: Sequence[np.ndarray], view: View) -> Iterator[Clip]:
    """True boxes of clip after clip from joints in the world."""
    frames = min(len(person) for person in people)
    boxes = []
    for person in people:
        image, depth = view.project(person[:frames]), view.to_camera(person[:frames])[..., 2]
        flesh = FLESH * np.ptp(image[..., 1], 1)[:, None]
        whole = np.concatenate([image.min(1) - flesh, image.max(1) + flesh], 1)
        visible = whole.clip(0, np.tile(SIZE, 2))
        share = (visible[:, 2:] - visible[:, :2]).prod(1) / (whole[:, 2:] - whole[:, :2]).prod(1)
        visible[(share < IN_VIEW) | (depth.min(1) < 1)] = np.nan
        boxes.append(np.column_stack([visible, depth.mean(1)]))
    rows = np.stack(boxes, 1)
    rows = [frame[np.argsort(frame[:, 4])] for frame in rows]
    rows = [frame[np.isfinite(frame[:, 0]), :4] for frame in rows]
    for begin in range(0, frames - CLIP + 1, CLIP):
        yield rows[begin : begin + CLIP]


def studio(seed: int, people: int) -> Iterator[Clip]:
    """Ten seconds of rendered scenes' people."""
    config = SynthesizeConfig(output="none", people=people, people_per_video=people, seed=seed, views=2)
    config = config.model_copy(update={"width": SIZE[0], "height": SIZE[1]})
    scene = build_scene(config, 0)
    for view in scene.views:
        yield from clips([actor.motion.positions for actor in scene.actors], view)


def mocap(motions: Sequence[np.ndarray], rng: np.random.Generator, people: int) -> Iterator[Clip]:
    """People who come from all sides and pass about the middle of the scene."""
    chosen = []
    for number in rng.integers(0, len(motions), people):
        motion = motions[number][::2].astype(np.float64)
        motion = motion[rng.integers(0, max(1, len(motion) - 3 * CLIP)) :][: 3 * CLIP]
        angle = rng.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        motion[..., :2] = (motion[..., :2] - motion[..., :2].mean((0, 1))) @ turn.T + rng.uniform(-1.5, 1.5, 2)
        # Motions shorter than a clip go on from where they end.
        while len(motion) < CLIP:
            way = (motion[-1, 0] - motion[0, 0]) * len(motion) / (len(motion) - 1) * [1, 1, 0]
            motion = np.concatenate([motion, motion + way])
        chosen.append(motion)
    yield from clips(chosen, camera(rng, rng.uniform(4, 8)))


def find(truth: np.ndarray, rng: np.random.Generator, config: PersonsConfig) -> Boxes:
    """What a detector finds of one frame's people."""
    sizes = np.tile(truth[:, 2:] - truth[:, :2], 2)
    finds = (truth + rng.normal(0, EDGE_ERROR, truth.shape) * sizes)[rng.random(len(truth)) >= MISSED]
    # The nearest are seen best.
    scores = 0.95 - 0.05 * np.arange(len(finds)) + rng.uniform(-0.02, 0.02, len(finds))
    if rng.random() < GHOSTS:
        corner, size = rng.uniform(0, SIZE), rng.uniform(20, 150, 2)
        finds, scores = np.vstack([finds, [*corner, *(corner + size)]]), np.append(scores, 0.4)
    return select(finds, np.maximum(scores, 0.35), SIZE, config)


def measure(scenes: Sequence[Clip], every: int, fill: Fill) -> dict[str, float]:
    """Scores of one way to fill in, over all clips."""
    rng, config = np.random.default_rng(0), PersonsConfig(every=every)
    overlaps, boxes, seconds = list[float](), 0, 0.0
    for clip in scenes:
        # Drawn for all frames: whatever is looked at, it is found alike.
        detections = [find(truth, rng, config) for truth in clip]
        chosen = {frame: detections[frame] for frame in looked_at(len(clip), every)}
        started = time.process_time()
        filled = fill(chosen, np.arange(len(clip)) / FPS, config.max_people)
        seconds += time.process_time() - started
        for truth, frame_boxes in zip(clip, filled, strict=True):
            overlap = iou(truth, frame_boxes.corners)
            pairs = match(overlap, 1e-9)
            overlaps += [float(overlap[pair]) for pair in pairs] + [0.0] * (len(truth) - len(pairs))
            boxes += len(frame_boxes)
    right = int((np.array(overlaps) >= 0.5).sum())
    frames = sum(map(len, scenes))
    return {
        "found": round(right / len(overlaps), 4),
        "iou": round(float(np.mean(overlaps)), 4),
        "nobody": round(1 - right / boxes, 4),
        "us_a_frame": round(seconds / frames * 1e6, 1),
    }


def all_scenes(file: str | None) -> Mapping[str, list[Clip]]:
    """Clips by kind of scene."""
    scenes = {f"studio {n}": [c for seed in range(12) for c in studio(seed, n)] for n in (1, 5)}
    if file is not None:
        recorded = mapping(file, read_npz(file, "positions_3d")["positions_3d"], "positions_3d")
        for kind, subjects in MOCAP.items():
            motions = [motion for s in subjects for motion in mapping(file, recorded[s], s).values()]
            for people in (1, 5, 20):
                rng = np.random.default_rng(people)
                scenes[f"{kind} {people}"] = [c for _ in range(200 // people) for c in mocap(motions, rng, people)]
    return scenes


def main() -> None:
    """Measure and print."""
    scenes = all_scenes(sys.argv[1] if len(sys.argv) > 1 else None)

    def fill(detections: dict[int, Boxes], timestamps_s: np.ndarray, most: int) -> list[Boxes]:
        return fill_in(detections, timestamps_s, SIZE, most)

    scores = {name: {every: measure(clips, every, fill) for every in EVERY} for name, clips in scenes.items()}
    print(json.dumps({"benchmark": "person_boxes", **scores}))


if __name__ == "__main__":
    main()
