import cv2
import numpy as np
import pytest
import torch

from pipelines.pose import cameras, rays
from schemas.cameras import Intrinsics

LENS = Intrinsics(fx=900, fy=880, cx=510, cy=940, k1=-0.08, k2=0.03, p1=0.001, p2=-0.002, k3=0.01, distortion="opencv")
FISHEYE = Intrinsics(fx=300, fy=298, cx=510, cy=520, k1=-0.03, k2=0.02, k3=-0.015, k4=0.004, distortion="fisheye")


def test_slopes_of_projected_points_are_those_of_the_points():
    points = torch.tensor([[0.3, -0.8, 3.0], [-1.0, 1.2, 4.0], [0.0, 0.0, 2.0]])
    screen = cameras.project(points, cameras.camera_vector(LENS, 1080, 1920))
    pixels = cameras.from_screen(screen, 1080, 1920)
    torch.testing.assert_close(rays.slopes(pixels, 1080, 1920, LENS), points[:, :2] / points[:, 2:], atol=1e-5, rtol=0)


def test_lenses_are_removed_as_opencv_does():
    pixels = np.array([[100.0, 1800.0], [900.0, 200.0]])
    matrix = np.array([[LENS.fx, 0, LENS.cx], [0, LENS.fy, LENS.cy], [0, 0, 1]])
    lens = np.array([LENS.k1, LENS.k2, LENS.p1, LENS.p2, LENS.k3])
    expected = cv2.undistortPoints(pixels[:, None], matrix, lens)[:, 0]
    slopes = rays.slopes(torch.tensor(pixels, dtype=torch.float32), 1080, 1920, LENS)
    np.testing.assert_allclose(slopes.numpy(), expected, atol=2e-4)


def test_fisheyes_are_removed_as_opencv_does_far_off_the_axis():
    pixels = np.array([[510.0, 520.0], [500.0, 500.0], [150.0, 500.0], [800.0, 700.0], [510.0, 150.0]])
    matrix = np.array([[300.0, 0, 510], [0, 298, 520], [0, 0, 1]])
    lens = np.array([-0.03, 0.02, -0.015, 0.004])
    expected = cv2.fisheye.undistortPoints(pixels[:, None], matrix, lens)[:, 0]
    slopes = rays.slopes(torch.tensor(pixels, dtype=torch.float32), 1080, 1080, FISHEYE)
    np.testing.assert_allclose(slopes.numpy(), expected, rtol=1e-3, atol=1e-5)
    there = torch.cat([slopes, torch.ones(len(slopes), 1)], 1)
    back = cameras.from_screen(cameras.project(there, cameras.camera_vector(FISHEYE, 1080, 1080)), 1080, 1080)
    np.testing.assert_allclose(back.numpy(), pixels, atol=0.05)


@pytest.mark.parametrize(("width", "height"), [(1080, 1920), (1920, 1080)])
def test_without_intrinsics_the_longer_side_sees_60_degrees(width, height):
    middle_of_edge = torch.tensor([width, height / 2]) if width > height else torch.tensor([width / 2, height])
    slope = rays.slopes(middle_of_edge, width, height, None).abs().max().item()
    assert slope == pytest.approx(np.tan(np.radians(30)), abs=1e-6)


def test_a_camera_turned_to_a_ray_sees_it_on_its_axis_and_rolls_as_little_as_possible():
    ray = torch.tensor([[0.4, -0.7], [0.0, 0.0]])
    axes = rays.turned_to(ray)
    direction = torch.cat([ray, torch.ones(2, 1)], 1)
    on_axis = (axes @ direction[..., None])[..., 0]
    torch.testing.assert_close(on_axis[:, :2], torch.zeros(2, 2), atol=1e-6, rtol=0)
    torch.testing.assert_close(axes @ axes.mT, torch.eye(3).expand(2, 3, 3), atol=1e-6, rtol=0)
    assert (torch.linalg.det(axes) > 0).all()
    torch.testing.assert_close(axes[1], torch.eye(3))
    # The axis of the shortest turn lies in the picture's plane and stays where it is.
    axis = torch.linalg.cross(torch.tensor([0.0, 0.0, 1.0]), direction[0])
    torch.testing.assert_close(axes[0] @ axis, axis, atol=1e-6, rtol=0)


def test_a_batch_of_cameras_is_undistorted_as_each_of_them_alone():
    lenses = [LENS, FISHEYE, Intrinsics(fx=800, fy=800, cx=500, cy=500)]
    cameras_of_batch = torch.stack([cameras.camera_vector(lens, 1000, 1000) for lens in lenses])[:, None]
    distorted = torch.rand(3, 5, 2, generator=torch.Generator().manual_seed(0)) * 0.8 - 0.4
    together = rays.undistorted(distorted, cameras_of_batch)
    for number in range(3):
        alone = rays.undistorted(distorted[number], cameras_of_batch[number])
        torch.testing.assert_close(together[number], alone)
    torch.testing.assert_close(together[2], distorted[2])
    points = torch.cat([together, torch.ones(3, 5, 1)], dim=-1)
    again = cameras.project(points, cameras_of_batch)
    there = (again - cameras_of_batch[..., 2:4]) / cameras_of_batch[..., :2]
    torch.testing.assert_close(there, distorted, atol=1e-4, rtol=0)
