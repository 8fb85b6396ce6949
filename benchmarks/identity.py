"""Whether people keep their identity through crossings and occlusions, beside supervision's ByteTrack.

raylift synthesize output=STUDIO people=30 people_per_video=5 views=1 seconds=8
raylift label videos=STUDIO/videos output=LABELS detector=movenet_blazepose
pip install --no-deps --target SITE supervision==0.25.1 pydeprecate defusedxml
PYTHONPATH=.:SITE python benchmarks/identity.py STUDIO LABELS

Both trackers get the same detections. IDF1 (Ristani et al. 2016): the share of detections that are given to the right
person, where each track belongs to one person at most, over all films. Switches: how often a person's detections change
from one track to another. ByteTrack runs with the settings of its makers, and with the patience of ours.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import supervision  # pyright: ignore[reportMissingImports]
from scipy.optimize import linear_sum_assignment

from pipelines.pose.people import People
from pipelines.tracking.association import iou
from pipelines.tracking.tracker import track_people
from pipelines.tracking.tracks import Frame
from schemas import LAYOUT_KEY
from schemas.configs.link import LinkConfig
from schemas.layouts import JointLayout, layout

# A box belongs to the person whose true box it overlaps with by at least this share.
LEAST_OVERLAP = 0.5
# How far a person reaches beyond the joints, as a share of the box around them.
BEYOND_JOINTS = 0.1

Identities = Sequence[tuple[int, np.ndarray, np.ndarray]]
"""(frame, boxes, identity of each box) for every frame."""


def main(studio: Path, labels: Path) -> None:
    """Print a row for each tracker."""
    dataset = ds.dataset(labels / "detections", format="parquet")
    joints = layout(dataset.schema.metadata[LAYOUT_KEY].decode())
    clips = dataset.to_table(columns=["video", "start_frame", "timestamps_s", "fps", "decoded", "people"]).to_pylist()
    films: dict[str, list[Frame]] = defaultdict(list)
    rates = {clip["video"]: clip["fps"] for clip in clips}
    for clip in sorted(clips, key=lambda clip: clip["start_frame"]):
        rows = zip(clip["timestamps_s"], clip["people"], clip["decoded"], strict=True)
        for number, (time_s, people, decoded) in enumerate(rows, clip["start_frame"]):
            if decoded:
                films[clip["video"]].append(Frame(number, time_s, people_of(people, len(joints))))
    patience = LinkConfig().max_gap_s
    trackers: dict[str, Callable[[str], Identities]] = {
        "ours": lambda film: ours(films[film], joints),
        "ByteTrack": lambda film: byte_track(films[film], supervision.ByteTrack(frame_rate=round(rates[film]))),
        f"ByteTrack, {patience:g} s": lambda film: byte_track(
            films[film],
            # supervision scales the buffer by frame_rate / 30.
            supervision.ByteTrack(frame_rate=round(rates[film]), lost_track_buffer=round(30 * patience)),
        ),
    }
    print(f"{len(films)} films, {sum(map(len, films.values()))} frames")
    print(f"{'tracker':<18}{'IDF1':>8}{'switches':>10}{'tracks':>8}{'people':>8}")
    for name, tracker in trackers.items():
        scores = np.sum([score(truth_of(studio, film), tracker(film)) for film in films], axis=0)
        right, true, given, switches, tracks, people = scores.tolist()
        print(f"{name:<18}{2 * right / (true + given):>8.3f}{switches:>10.0f}{tracks:>8.0f}{people:>8.0f}")


def people_of(persons: Sequence[dict], joints: int) -> People:
    """The people of one frame of the detections."""
    return People(
        boxes=np.array([person["box"] for person in persons], np.float32).reshape(len(persons), 4),
        scores=np.array([person["score"] for person in persons], np.float32),
        keypoints=np.array([person["keypoints"] for person in persons], np.float32).reshape(len(persons), joints, 2),
        keypoint_scores=np.array([person["keypoint_scores"] for person in persons], np.float32).reshape(
            len(persons), joints
        ),
    )


def ours(frames: Sequence[Frame], joints: JointLayout) -> Identities:
    """What `label` makes of a film; frames in which a track was not observed do not count."""
    boxes: dict[int, list[np.ndarray]] = defaultdict(list)
    identities: dict[int, list[int]] = defaultdict(list)
    for identity, track in enumerate(track_people(frames, None, joints, LinkConfig())):
        for index, box, missing in zip(track.indices.tolist(), track.boxes, track.interpolated, strict=True):
            if not missing:
                boxes[index].append(box)
                identities[index].append(identity)
    return [(index, np.array(boxes[index]), np.array(identities[index])) for index in sorted(boxes)]


def byte_track(frames: Sequence[Frame], tracker: "supervision.ByteTrack") -> Identities:
    """What supervision makes of the same detections."""
    identities = []
    for frame in frames:
        people = frame.people
        detections = supervision.Detections(
            xyxy=people.boxes.astype(np.float64), confidence=people.scores, class_id=np.zeros(len(people.scores), int)
        )
        tracked = tracker.update_with_detections(detections)
        if len(tracked):
            identities.append((frame.index, tracked.xyxy, tracked.tracker_id))
    return identities


def truth_of(studio: Path, film: str) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Boxes and numbers of the people who are in the picture, by frame."""
    boxes: dict[int, list[np.ndarray]] = defaultdict(list)
    people: dict[int, list[int]] = defaultdict(list)
    for row in pq.read_table(studio / "truth" / f"{Path(film).stem}.parquet").to_pylist():
        frames = len(row["timestamps_s"])
        keypoints = np.reshape(row["keypoints"], (frames, -1, 2))
        for frame, points in enumerate(keypoints):
            low, high = points.min(axis=0), points.max(axis=0)
            margin = BEYOND_JOINTS * (high - low)
            middle = (low + high) / 2
            if (middle > 0).all() and (middle < (row["width"], row["height"])).all():
                boxes[frame].append(np.concatenate([low - margin, high + margin]))
                people[frame].append(row["person"])
    return {frame: (np.array(boxes[frame]), np.array(people[frame])) for frame in boxes}


def score(truth: dict[int, tuple[np.ndarray, np.ndarray]], given: Identities) -> tuple[float, ...]:
    """(detections of the right identity, true boxes, given boxes, switches, tracks, people) of a film."""
    together: dict[tuple[int, int], int] = defaultdict(int)
    last: dict[int, int] = {}
    switches = 0
    for frame, boxes, identities in given:
        if frame not in truth:
            continue
        true_boxes, people = truth[frame]
        overlap = iou(true_boxes.astype(np.float32), boxes.astype(np.float32))
        for row, column in zip(*linear_sum_assignment(-overlap), strict=True):
            if overlap[row, column] >= LEAST_OVERLAP:
                person, identity = int(people[row]), int(identities[column])
                together[person, identity] += 1
                switches += last.get(person, identity) != identity
                last[person] = identity
    everybody = sorted({int(person) for _, people in truth.values() for person in people})
    tracks = sorted({int(identity) for _, _, identities in given for identity in identities})
    counts = np.array([[together[person, identity] for identity in tracks] for person in everybody])
    right = counts[linear_sum_assignment(-counts)].sum() if counts.size else 0
    return (
        float(right),
        float(sum(len(people) for _, people in truth.values())),
        float(sum(len(identities) for _, _, identities in given)),
        float(switches),
        float(len(tracks)),
        float(len(everybody)),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
