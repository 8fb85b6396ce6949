"""Films that are as hard to see in as real ones: furniture in front, motion blur, distance, compression."""

from pathlib import Path

import numpy as np
import pytest

from pipelines.synthetic.renderer import Renderer
from pipelines.synthetic.studio import Scene, build_scene, synthesize
from pipelines.synthetic.truth import load_truth, true_people
from schemas.configs.synthesize import SynthesizeConfig


def config(output: str, **changes: object) -> SynthesizeConfig:
    values: dict[str, object] = {"people": 1, "views": 3, "seconds": 0.5, "width": 160, "height": 160, "workers": 1}
    return SynthesizeConfig.model_validate({"output": output, **values, **changes})


def scene(**changes: object) -> Scene:
    return build_scene(config("out", **changes), 0)


@pytest.mark.parametrize("seed", range(6))
def test_furniture_hides_joints_and_the_truth_says_so(seed: int) -> None:
    built = scene(furniture_in_front=6, seed=seed)
    for view, foreground in zip(built.views, built.foregrounds, strict=True):
        assert foreground is not None
        frame = Renderer(built.place, built.actors, view, foreground=foreground).frame(3)
        open_frame = Renderer(built.place, built.actors, view).frame(3)
        changed = (frame != open_frame).any(axis=-1)
        assert changed.any()
        assert not (changed & ~foreground.covered).any(), "nothing else looks different"
        motions = [actor.motion for actor in built.actors]
        (behind,), (free,) = (true_people("v.mp4", ["S000"], motions, view, each) for each in (foreground, None))
        np.testing.assert_array_equal(behind.keypoints, free.keypoints)
        np.testing.assert_array_equal(behind.visible, free.visible & foreground.shows(free.keypoints))


def test_all_furniture_is_nearer_to_the_camera_than_the_people() -> None:
    for seed in range(20):
        built = scene(furniture_in_front=4, seed=seed, width=64, height=64)
        for view, foreground in zip(built.views, built.foregrounds, strict=True):
            feet = built.actors[0].motion.positions.reshape(-1, 3) * [1, 1, 0]
            # On the ground, what is nearer is lower in the picture.
            nearest = view.project(feet)[:, 1].max()
            assert foreground is None or not foreground.covered.any() or _lowest(foreground.covered) > nearest - 1


def _lowest(covered: np.ndarray) -> int:
    return int(np.flatnonzero(covered.any(axis=1)).max())


def test_points_beyond_the_picture_are_not_hidden() -> None:
    foreground = scene(furniture_in_front=6).foregrounds[0]
    assert foreground is not None
    foreground = type(foreground)(foreground.image, np.ones_like(foreground.covered))
    pixels = np.array([[80.0, 80], [-1, 80], [80, 160], [np.nan, 10]])
    assert foreground.shows(pixels).tolist()[:3] == [False, True, True]


def test_an_open_shutter_blurs_what_moves_and_nothing_else() -> None:
    built = scene(actions=("jog",), seconds=1.0)
    sharp, blurred = (Renderer(built.place, built.actors, built.views[0], shutter).frame(15) for shutter in (0.0, 1.0))
    changed = np.abs(sharp.astype(int) - blurred).max(axis=-1) > 8
    assert 0.002 < changed.mean() < 0.2
    still = Renderer(built.place, built.actors, built.views[0], 1e-9).frame(15)
    assert np.abs(sharp.astype(int) - still).max() <= 1


def test_poses_between_frames_are_between_them() -> None:
    motion = scene(actions=("jog",)).actors[0].motion
    positions, rotations = motion.at(4.5)
    np.testing.assert_allclose(positions, (motion.positions[4] + motion.positions[5]) / 2, atol=1e-6)
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (17, 3, 3)), atol=1e-9
    )
    for end, frame in ((-2.0, 0), (len(motion) + 3.0, len(motion) - 1)):
        np.testing.assert_allclose(motion.at(end)[0], motion.positions[frame], atol=1e-6)


def test_cameras_farther_away_show_smaller_people() -> None:
    near, far = (
        built.views[0].project(built.actors[0].motion.positions[0]) for built in (scene(), scene(distance=3.0))
    )
    assert 2.5 < np.ptp(near[:, 1]) / np.ptp(far[:, 1]) < 3.5


def test_a_film_of_everything_has_its_truth(tmp_path: Path) -> None:
    hard = config(str(tmp_path / "hard"), views=1, shutter=0.5, crf=40, furniture_in_front=3, distance=1.5)
    easy = config(str(tmp_path / "easy"), views=1, distance=1.5)
    (video,), _ = synthesize(hard), synthesize(easy)
    sizes = [Path(each.output, video).stat().st_size for each in (hard, easy)]
    assert sizes[0] < sizes[1] / 2
    (behind,), (free,) = (load_truth(each.output) for each in (hard, easy))
    np.testing.assert_array_equal(behind.keypoints, free.keypoints)
