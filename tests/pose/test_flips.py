import pytest
import torch

from pipelines.pose.cameras import camera_vector, project, project_linear, to_screen
from pipelines.pose.flips import mirror_camera, mirror_confidence, mirror_joints, mirror_points
from schemas.cameras import Intrinsics
from schemas.layouts import LAYOUTS

H36M = LAYOUTS["h36m17"]
LENS = {"fx": 700, "fy": 690, "cx": 310, "cy": 250, "k1": -0.2, "k2": 0.24, "k3": -0.01, "p1": 2e-2, "p2": -1e-2}


FISHEYE = {"fx": 270, "fy": 268, "cx": 310, "cy": 250, "k1": -0.03, "k2": 0.02, "k3": -0.015, "k4": 0.04}


@pytest.fixture(params=["human36m", "opencv", "fisheye"])
def camera(request) -> torch.Tensor:
    lens = FISHEYE if request.param == "fisheye" else LENS
    return camera_vector(Intrinsics(**lens, distortion=request.param), 640, 480)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.name)
def test_twice_is_the_identity(layout, camera):
    keypoints, confidence = torch.randn(2, 5, len(layout), 3), torch.rand(2, 5, len(layout))
    assert torch.equal(mirror_joints(mirror_joints(keypoints, layout), layout), keypoints)
    assert torch.equal(mirror_confidence(mirror_confidence(confidence, layout), layout), confidence)
    assert torch.equal(mirror_points(mirror_points(keypoints)), keypoints)
    assert torch.equal(mirror_camera(mirror_camera(camera)), camera)


def test_left_and_right_change_places():
    joints = torch.zeros(17, 3)
    joints[H36M.index("left_wrist")] = torch.tensor([0.4, 0.1, 0.9])
    mirrored = mirror_joints(joints, H36M)
    torch.testing.assert_close(mirrored[H36M.index("right_wrist")], torch.tensor([-0.4, 0.1, 0.9]))
    assert mirrored.count_nonzero() == 3
    confidence = mirror_confidence(joints[:, 2], H36M)
    assert confidence[H36M.index("right_wrist")] == joints[H36M.index("left_wrist"), 2]


@pytest.mark.parametrize("projection", [project, project_linear])
def test_projecting_the_mirrored_is_mirroring_the_projected(camera, projection):
    joints = torch.randn(4, 17, 3) * 0.5 + torch.tensor([0.3, 0.0, 4.0])
    projected = projection(mirror_joints(joints, H36M), mirror_camera(camera))
    torch.testing.assert_close(projected, mirror_joints(projection(joints, camera), H36M))


def test_screen_mirrors_about_the_middle_of_the_image():
    pixels = torch.tensor([[100.0, 50.0]])
    torch.testing.assert_close(
        mirror_points(to_screen(pixels, 640, 480)), to_screen(torch.tensor([[540.0, 50.0]]), 640, 480)
    )
