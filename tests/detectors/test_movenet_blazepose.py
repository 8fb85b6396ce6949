import json

import numpy as np
import pytest

from pipelines.detectors.base import Detector
from pipelines.detectors.blazepose.landmark_model import Landmarks
from pipelines.detectors.movenet.detector import MoveNet
from pipelines.detectors.movenet.options import MoveNetBlazePoseConfig, MoveNetConfig
from pipelines.detectors.movenet_blazepose import MoveNetBlazePose, look_closer
from pipelines.pose.people import People
from pipelines.video.reader import VideoReader
from schemas.layouts import LAYOUTS, joint_indices

COCO, BLAZE = LAYOUTS["coco17"], LAYOUTS["blazepose33"]
FRAME = np.zeros((400, 400, 3), np.uint8)


def somebody(moved_px: float = 0.0) -> np.ndarray:
    """Joints of a person who stands upright, 200 px tall."""
    heights = {"shoulder": 140, "elbow": 170, "wrist": 200, "hip": 200, "knee": 250, "ankle": 300}
    joints = np.full((17, 2), (200.0, 110.0), np.float32)
    for place, name in enumerate(COCO.joints):
        if part := next((part for part in heights if part in name), None):
            joints[place] = 220 if name.startswith("left") else 180, heights[part]
    return joints + np.float32(moved_px)


def people() -> People:
    boxes = np.array([[150, 90, 250, 310]], np.float32)
    return People(boxes, np.array([0.8], np.float32), somebody()[None], np.full((1, 17), 0.5, np.float32))


def looking(moved_px: float, person: float, asked: list[tuple[np.ndarray, np.ndarray]] | None = None):
    def look(frame, hips, circle):
        if asked is not None:
            asked.append((hips, circle))
        keypoints = np.zeros((33, 2))
        keypoints[list(joint_indices(BLAZE, COCO))] = somebody(moved_px)
        return Landmarks(keypoints, np.full(33, 0.9), person)

    return look


@pytest.mark.parametrize(
    ("moved_px", "person", "taken"), [(3.0, 0.9, True), (3.0, 0.2, False), (120.0, 0.9, False)],
    ids=["agrees", "sees nobody", "sees somebody else"],
)  # fmt: skip
def test_the_closer_look_counts_where_it_agrees(moved_px, person, taken):
    merged = look_closer(FRAME, people(), looking(moved_px, person), 0.5)
    assert np.allclose(merged.keypoints[0], somebody(moved_px if taken else 0))
    assert merged.keypoint_scores[0, 0] == pytest.approx(0.9 if taken else 0.5)
    assert (merged.boxes == people().boxes).all()


@pytest.mark.parametrize("moved_px", [3.0, 120.0], ids=["agrees", "sees somebody else"])
def test_feet_are_those_of_the_closer_look_or_not_seen(moved_px):
    feet = LAYOUTS["coco21"]
    plain = look_closer(FRAME, people(), looking(moved_px, 0.9), 0.5)
    merged = look_closer(FRAME, people(), looking(moved_px, 0.9), 0.5, feet)
    assert (merged.keypoints[:, :17] == plain.keypoints).all()
    assert (merged.keypoint_scores[:, :17] == plain.keypoint_scores).all()
    ankles = [COCO.index("left_ankle"), COCO.index("right_ankle")] * 2
    if moved_px < 100:
        assert (merged.keypoint_scores[0, 17:] == np.float32(0.9)).all()
        assert (merged.keypoints[0, 17:] == 0).all(), "where this look has its feet"
    else:
        assert (merged.keypoint_scores[0, 17:] == 0).all()
        assert (merged.keypoints[0, 17:] == somebody()[ankles]).all()
    assert look_closer(FRAME, People.nobody(17), looking(0.0, 1.0), 0.5, feet).keypoints.shape == (0, 21, 2)


def test_it_looks_at_the_hips_upwards_and_at_the_whole_body():
    asked: list[tuple[np.ndarray, np.ndarray]] = []
    look_closer(FRAME, people(), looking(0.0, 1.0, asked), 0.5)
    ((hips, circle),) = asked
    assert hips == pytest.approx([200, 200])
    assert circle[0] == pytest.approx(200)
    assert 200 - circle[1] >= np.linalg.norm(somebody() - hips, axis=1).max()


def several(*moved_px: float) -> People:
    """The person of `people`, found several times, each better than the next."""
    boxes = np.stack([people().boxes[0] + np.float32(px) for px in moved_px])
    scores = np.linspace(0.8, 0.5, len(moved_px), dtype=np.float32)
    return People(
        boxes, scores, np.stack([somebody(px) for px in moved_px]), np.full((len(moved_px), 17), 0.5, np.float32)
    )


def test_a_person_whom_movenet_saw_twice_is_one():
    merged = look_closer(FRAME, several(0.0, 12.0), looking(3.0, 0.9), 0.5)
    assert len(merged) == 1
    assert merged.scores[0] == np.float32(0.8)
    assert np.allclose(merged.keypoints[0], somebody(3.0))


def test_a_second_person_stays_where_the_closer_look_does_not_see_them():
    # The look at the second person sees the first: it does not agree, so the second keeps the joints of MoveNet.
    merged = look_closer(FRAME, several(0.0, 60.0), looking(3.0, 0.9), 0.5)
    assert len(merged) == 2
    assert np.allclose(merged.keypoints[1], somebody(60.0))


def test_a_person_who_is_hidden_stays_though_the_closer_look_sees_the_other():
    merged = look_closer(FRAME, several(-12.0, 16.0), looking(2.0, 0.9), 0.4)
    assert len(merged) == 2
    assert np.allclose(merged.keypoints, somebody(2.0)), "both agree with the look"


def test_two_people_whom_both_looks_tell_apart_stay_two():
    def look(frame, hips, circle):
        return looking(float(hips[0]) - 200, 0.9)(frame, hips, circle)

    merged = look_closer(FRAME, several(0.0, 12.0), look, 0.5)
    assert np.allclose(merged.keypoints, [somebody(), somebody(12.0)])


def test_nobody_stays_nobody():
    nobody = People.nobody(17)
    assert len(look_closer(FRAME, nobody, looking(0.0, 1.0), 0.5).scores) == 0


def test_real_people_are_seen_more_exactly_than_by_movenet_alone(shared_data):
    reference = json.loads((shared_data / "videos" / "tfjs_pose_1.json").read_text())
    with VideoReader(shared_data / "videos" / "tfjs_pose_1.mp4") as video:
        images = video.read(10, 12).images
    both = MoveNetBlazePose(MoveNetBlazePoseConfig(input_side=256), 1, "cpu")
    alone = MoveNet(MoveNetConfig(input_side=256), 1, "cpu")
    assert isinstance(both, Detector)
    assert both.weights_sha256 != alone.weights_sha256
    errors_px = []
    for frame, closer, plain in zip(reference[10:12], both(images), alone(images), strict=True):
        assert len(closer.scores) == len(plain.scores) == 1
        true = np.array([[frame[name]["x"], frame[name]["y"]] for name in COCO.joints])
        errors_px.append([np.linalg.norm(one.keypoints[0, :17] - true, axis=1)[5:].mean() for one in (closer, plain)])
        assert (closer.keypoint_scores[0, 17:] > 0.3).all(), "both feet are in the picture"
        for side in (0, 1):
            knee, ankle, tip = closer.keypoints[0, [13 + side, 15 + side, 19 + side]]
            assert tip[1] > ankle[1] > knee[1]
    assert np.mean(errors_px, axis=0)[0] < np.mean(errors_px, axis=0)[1]
