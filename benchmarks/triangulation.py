"""How good labels are that several cameras make, on films whose truth is known.

raylift synthesize output=STUDIO people=2 views=6 seconds=4 width=960 height=960 seed=5 actions=[walk,box]
raylift label videos=STUDIO/manifest.csv output=LABELS detector=movenet_blazepose
raylift fit_noise output=NOISE people=16 views=2 seed=77
python benchmarks/triangulation.py STUDIO LABELS/tracks [NOISE/recipe.yaml]

For each number of cameras, those that are spread most evenly: the mean distance of 12 limb joints from the truth, mm;
the same with `joint_map`, by which a detector's joints become those of the skeleton; the same after each joint's
constant offset in the axes of the trunk is taken out, which nobody knows without the truth; the median residual, px;
whole poses, %.
"""

import sys
from collections import defaultdict

import numpy as np

from pipelines.calibration.camera import Camera
from pipelines.pose.joint_map import joint_map
from pipelines.synthetic.cameras import View as StudioView
from pipelines.synthetic.truth import Truth, load_truth
from pipelines.tracks.keypoint_reader import read_tracks
from pipelines.triangulate.joint_places import read_places
from pipelines.triangulation.scene import LIMBS, reconstruct
from pipelines.triangulation.views import View
from schemas.configs.made_views import DetectorErrorsConfig
from schemas.layouts import joint_indices, layout

H36M = layout("h36m17")


def main(studio: str, tracks: str, recipe: str | None = None) -> None:
    """Triangulate every scene with two cameras and more, and print a table."""
    errors = DetectorErrorsConfig.model_validate({} if recipe is None else read_places(recipe))
    to_body = np.linalg.inv(joint_map(LIMBS, LIMBS.joints, errors))
    scenes: dict[str, dict[str, Truth]] = defaultdict(dict)
    for truth in load_truth(studio):
        scenes[truth.subject][truth.view.name] = truth
    tracks_of_film = defaultdict(list)
    for track in read_tracks(tracks):
        tracks_of_film[track.video.rpartition("/")[2]].append(track)
    columns = f"{'truth, mm':>11}{'mapped, mm':>12}{'no offsets, mm':>16}{'residual, px':>14}{'whole, %':>10}"
    print(f"{'scene':<16}{'cameras':>8}{columns}")
    for name, truths in scenes.items():
        views = [
            View(camera_of(truth.view), tracks_of_film[truth.video.rpartition("/")[2]])
            for truth in (truths[camera] for camera in sorted(truths))
        ]
        for number in range(2, len(views) + 1):
            # Two cameras opposite each other would see the same lines.
            places = np.linspace(0, len(views), max(3, number), endpoint=False)[:number]
            chosen = [views[round(place)] for place in places]
            row = score([view for view in chosen if view.tracks], next(iter(truths.values())), to_body)
            action = next(iter(truths.values())).action
            print(
                f"{name + ' ' + action:<16}{number:>8}" + "{:>11.1f}{:>12.1f}{:>16.1f}{:>14.2f}{:>10.0f}".format(*row)
            )


def camera_of(view: StudioView) -> Camera:
    """A camera of the studio."""
    rotation = view.rotation.T
    translation = -rotation @ np.array(view.translation)
    return Camera(view.name, view.width, view.height, view.intrinsics, rotation, translation)


def score(views: list[View], truth: Truth, to_body: np.ndarray) -> list[float]:
    """The numbers of a scene, whose person is the one seen longest."""
    scene = reconstruct(views)
    camera = camera_of(truth.view)
    world = (truth.positions.astype(np.float64) - camera.translation) @ camera.rotation
    world = world[np.rint(scene.times_s * truth.fps).astype(int)][:, list(joint_indices(H36M, LIMBS))]
    reconstructed = scene.people[0].positions
    offsets = np.einsum("fij,fkj->fki", trunk_axes(world), reconstructed - world)
    moving = offsets - np.nanmedian(offsets, axis=0)
    errors = offsets, to_body @ reconstructed - world, moving
    straight_mm, mapped_mm, moved_mm = (
        1000 * float(np.nanmean(np.linalg.norm(difference, axis=-1))) for difference in errors
    )
    whole = np.isfinite(reconstructed).all((1, 2)).mean()
    residual = float(np.nanmedian(scene.people[0].raw.residuals_px))
    return [straight_mm, mapped_mm, moved_mm, residual, 100 * float(whole)]


def trunk_axes(world: np.ndarray) -> np.ndarray:
    """Axes of the trunk in each frame: to the left, backward, up."""
    left_hip, right_hip, left, right = (
        world[:, LIMBS.index(name)] for name in ("left_hip", "right_hip", "left_shoulder", "right_shoulder")
    )
    across = left_hip - right_hip
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    up = (left + right - left_hip - right_hip) / 2
    up -= (up * across).sum(1, keepdims=True) * across
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    return np.stack([across, np.cross(up, across), up], axis=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
