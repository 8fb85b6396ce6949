import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.detectors.base import Detector
from pipelines.detectors.movenet import detector as movenet
from pipelines.detectors.movenet.decode import Heads, decode
from pipelines.detectors.movenet.detector import MoveNet
from pipelines.detectors.movenet.options import MoveNetConfig
from pipelines.detectors.movenet.weights import GRAPH_FILE, WEIGHTS, WEIGHTS_FILE
from pipelines.detectors.tfjs_graph import TfjsGraph
from pipelines.pose.oks import oks
from schemas.layouts import LAYOUTS

SIGMAS = np.array(LAYOUTS["coco17"].oks_sigmas)
# Of the published model on `waves()`, run by TensorFlow.js 4.22: place (y, x) and score of nose, left and right eye;
# then box (y0, x0, y1, x1) and score. All places are relative to the image.
NOSE_AND_EYES = [0.62595, 0.56186, 0.04796, 0.49253, 0.61166, 0.02766, 0.51951, 0.53489, 0.02104]


def waves() -> np.ndarray:
    """An image without people that any machine makes alike."""
    y, x, channel = np.mgrid[:192, :256, :3].astype(float)
    image = 127 + 90 * np.sin(0.05 * x + 0.02 * y + channel) + 30 * np.cos(0.11 * y)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def network() -> TfjsGraph:
    folder = WEIGHTS.fetch()
    return TfjsGraph(folder / GRAPH_FILE, folder / WEIGHTS_FILE, movenet._HEADS)


def rows(network: TfjsGraph, image: np.ndarray) -> np.ndarray:
    """The output as TensorFlow.js gives it: for each of six people 17 × (y, x, score), box and score."""
    height, width = image.shape[:2]
    with torch.inference_mode():
        people = decode(Heads(*network(torch.tensor(image)[None].permute(0, 3, 1, 2).float())), 6)
    size = torch.tensor([width, height])
    places = (people.keypoints[0] / size).flip(-1)
    joints = torch.cat([places, people.keypoint_scores[0][..., None]], -1).flatten(1)
    boxes = people.boxes[0][:, [1, 0, 3, 2]] / size.flip(0).repeat(2)
    return torch.cat([joints, boxes, people.scores[0][:, None]], 1).numpy()


def test_an_image_that_any_machine_makes_gives_the_published_output(network: TfjsGraph) -> None:
    assert int(waves().sum(dtype=np.int64)) == 18844050
    np.testing.assert_allclose(rows(network, waves())[0, :9], NOSE_AND_EYES, atol=2e-5)


def test_real_images_give_the_published_output(network: TfjsGraph, shared_data: Path) -> None:
    from PIL import Image

    golden = json.loads((shared_data.parent / "reference" / "golden_tfjs_pose.json").read_text())
    for case in golden["cases"][:2]:
        _, height, width, _ = case["shape"]
        image = np.asarray(Image.open(shared_data.parent / case["input"].split()[0].removeprefix("shared/")))
        np.testing.assert_allclose(rows(network, image[:height, :width]), case["output_rows"], atol=5e-5)


def heads(rows: int, columns: int) -> Heads:
    """Heads that see nobody: every logit is low, every size and offset zero."""
    low, none = torch.full((1, 1, rows, columns), -9.0), torch.zeros(1, 2, rows, columns)
    wide = torch.zeros(1, 34, rows, columns)
    return Heads(low, none.clone(), none.clone(), low.expand(1, 17, rows, columns).clone(), wide.clone(), wide.clone())


def test_a_person_is_decoded_from_the_outputs_of_all_heads() -> None:
    given = heads(20, 30)
    given.centres[0, 0, 10, 12] = 4.0
    given.box_sizes[0, :, 10, 12] = torch.tensor([8.0, 6.0])
    given.joint_places[0, :2, 10, 12] = torch.tensor([-3.0, 1.0])
    # Beside the rough place (7, 13) of the nose; the same response outside the box must not win.
    given.joints[0, 0, 7, 14] = 3.0
    given.joints[0, 0, 2, 13] = 9.0
    given.joint_offsets[0, :2, 7, 14] = torch.tensor([0.25, 0.5])
    people = decode(given, 1)
    np.testing.assert_allclose(people.boxes[0, 0], [36, 24, 60, 56])
    np.testing.assert_allclose(people.keypoints[0, 0, 0], [58, 29])
    assert people.keypoint_scores[0, 0, 0] == pytest.approx(torch.tensor(3.0).sigmoid() * np.exp(-1 / 6))


def test_images_of_a_batch_do_not_mix() -> None:
    torch.manual_seed(0)
    both = Heads(*(torch.randn(2, *head.shape[1:]) for head in heads(12, 16)))
    together = decode(both, 4)
    for image in range(2):
        alone = decode(Heads(*(head[image : image + 1] for head in both)), 4)
        for one, all_images in zip(alone, together, strict=True):
            torch.testing.assert_close(one[0], all_images[image])


@pytest.fixture(scope="module")
def detector() -> Detector:
    return MoveNet(MoveNetConfig(), 1, "cpu")


def test_people_of_crowded_images_are_found_without_boxes(detector: Detector, shared_data: Path) -> None:
    """Of 12 people in four images of COCO at least 11, as by the published model at this size."""
    from PIL import Image

    annotations = json.loads((shared_data / "coco_tiny" / "test_coco.json").read_text())
    similarities = []
    for image in annotations["images"]:
        pixels = np.asarray(Image.open(shared_data / "coco_tiny" / Path(image["file_name"]).name).convert("RGB"))
        [people] = detector(pixels[None])
        for person in annotations["annotations"]:
            if person["image_id"] == image["id"] and person.get("num_keypoints"):
                truth = np.array(person["keypoints"], np.float64).reshape(17, 3)
                visible = truth[None, :, 2] > 0
                similarity = oks(truth[None, :, :2], people.keypoints, np.array([person["area"]]), SIGMAS, visible)
                similarities.append(similarity.max())
    assert len(similarities) == 12
    assert np.sum(np.array(similarities) > 0.5) >= 11
    assert np.mean(similarities) > 0.8


def test_keypoints_are_pixels_of_the_frame_whatever_its_size(detector: Detector, shared_data: Path) -> None:
    import cv2
    from PIL import Image

    pixels = np.asarray(Image.open(shared_data / "coco_tiny" / "000000000785.jpg"))
    doubled = cv2.resize(pixels, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    [people], [twice] = detector(pixels[None]), detector(doubled[None])
    height = people.boxes[0, 3] - people.boxes[0, 1]
    assert np.abs(twice.keypoints[0] / 2 - people.keypoints[0]).max() < 0.03 * height
    assert (people.boxes[:, 2:] <= [pixels.shape[1], pixels.shape[0]]).all()


def test_a_frame_without_people_and_an_empty_clip(detector: Detector) -> None:
    [nobody] = detector(np.zeros((1, 90, 70, 3), np.uint8))
    assert (len(nobody), nobody.keypoints.shape) == (0, (0, 17, 2))
    assert detector(np.zeros((0, 90, 70, 3), np.uint8)) == []


def test_a_frame_gives_the_same_people_alone_and_in_a_clip(detector: Detector) -> None:
    clip = np.random.default_rng(0).integers(0, 255, (3, 96, 128, 3), np.uint8)
    together = detector(clip)
    for frame, people in zip(clip, together, strict=True):
        [alone] = detector(frame[None])
        np.testing.assert_array_equal(alone.keypoints, people.keypoints)
