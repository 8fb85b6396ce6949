from dataclasses import replace

import numpy as np
import pytest

from pipelines.synthetic.cameras import View, matrix_to_quaternion
from pipelines.synthetic.figure import Figure
from pipelines.synthetic.meshes import Painted, Surface, ellipsoid
from pipelines.synthetic.motion import Motion, generate_motion
from pipelines.synthetic.raster import cast_shadows, paint, shade
from pipelines.synthetic.renderer import Renderer
from pipelines.synthetic.skeleton import JOINT
from pipelines.synthetic.studio import Scene, build_scene
from pipelines.synthetic.wardrobe import Look, sample_look
from schemas.cameras import Intrinsics
from schemas.configs.synthesize import SynthesizeConfig

UP = np.array([0.0, 0.0, 1.0])


def one_person(size: int, seed: int) -> Scene:
    values = {"output": "unused", "people": 1, "seconds": 1, "width": size, "height": size, "seed": seed}
    return build_scene(SynthesizeConfig.model_validate(values), 0)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return one_person(size=320, seed=3)


@pytest.fixture(scope="module")
def motion() -> Motion:
    return generate_motion(0, 0.5, 30.0, "wave")


@pytest.fixture(scope="module")
def look() -> Look:
    return replace(sample_look(np.random.default_rng(0)), skin=(1.0, 0.0, 0.0), hair=(0.0, 0.0, 1.0), beard=False)


def facing(motion: Motion, azimuth_deg: float, frame: int = 0) -> View:
    """A camera 4 m from the person, at this angle from straight ahead of their head, counter-clockwise."""
    nose = motion.rotations[frame, JOINT["neck"], :2, 0]
    azimuth = np.arctan2(nose[1], nose[0]) + np.deg2rad(azimuth_deg)
    forward = -np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    rotation = np.stack([np.cross(forward, UP), -UP, forward], axis=1)
    x, y, z = motion.positions[frame, 0].astype(np.float64) - 4 * forward
    pinhole = Intrinsics(fx=600, fy=600, cx=200, cy=200)
    return View("C0", pinhole, matrix_to_quaternion(rotation), (float(x), float(y), float(z)), 400, 400)


def painted(motion: Motion, look: Look, view: View) -> np.ndarray:
    figure = Figure(motion.body, look)
    vertices = figure.posed(motion.positions[0].astype(np.float64), motion.rotations[0].astype(np.float64))
    image = np.full((400, 400, 3), 255, np.uint8)
    paint(image, view, UP, [(figure.surface, vertices)])
    return image


def test_every_joint_is_inside_the_painted_person(motion: Motion, look: Look) -> None:
    for azimuth in (0, 90, 180, 270):
        view = facing(motion, azimuth)
        covered = painted(motion, look, view).min(axis=2) < 250
        columns, rows = np.floor(view.project(motion.positions[0])).astype(int).T
        assert covered[rows, columns].all()


def test_face_shows_from_the_front_and_hair_from_behind(motion: Motion, look: Look) -> None:
    def head(azimuth: float) -> np.ndarray:
        view = facing(motion, azimuth)
        x, y = np.round(view.project(motion.positions[0, JOINT["head"]])).astype(int)
        return painted(motion, look, view)[y - 6 : y + 6, x - 6 : x + 6].astype(int)

    def red_not_blue(pixels: np.ndarray) -> float:
        return float(((pixels[..., 0] > 60) & (pixels[..., 2] < 40)).mean())

    assert red_not_blue(head(0)) > 0.5
    assert red_not_blue(head(180)) < 0.1


def test_painting_changes_only_the_persons_pixels(motion: Motion, look: Look) -> None:
    rng = np.random.default_rng(0)
    before = rng.integers(0, 255, (400, 400, 3), np.uint8)
    after = before.copy()
    figure = Figure(motion.body, look)
    view = facing(motion, 0)
    vertices = figure.posed(motion.positions[0].astype(np.float64), motion.rotations[0].astype(np.float64))
    paint(after, view, UP, [(figure.surface, vertices)])
    pixels = view.project(vertices)
    near = np.zeros((400, 400), bool)
    (x0, y0), (x1, y1) = np.floor(pixels.min(axis=0)).astype(int), np.ceil(pixels.max(axis=0)).astype(int)
    near[y0 - 1 : y1 + 1, x0 - 1 : x1 + 1] = True
    np.testing.assert_array_equal(after[~near], before[~near])
    assert (after[near] != before[near]).mean() > 0.1


def test_nearer_things_cover_farther_ones(motion: Motion, look: Look) -> None:
    view = facing(motion, 0)
    middle = motion.positions[0, 0, :2].astype(np.float64)
    towards = np.array(view.translation[:2]) - middle
    for distance, covered in ((1.0, True), (-1.0, False)):
        x, y = middle + distance * towards / np.linalg.norm(towards)
        ball = ellipsoid((float(x), float(y), 1.0), (0.5, 0.5, 0.5), rings=8, sectors=16)
        screen = (Surface.of([Painted.plain(ball, (0.0, 1.0, 0.0))]), ball.vertices)
        figure = Figure(motion.body, look)
        vertices = figure.posed(motion.positions[0].astype(np.float64), motion.rotations[0].astype(np.float64))
        image = np.zeros((400, 400, 3), np.uint8)
        paint(image, view, UP, [screen, (figure.surface, vertices)])
        alone = np.zeros((400, 400, 3), np.uint8)
        paint(alone, view, UP, [(figure.surface, vertices)])
        person = alone.any(axis=2)
        # A thing behind the person is visible only at the antialiased outline.
        difference = np.abs(image.astype(int) - alone).max(axis=2)
        hidden = float((difference[person] > 60).mean())
        assert hidden > 0.3 if covered else hidden < 0.1


def test_shadow_darkens_the_ground_beside_the_feet_only(motion: Motion, look: Look) -> None:
    figure = Figure(motion.body, look)
    vertices = figure.posed(motion.positions[0].astype(np.float64), motion.rotations[0].astype(np.float64))
    image = np.full((400, 400, 3), 200, np.uint8)
    cast_shadows(image, facing(motion, 0), UP, [(figure.surface, vertices)], depth=0.5)
    rows = np.flatnonzero((image < 190).any(axis=(1, 2)))
    feet = facing(motion, 0).project(motion.positions[0, JOINT["left_ankle"]])[1]
    assert abs(rows.mean() - feet) < 40
    assert image.min() >= 90


def test_light_from_above_brightens_what_faces_up() -> None:
    normals = np.array([[0.0, 0, 1], [1, 0, 0], [0, 0, -1]])
    levels = shade(np.full((3, 3), 0.5), normals, normals, UP)[:, 0]
    assert levels[0] > levels[1] > levels[2] > 0


def test_frames_are_deterministic_and_change(scene: Scene) -> None:
    first = Renderer(scene.place, scene.actors, scene.views[0])
    second = Renderer(scene.place, scene.actors, scene.views[0])
    np.testing.assert_array_equal(first.frame(3), second.frame(3))
    np.testing.assert_array_equal(first.frame(3), first.frame(3))
    assert (first.frame(3) != first.frame(20)).any()
    assert first.frame(0).shape == (320, 320, 3)


def test_scenes_look_different() -> None:
    def mean_colour(seed: int) -> np.ndarray:
        scene = one_person(size=64, seed=seed)
        return Renderer(scene.place, scene.actors, scene.views[0]).frame(0).mean(axis=(0, 1))

    colours = np.array([mean_colour(seed) for seed in range(8)])
    assert np.ptp(colours, axis=0).max() > 25
