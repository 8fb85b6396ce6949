import cv2
import numpy as np
import pytest

from pipelines.synthetic.cameras import (
    View,
    matrix_to_quaternion,
    place_cameras,
    project,
    quaternion_to_matrix,
    sample_intrinsics,
    unproject,
)
from pipelines.synthetic.motion import generate_motion
from schemas.cameras import Intrinsics


@pytest.fixture
def points() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.uniform(-1.5, 1.5, (50, 2)), rng.uniform(4, 6, (50, 1))], axis=1)


def test_opencv_distortion_equals_that_of_opencv(points: np.ndarray) -> None:
    camera = Intrinsics(
        fx=700, fy=690, cx=310, cy=330, k1=-0.2, k2=0.24, k3=-0.01, p1=2e-3, p2=-1e-3, distortion="opencv"
    )
    matrix = np.array([[700.0, 0, 310], [0, 690, 330], [0, 0, 1]])
    expected, _ = cv2.projectPoints(
        points, np.zeros(3), np.zeros(3), matrix, np.array([-0.2, 0.24, 2e-3, -1e-3, -0.01])
    )
    np.testing.assert_allclose(project(camera, points), expected[:, 0], atol=1e-9)


def test_human36m_distortion_equals_the_published_formula(points: np.ndarray) -> None:
    fx, fy, cx, cy, k1, k2, k3, px, py = 1145.0, 1143.8, 512.5, 515.5, -0.207, 0.247, -0.003, -9.8e-4, -1.4e-3
    camera = Intrinsics(fx=fx, fy=fy, cx=cx, cy=cy, k1=k1, k2=k2, k3=k3, p1=px, p2=py, distortion="human36m")
    for (x, y, z), (u, v) in zip(points, project(camera, points), strict=True):
        a, b = x / z, y / z
        r2 = a * a + b * b
        factor = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + px * a + py * b
        assert u == pytest.approx(fx * (a * factor + px * r2) + cx)
        assert v == pytest.approx(fy * (b * factor + py * r2) + cy)


def test_mirroring_the_world_mirrors_the_image(points: np.ndarray) -> None:
    camera = sample_intrinsics(np.random.default_rng(1), 640, 640)
    mirrored = camera.model_copy(update={"cx": -camera.cx, "p1": -camera.p1})
    np.testing.assert_allclose(project(mirrored, points * [-1, 1, 1]), project(camera, points) * [-1, 1])


def test_the_optical_axis_projects_to_the_principal_point() -> None:
    camera = sample_intrinsics(np.random.default_rng(2), 640, 480)
    np.testing.assert_allclose(project(camera, np.array([[0.0, 0.0, 3.0]])), [[camera.cx, camera.cy]])


@pytest.mark.parametrize("distortion", ["none", "human36m"])
def test_unproject_undoes_project(distortion: str) -> None:
    camera = sample_intrinsics(np.random.default_rng(3), 640, 640)
    if distortion == "none":
        camera = Intrinsics(fx=camera.fx, fy=camera.fy, cx=camera.cx, cy=camera.cy)
    grid = np.stack(np.meshgrid(np.linspace(0, 640, 9), np.linspace(0, 640, 9)), axis=-1)
    np.testing.assert_allclose(project(camera, unproject(camera, grid)), grid, atol=0.02)


def test_unproject_undoes_project_of_a_fisheye() -> None:
    camera = Intrinsics(fx=270, fy=268, cx=310, cy=300, k1=-0.03, k2=0.02, k3=-0.015, k4=0.004, distortion="fisheye")
    grid = np.stack(np.meshgrid(np.linspace(80, 560, 9), np.linspace(80, 560, 9)), axis=-1)
    np.testing.assert_allclose(project(camera, unproject(camera, grid)), grid, atol=1e-3)


def test_quaternions_and_matrices_agree() -> None:
    q = np.random.default_rng(4).normal(size=4)
    q *= np.sign(q[0]) / np.linalg.norm(q)
    matrix = quaternion_to_matrix(tuple(q.tolist()))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)
    np.testing.assert_allclose(matrix_to_quaternion(matrix), q, atol=1e-12)
    # The rotation of the reference: v + 2 (w (u × v) + u × (u × v)).
    v, u = np.array([0.3, -1.0, 2.0]), q[1:]
    expected = v + 2 * (q[0] * np.cross(u, v) + np.cross(u, np.cross(u, v)))
    np.testing.assert_allclose(matrix @ v, expected)


@pytest.mark.parametrize(("width", "height"), [(640, 640), (640, 360), (360, 640)])
def test_cameras_stand_all_around_and_see_everything(width: int, height: int) -> None:
    motion = generate_motion(7, 6.0, 30.0, "walk")
    views = place_cameras(np.random.default_rng(7), motion.positions, 4, width, height)
    for view in views:
        pixels = view.project(motion.positions)
        assert (pixels > 0).all()
        assert (pixels < [width, height]).all()
        # Upright, not upside down: heads are above feet.
        assert (pixels[:, 10, 1] < pixels[:, 3, 1]).all()
        assert view.to_camera(motion.positions)[..., 2].min() > 1
        assert 1 <= view.translation[2] <= 2
        assert view.intrinsics.fx == pytest.approx(1.145 * width, rel=0.01)
    azimuths = np.sort([np.arctan2(view.translation[1], view.translation[0]) for view in views])
    gaps = np.diff(np.append(azimuths, azimuths[0] + 2 * np.pi))
    assert gaps.max() < np.deg2rad(125)


def test_two_cameras_on_half_of_the_circle_are_at_about_a_right_angle() -> None:
    motion = generate_motion(7, 1.0, 30.0, "wave")
    for seed in range(5):
        views = place_cameras(np.random.default_rng(seed), motion.positions, 2, 640, 640, arc_deg=180.0)
        first, second = (np.array(view.translation[:2]) / np.linalg.norm(view.translation[:2]) for view in views)
        assert 60 < np.degrees(np.arccos(first @ second)) < 120


def test_rays_through_pixels_meet_the_points_that_project_there() -> None:
    motion = generate_motion(8, 1.0, 30.0, "wave")
    view: View = place_cameras(np.random.default_rng(8), motion.positions, 1, 320, 320)[0]
    rays = view.rays()
    points = np.array(view.translation) + 3.7 * rays[5::60, 7::60]
    rows, columns = np.mgrid[5:320:60, 7:320:60]
    np.testing.assert_allclose(view.project(points), np.stack([columns, rows], axis=-1) + 0.5, atol=0.02)
