import json
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipelines.detectors.base import Detector
from pipelines.detectors.blazepose.detector import BlazePose, BlazePoseConfig, body_boxes, regions
from pipelines.pose.oks import oks
from pipelines.pose.people import People
from schemas.layouts import LAYOUTS

COCO, BLAZEPOSE = LAYOUTS["coco17"], LAYOUTS["blazepose33"]


def detector(**options: object) -> Detector:
    return BlazePose(BlazePoseConfig.model_validate(options), 1, "cpu")


@pytest.fixture(scope="module")
def blazepose() -> Detector:
    return detector()


def frames(video: Path, every: int = 1) -> Iterator[np.ndarray]:
    with av.open(str(video)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i % every == 0:
                yield frame.to_ndarray(format="rgb24")


def similarity(people: People) -> np.ndarray:
    """OKS between each two different people."""
    areas = (people.boxes[:, 2:] - people.boxes[:, :2]).prod(-1)
    keypoints = people.keypoints[:, : len(COCO)]
    all_pairs = oks(keypoints, keypoints, areas, np.array(COCO.oks_sigmas))
    return all_pairs[~np.eye(len(people), dtype=bool)]


@pytest.mark.parametrize("tiles", [2, 3, 8])
def test_tiles_cover_the_frame_and_share_a_third(tiles: int) -> None:
    whole, *parts = regions(600, 300, tiles)
    assert whole == (0, 0, 600, 300)
    assert len(parts) == tiles**2
    np.testing.assert_allclose(parts[0][:2], 0)
    np.testing.assert_allclose(parts[-1][2:], [600, 300])
    first, second = parts[:2]
    assert first[2] - second[0] == pytest.approx((first[2] - first[0]) / 3)


def test_one_tile_is_the_whole_frame() -> None:
    assert regions(600, 300, 1) == [(0, 0, 600, 300)]


def test_boxes_hold_all_joints_and_end_at_the_frame() -> None:
    keypoints = np.array([[[10.0, 20.0], [50.0, 220.0]], [[-5.0, 50.0], [40.0, 500.0]]])
    np.testing.assert_allclose(body_boxes(keypoints, 640, 480), [[0, 10, 60, 230], [0, 27.5, 62.5, 480]])


@pytest.mark.parametrize("size", [(1, 1), (2, 4000), (4000, 2), (480, 640)])
@pytest.mark.parametrize("kind", ["black", "noise"])
def test_frames_without_people_give_no_people(blazepose: Detector, size: tuple[int, int], kind: str) -> None:
    brightest = {"black": 1, "noise": 256}[kind]
    batch = np.random.default_rng(0).integers(0, brightest, (2, *size, 3), np.uint8)
    people = blazepose(batch)
    assert [len(of_frame) for of_frame in people] == [0, 0]
    assert people[0].keypoints.shape == (0, 21, 2)


@pytest.mark.long
def test_one_person_at_published_accuracy(blazepose: Detector, shared_data: Path) -> None:
    references = json.loads((shared_data / "videos" / "tfjs_pose_1.json").read_text())
    errors = []
    for frame, named in zip(frames(shared_data / "videos" / "tfjs_pose_1.mp4"), references, strict=True):
        [people] = blazepose(frame[None])
        assert len(people) == 1
        reference = np.array([[named[joint]["x"], named[joint]["y"]] for joint in COCO.joints])
        errors.append(relative_error(people.keypoints[0, :17], reference))
    assert len(errors) == 120
    # 1.8 % measured.
    assert np.mean(errors) <= 0.025


@pytest.mark.long
def test_squats_at_published_accuracy(shared_data: Path) -> None:
    blazepose33 = detector(layout="blazepose33")
    references = np.array(json.loads((shared_data / "videos" / "tfjs_pose_squats.full.json").read_text()))
    references = references.reshape(-1, len(BLAZEPOSE), 3)[..., :2]
    errors = []
    for frame, reference in zip(frames(shared_data / "videos" / "tfjs_pose_squats.mp4"), references, strict=True):
        [people] = blazepose33(frame[None])
        assert len(people) == 1
        errors.append(relative_error(people.keypoints[0], reference))
    assert len(errors) == 65
    # 1.0 % measured.
    assert np.mean(errors) <= 0.015


def relative_error(keypoints: np.ndarray, reference: np.ndarray) -> float:
    """Mean distance over the diagonal of the reference's box."""
    diagonal = np.linalg.norm(np.ptp(reference, axis=0))
    return float(np.linalg.norm(keypoints - reference, axis=-1).mean() / diagonal)


def test_people_have_every_field(blazepose: Detector, shared_data: Path) -> None:
    frame = next(frames(shared_data / "videos" / "tfjs_pose_1.mp4"))
    [people] = blazepose(frame[None])
    x0, y0, x1, y1 = people.boxes[0]
    assert 0 <= x0 < people.keypoints[0, :, 0].min()
    assert people.keypoints[0, :, 0].max() < x1 <= 576
    assert 0 <= y0 < people.keypoints[0, :, 1].min()
    assert people.keypoints[0, :, 1].max() < y1 <= 576
    assert people.scores[0] > 0.9
    assert people.keypoint_scores.min() > 0.5
    assert people.keypoint_scores.max() <= 1


def test_same_frame_gives_the_same_people_whatever_came_before(blazepose: Detector, shared_data: Path) -> None:
    batch = np.stack(list(frames(shared_data / "videos" / "tfjs_pose_1.mp4", every=40)))
    forward, backward = blazepose(batch), blazepose(batch[::-1].copy())[::-1]
    for one, other in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(one.keypoints, other.keypoints)
        np.testing.assert_array_equal(one.keypoint_scores, other.keypoint_scores)


def test_turned_image_gives_turned_joints(blazepose: Detector, shared_data: Path) -> None:
    frame = next(frames(shared_data / "videos" / "tfjs_pose_1.mp4"))
    [upright], [turned] = blazepose(frame[None]), blazepose(np.rot90(frame, -1)[None].copy())
    # A quarter turn clockwise takes (x, y) to (height - y, x).
    expected = np.stack([frame.shape[0] - upright.keypoints[0, :, 1], upright.keypoints[0, :, 0]], -1)
    assert relative_error(turned.keypoints[0], expected) < 0.02


def test_layouts_agree(blazepose: Detector, shared_data: Path) -> None:
    frame = next(frames(shared_data / "videos" / "tfjs_pose_1.mp4"))
    [coco], [full] = blazepose(frame[None]), detector(layout="blazepose33")(frame[None])
    left_ankle = (COCO.index("left_ankle"), BLAZEPOSE.index("left_ankle"))
    np.testing.assert_array_equal(coco.keypoints[0, left_ankle[0]], full.keypoints[0, left_ankle[1]])
    left_foot = (LAYOUTS["coco21"].index("left_foot_index"), BLAZEPOSE.index("left_foot_index"))
    np.testing.assert_array_equal(coco.keypoints[0, left_foot[0]], full.keypoints[0, left_foot[1]])
    np.testing.assert_array_equal(coco.boxes, full.boxes)
    [plain] = detector(layout="coco17")(frame[None])
    np.testing.assert_array_equal(coco.keypoints[:, :17], plain.keypoints)


@pytest.mark.long
def test_tiles_find_small_pedestrians_once(blazepose: Detector, shared_data: Path) -> None:
    sample = list(frames(shared_data / "videos" / "opencv_vtest.avi", every=50))
    people = detector(tiles=3)(np.stack(sample))
    # Measured: 45 people in 16 frames, of 4 to 10 a frame that are there; 2 without tiles.
    assert sum(len(of_frame) for of_frame in people) >= 36
    assert sum(len(of_frame) for of_frame in blazepose(np.stack(sample))) <= 4
    assert max(similarity(of_frame).max(initial=0) for of_frame in people) <= 0.5


def test_max_people_keeps_the_likeliest(shared_data: Path) -> None:
    [frame] = list(frames(shared_data / "videos" / "opencv_vtest.avi", every=550))[1:]
    assert len(detector(tiles=3)(frame[None])[0]) > 2
    assert len(detector(tiles=3, max_people=2)(frame[None])[0]) <= 2


def test_coco_images(shared_data: Path) -> None:
    truth = json.loads((shared_data / "coco_tiny" / "test_coco.json").read_text())
    tiled, best = detector(tiles=3), []
    for image in truth["images"]:
        frame = cv2.imread(str(shared_data / "coco_tiny" / image["file_name"]))
        assert frame is not None
        [people] = tiled(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)[None])
        for person in truth["annotations"]:
            if person["image_id"] == image["id"] and person["num_keypoints"]:
                labeled = np.array(person["keypoints"], np.float32).reshape(1, 17, 3)
                alike = oks(
                    labeled[..., :2],
                    people.keypoints[:, :17],
                    np.array([person["area"]]),
                    np.array(COCO.oks_sigmas),
                    labeled[..., 2] > 0,
                )
                best.append(alike.max(initial=0))
    # Measured: mean 0.60, 9 of 12 above 0.5; without tiles one person an image.
    assert len(best) == 12
    assert np.mean(best) >= 0.5
