"""How good labels are that several cameras make, on films whose truth is known.

raylift synthesize output=STUDIO people=2 views=6 seconds=4 width=960 height=960 seed=5 actions=[walk,box]
raylift label videos=STUDIO/manifest.csv output=LABELS detector=movenet_blazepose
python benchmarks/triangulation.py STUDIO LABELS/tracks

For each number of cameras, those that are spread most evenly: the mean distance of the 12 limb joints from the truth,
mm; the same against the points that the detector means by these joints (its hips and shoulders are those of annotators,
not those of motion capture: `--map RECIPE`, what `raylift fit_noise` wrote); the median residual, px; whole poses, %.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import yaml

from pipelines.calibration.camera import Camera
from pipelines.pose.joint_map import joint_map
from pipelines.synthetic.cameras import View as StudioView
from pipelines.synthetic.truth import Truth, load_truth
from pipelines.tracks.keypoint_reader import read_tracks
from pipelines.triangulation.scene import LIMBS, reconstruct
from pipelines.triangulation.views import View
from schemas.configs.made_views import DetectorErrorsConfig
from schemas.layouts import joint_indices, layout

H36M = layout("h36m17")


def main(studio: str, tracks: str, recipe: str | None) -> None:
    """Triangulate every scene with two cameras and more, and print a table."""
    errors = DetectorErrorsConfig() if recipe is None else detector_errors(Path(recipe))
    to_detector = joint_map(H36M, LIMBS.joints, errors)
    scenes: dict[str, dict[str, Truth]] = defaultdict(dict)
    for truth in load_truth(studio):
        scenes[truth.subject][truth.view.name] = truth
    seen = defaultdict(list)
    for track in read_tracks(tracks):
        seen[track.video.rpartition("/")[2]].append(track)
    print(f"{'scene':<16}{'cameras':>8}{'truth, mm':>11}{'its points, mm':>16}{'residual, px':>14}{'whole, %':>10}")
    for name, truths in scenes.items():
        views = [
            View(camera_of(truth.view), seen[truth.video.rpartition("/")[2]])
            for truth in (truths[camera] for camera in sorted(truths))
        ]
        for number in range(2, len(views) + 1):
            chosen = [views[round(place)] for place in np.linspace(0, len(views), number, endpoint=False)]
            row = score([view for view in chosen if view.tracks], next(iter(truths.values())), to_detector)
            action = next(iter(truths.values())).action
            print(f"{name + ' ' + action:<16}{number:>8}" + "{:>11.1f}{:>16.1f}{:>14.2f}{:>10.0f}".format(*row))


def detector_errors(recipe: Path) -> DetectorErrorsConfig:
    """The errors that fit_noise measured."""
    return DetectorErrorsConfig.model_validate(yaml.safe_load(recipe.read_text())["data"]["world"]["detector"])


def camera_of(view: StudioView) -> Camera:
    """A camera of the studio."""
    rotation = view.rotation.T
    translation = -rotation @ np.array(view.translation)
    return Camera(view.name, view.width, view.height, view.intrinsics, rotation, translation)


def score(views: list[View], truth: Truth, to_detector: np.ndarray) -> list[float]:
    """The four numbers of a scene, whose person is the one seen longest."""
    scene = reconstruct(views)
    camera = camera_of(truth.view)
    world = (truth.positions.astype(np.float64) - camera.translation) @ camera.rotation
    world = world[np.rint(scene.times_s * truth.fps).astype(int)]
    found = scene.people[0].positions
    exact = np.linalg.norm(found - world[:, list(joint_indices(H36M, LIMBS))], axis=-1)
    mapped = np.linalg.norm(found - to_detector @ world, axis=-1)
    whole = np.isfinite(found).all((1, 2)).mean()
    residual = float(np.nanmedian(scene.people[0].raw.residuals_px))
    return [1000 * float(np.nanmean(exact)), 1000 * float(np.nanmean(mapped)), residual, 100 * float(whole)]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[4] if len(sys.argv) > 4 else None)
