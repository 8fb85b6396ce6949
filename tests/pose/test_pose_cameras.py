import cv2
import numpy as np
import pytest
import torch

from pipelines.pose.cameras import (
    MIN_DEPTH_M,
    camera_to_world,
    camera_vector,
    from_screen,
    project,
    project_linear,
    project_orthographic,
    rotate,
    to_screen,
    world_to_camera,
)
from pipelines.pose.losses import mpjpe
from pipelines.synthetic import cameras as synthetic
from schemas.cameras import Intrinsics

# S1's first camera of Human3.6M, screen units, as in reference/golden_temporal_conv.json.
GOLDEN_CAMERA = torch.tensor(
    [
        *(2.2899999618530273, 2.2869999408721924, 0.02449999935925007, 0.0066999997943639755),
        *(-0.2071000039577484, 0.24779999256134033, -0.003100000089034438),
        *(-0.0008999999845400453, -0.00139999995008111, 1.0),
    ],
    dtype=torch.float64,
)
WIDTH, HEIGHT = 640, 480
LENS = {"fx": 700, "fy": 690, "cx": 310, "cy": 250, "k1": -0.2, "k2": 0.24, "k3": -0.01, "p1": 2e-3, "p2": -1e-3}
# As of an action camera: what is seen 70 degrees off the axis is not where a pinhole would show it.
FISHEYE = {"fx": 270, "fy": 268, "cx": 310, "cy": 250, "k1": -0.03, "k2": 0.02, "k3": -0.015, "k4": 0.004}
MODELS = {
    "none": Intrinsics(fx=700, fy=690, cx=310, cy=250),
    "human36m": Intrinsics(**LENS, distortion="human36m"),
    "opencv": Intrinsics(**LENS, distortion="opencv"),
    "fisheye": Intrinsics(**FISHEYE, distortion="fisheye"),
}


@pytest.fixture
def points() -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(np.concatenate([rng.uniform(-1.5, 1.5, (50, 2)), rng.uniform(4, 6, (50, 1))], axis=1))


@pytest.fixture
def body() -> torch.Tensor:
    """Root-relative positions: samples, frames, joints."""
    return torch.from_numpy(np.random.default_rng(1).normal(0, 0.3, (3, 5, 17, 3)))


def test_projection_is_the_references(golden_poses):
    points = golden_poses[0] * torch.tensor([0.5, 0.5, 1]) + torch.tensor([0, 0, 4])
    full = project(points, GOLDEN_CAMERA)
    assert full.sum().item() == pytest.approx(4.293875708417306, abs=1e-5)
    np.testing.assert_allclose(full[0, 3], [0.05629003369167953, 0.017837231725979855], atol=1e-6)
    linear = project_linear(points, GOLDEN_CAMERA)[0, 3]
    np.testing.assert_allclose(linear, [0.0562925187280211, 0.017838639138975685], atol=1e-6)


@pytest.mark.parametrize("model", ["none", "human36m", "opencv"])
def test_without_fisheyes_their_model_need_not_be_computed(points, model):
    camera = camera_vector(MODELS[model], WIDTH, HEIGHT).double()
    # Some points lie behind the camera or outside the picture, where gradients lead back.
    points = torch.cat([points, points * torch.tensor([3, 3, 0.05]), -points])
    results = []
    for fisheyes in (True, False):
        given = points.clone().requires_grad_()
        projected = project(given, camera, fisheyes=fisheyes)
        projected.square().sum().backward()
        results.append((projected, given.grad))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_screen_is_the_references_and_comes_back():
    pixels = torch.tensor([[100.0, 50.0], [640.0, 360.0]])
    screen = to_screen(pixels, 1280, 720)
    np.testing.assert_allclose(screen, [[-0.84375, -0.484375], [0.0, 0.0]], atol=1e-6)
    np.testing.assert_allclose(from_screen(screen, 1280, 720), pixels, atol=1e-4)


def test_sizes_may_differ_within_a_batch():
    pixels, width, height = torch.rand(2, 7, 2) * 400, torch.tensor([[640], [480]]), torch.tensor([[480], [640]])
    screen = to_screen(pixels, width, height)
    torch.testing.assert_close(screen[1], to_screen(pixels[1], 480, 640))
    torch.testing.assert_close(from_screen(screen, width, height), pixels, atol=1e-3, rtol=0)


def test_world_to_camera_is_the_references_and_comes_back():
    q = torch.tensor([0.1407056450843811, -0.1500701755285263, -0.755240797996521, 0.6223280429840088])
    t = torch.tensor([1.8410999774932861, 4.9552001953125, 1.5634000301361084])
    world = torch.tensor([[0.5, -0.2, 0.9]])
    camera = world_to_camera(world, q, t)
    np.testing.assert_allclose(camera, [[-0.8608919382095337, -0.3473701477050781, 5.28705358505249]], atol=1e-5)
    np.testing.assert_allclose(camera_to_world(camera, q, t), world, atol=1e-5)


def test_a_rotation_by_90_degrees_about_z_maps_x_to_y():
    half = 0.5**0.5
    turned = rotate(torch.tensor([half, 0, 0, half]), torch.tensor([[1.0, 0, 0], [0, 0, 2.0]]))
    np.testing.assert_allclose(turned, [[0, 1, 0], [0, 0, 2]], atol=1e-6)


def test_opencv_model_is_opencvs(points):
    matrix = np.array([[700.0, 0, 310], [0, 690, 250], [0, 0, 1]])
    distortion = np.array([-0.2, 0.24, 2e-3, -1e-3, -0.01])
    expected, _ = cv2.projectPoints(points.numpy(), np.zeros(3), np.zeros(3), matrix, distortion)
    camera = camera_vector(MODELS["opencv"], WIDTH, HEIGHT)
    np.testing.assert_allclose(from_screen(project(points, camera), WIDTH, HEIGHT), expected[:, 0], atol=1e-3)


def test_fisheye_model_is_opencvs(points):
    points[:, :2] *= 9
    slopes = (points[:, :2] / points[:, 2:]).norm(dim=-1)
    assert slopes.max() > 2, "far beyond where other lenses end"
    matrix = np.array([[270.0, 0, 310], [0, 268, 250], [0, 0, 1]])
    lens = np.array([-0.03, 0.02, -0.015, 0.004])
    expected, _ = cv2.fisheye.projectPoints(points.numpy()[:, None], np.zeros(3), np.zeros(3), matrix, lens)
    camera = camera_vector(MODELS["fisheye"], WIDTH, HEIGHT)
    np.testing.assert_allclose(from_screen(project(points, camera), WIDTH, HEIGHT), expected[:, 0], atol=2e-3)


def test_a_trajectory_is_found_through_a_fisheye(body):
    camera = camera_vector(MODELS["fisheye"], WIDTH, HEIGHT).double()
    pose, truth = body[0, 0], torch.tensor([3.0, -0.5, 2.0], dtype=torch.float64)
    projected = project(pose + truth, camera)
    root = torch.tensor([0.0, 0.0, 4.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([root], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        mpjpe(project(pose + root, camera), projected).backward()
        optimizer.step()
    torch.testing.assert_close(root.detach(), truth, atol=0.2, rtol=0)


@pytest.mark.parametrize("model", MODELS)
def test_agrees_with_the_synthetic_cameras(model, points):
    camera = camera_vector(MODELS[model], WIDTH, HEIGHT)
    pixels = from_screen(project(points, camera), WIDTH, HEIGHT)
    np.testing.assert_allclose(pixels, synthetic.project(MODELS[model], points.numpy()), atol=1e-3)


def test_a_batch_may_mix_models(points):
    cameras = torch.stack([camera_vector(model, WIDTH, HEIGHT) for model in MODELS.values()])
    mixed = project(points.expand(len(MODELS), 50, 3), cameras[:, None])
    for one, camera in zip(mixed, cameras, strict=True):
        torch.testing.assert_close(one, project(points, camera))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("projection", [project, project_linear])
def test_the_axis_meets_the_principal_point(model, projection):
    camera = camera_vector(MODELS[model], WIDTH, HEIGHT)
    pixels = from_screen(projection(torch.tensor([[0.0, 0.0, 3.0]]), camera), WIDTH, HEIGHT)
    np.testing.assert_allclose(pixels, [[310, 250]], atol=1e-3)


def test_far_off_the_axis_the_slope_is_clamped():
    camera = camera_vector(MODELS["human36m"], WIDTH, HEIGHT)
    projected = project(torch.tensor([[9.0, -0.5, 3.0], [3.0, -0.5, 3.0]]), camera)
    torch.testing.assert_close(projected[0], projected[1])


@pytest.mark.parametrize("projection", [project, project_linear])
@pytest.mark.parametrize("depth", [MIN_DEPTH_M / 2, 0.0, -1.0])
def test_what_is_too_near_is_seen_at_the_least_depth(projection, depth):
    camera = camera_vector(MODELS["human36m"], WIDTH, HEIGHT)
    points = torch.tensor([[0.1, -0.2, depth], [2.0, 1.0, depth]], requires_grad=True)
    projected = projection(points, camera)
    torch.testing.assert_close(projected, projection(torch.tensor([[0.1, -0.2, 0.3], [2.0, 1.0, 0.3]]), camera))
    projected.square().sum().backward()
    assert points.grad is not None
    assert points.grad.isfinite().all()
    # Everything is seen off the axis, where it should be: descent moves it away from the camera.
    assert (points.grad[:, 2] < 0).all()


@pytest.mark.parametrize("projection", [project, project_linear])
def test_a_person_behind_the_camera_is_brought_before_it(projection, body):
    camera = camera_vector(MODELS["human36m"], WIDTH, HEIGHT).double()
    pose, truth = body[0, 0], torch.tensor([0.4, -0.1, 4.0], dtype=torch.float64)
    projected = projection(pose + truth, camera)
    root = torch.tensor([1.0, 0.5, -2.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([root], lr=0.2, betas=(0.9, 0.9))
    for _ in range(100):
        optimizer.zero_grad()
        mpjpe(projection(pose + root, camera), projected).backward()
        optimizer.step()
    torch.testing.assert_close(root.detach(), truth, atol=0.2, rtol=0)


def test_orthographic_finds_scale_and_place(body):
    scale = torch.tensor([0.3, 1.0, 2.5], dtype=torch.float64)[:, None, None, None]
    place = torch.randn(3, 5, 1, 2, dtype=torch.float64)
    keypoints = scale * body[..., :2] + place
    torch.testing.assert_close(project_orthographic(body, keypoints), keypoints)


def test_orthographic_fit_is_the_least_squares(body):
    keypoints = body[..., :2] + torch.randn(3, 5, 17, 2, dtype=torch.float64) * 0.2
    confidence = torch.rand(3, 5, 17, dtype=torch.float64)

    def cost(points):
        return (confidence[..., None] * (points - keypoints).square()).sum((1, 2, 3))

    best = project_orthographic(body, keypoints, confidence)
    for other in (best * 1.001, best + 0.001, best + 0.001 * body[..., :2], best - 0.001 * body[..., :2]):
        assert (cost(best) < cost(other)).all()


def test_orthographic_ignores_keypoints_without_confidence(body):
    keypoints, confidence = 0.5 * body[..., :2], torch.ones(3, 5, 17, dtype=torch.float64)
    wrong = keypoints.clone()
    wrong[:, :, 4], confidence[:, :, 4] = 7, 0
    torch.testing.assert_close(project_orthographic(body, wrong, confidence), keypoints)


@pytest.mark.parametrize("case", ["point", "unseen"])
def test_orthographic_stays_finite(body, case):
    positions = {"point": torch.zeros_like(body), "unseen": body}[case].requires_grad_()
    confidence = torch.full((3, 5, 17), 0.0 if case == "unseen" else 1.0, dtype=torch.float64)
    aligned = project_orthographic(positions, body[..., :2], confidence)
    (confidence[..., None] * (aligned - body[..., :2]).square()).sum().backward()
    assert aligned.isfinite().all()
    assert positions.grad is not None
    assert positions.grad.isfinite().all()


def test_orthographic_turns_back_what_is_upside_down(body):
    keypoints, positions = body[..., :2], -body.requires_grad_()
    aligned = project_orthographic(positions, keypoints)
    gradient = torch.autograd.grad(mpjpe(aligned, keypoints), positions)[0]
    # Descent moves the positions towards the body.
    assert (gradient * (body - positions))[..., :2].sum() < 0


def test_orthographic_loss_does_not_see_scale(body):
    keypoints = body[..., :2] + torch.randn(3, 5, 17, 2, dtype=torch.float64) * 0.1
    torch.testing.assert_close(project_orthographic(3 * body, keypoints), project_orthographic(body, keypoints))
    positions = body.requires_grad_()
    gradient = torch.autograd.grad(mpjpe(project_orthographic(positions, keypoints), keypoints), positions)[0]
    np.testing.assert_allclose((gradient * positions).sum((1, 2, 3)).detach(), 0, atol=1e-9)


def test_depths_from_30_cm_on_are_projected_as_they_are():
    camera = torch.tensor([2.0, 2.0, 0, 0, 0, 0, 0, 0, 0, 0])
    points = torch.tensor([[0.1, 0.0, 0.4], [0.1, 0.0, 0.3], [0.1, 0.0, 0.2]])
    assert project(points, camera)[:, 0].tolist() == pytest.approx([0.5, 2 / 3, 2 / 3])


def test_points_beyond_the_widest_slope_get_no_gradient_that_leads_further_out():
    camera = torch.tensor([2.0, 2.0, 0, 0, 0, 0, 0, 0, 0, 0])
    point = torch.tensor([[3.0, 0.0, 1.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(-project(point, camera)[0, 0], point)
    assert gradient[0, 0] == 0
    (gradient,) = torch.autograd.grad(project(point, camera)[0, 0], point)
    assert gradient[0, 0] > 0


def test_a_pose_that_faces_the_wrong_way_keeps_a_tenth_of_its_size():
    positions = torch.randn(3, 17, 3, generator=torch.Generator().manual_seed(0))
    keypoints = -positions[..., :2]
    projected = project_orthographic(positions, keypoints)
    centred = positions[..., :2] - positions[..., :2].mean(-2, keepdim=True)
    torch.testing.assert_close(projected, 0.1 * centred + keypoints.mean(-2, keepdim=True))


def test_orthographic_projection_depends_on_ratios_of_confidence_only():
    random = torch.Generator().manual_seed(0)
    positions, keypoints = torch.randn(5, 17, 3, generator=random), torch.randn(5, 17, 2, generator=random)
    confidence = torch.rand(5, 17, generator=random)
    expected = project_orthographic(positions, keypoints, confidence)
    torch.testing.assert_close(project_orthographic(positions, keypoints, confidence * 0.02), expected)
    batched = project_orthographic(positions[None], keypoints[None], confidence[None])
    torch.testing.assert_close(batched[0], expected)
