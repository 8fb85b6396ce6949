"""Scenes for tests of pages: invented people, and people from synthetic videos, lifted almost exactly."""

from pathlib import Path
from typing import Any

import numpy as np

from pipelines.report.poses.scene import Person, Scene
from pipelines.synthetic import studio
from pipelines.synthetic.truth import Truth, load_truth
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.configs.synthesize import SynthesizeConfig

# Layout h36m17, camera axes (y down): feet 0.9 m below the pelvis, shoulders 0.5 m above it.
STANDING = np.zeros((17, 3), np.float32)
STANDING[[3, 6], 1], STANDING[[11, 14], 1] = 0.9, -0.5
STANDING[[4, 5, 6, 11, 12, 13], 0] = 0.2


def make_person(frames: int = 20, **changes: Any) -> Person:
    """A person who stands 4 m away; `changes` replace fields of both tracks."""
    rng = np.random.default_rng(frames)
    values: dict[str, Any] = {
        **{"track_id": "t0", "video": "videos/stand.mp4", "subject": None, "action": None, "camera": None},
        **{"person": 0, "layout": "h36m17", "width": 640, "height": 480, "fps": 25.0, "start_frame": 0},
        **{"interpolated": np.zeros(frames, bool), "intrinsics": None, "intrinsics_provenance": "none"},
        **{"boxes": np.zeros((frames, 4), np.float32), "box_scores": np.ones(frames, np.float32)},
        "keypoints": np.tile(320 + 160 * STANDING[:, :2], (frames, 1, 1)),
        "scores": np.full((frames, 17), 0.9, np.float32),
        **{"source": "bucket-0-of-1-abc.parquet", "model": "models:/lifter/3", "model_sha256": "0" * 64},
        "positions": np.tile(STANDING, (frames, 1, 1)),
        "trajectory": np.tile(np.array([0.1, 0.2, 4], np.float32), (frames, 1)),
        "trajectory_provenance": "predicted",
        "keypoint_score": np.full(frames, 0.9, np.float32),
        "joint_scores": None,
        "reprojection_px": np.abs(rng.normal(2, 0.7, frames)).astype(np.float32),
        "reprojection": "perspective",
        "bone_length_deviation": np.abs(rng.normal(0.02, 0.004, frames)).astype(np.float32),
    }
    values |= changes
    values.setdefault("timestamps_s", (values["start_frame"] + np.arange(frames)) / values["fps"])
    of_2d: dict[str, Any] = {name: values[name] for name in KeypointTrack.__dataclass_fields__ if name in values}
    of_2d["positions"] = None
    of_3d: dict[str, Any] = {name: values[name] for name in LiftedTrack.__dataclass_fields__}
    return Person(KeypointTrack(**of_2d), LiftedTrack(**of_3d))


def make_scene(*people: Person, video: Path | None = None, title: str = "A scene") -> Scene:
    """A scene of these people."""
    return Scene(title, people, video)


def film(folder: Path, seconds: float = 2.0, people: int = 2, **changes: Any) -> tuple[Path, list[Truth]]:
    """Render a video of people who walk and wave, with their ground truth."""
    values: dict[str, Any] = {"width": 320, "height": 240, "views": 1, "fps": 25, "actions": ("walk", "wave")}
    values |= {"people": people, "people_per_video": people, "seconds": seconds, "output": str(folder)}
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    row = studio.film(SynthesizeConfig.model_validate(values | changes), 0, 0)
    return folder / row["uri"], load_truth(str(folder))


def filmed_person(truth: Truth, start: int = 0, trajectory: bool = True) -> Person:
    """A person of a video from a frame on; keypoints are off by half a pixel, and five frames are interpolated."""
    rng = np.random.default_rng(truth.person)
    positions, visible = truth.positions[start:], truth.visible[start:]
    frames = len(positions)
    interpolated = np.abs(np.arange(frames) - frames // 2 - 2) <= 2
    scores = np.where(interpolated[:, None], 0, visible * 0.6 + 0.3).astype(np.float32)
    return make_person(
        frames,
        **{name: getattr(truth, name) for name in ("video", "subject", "action", "person", "fps")},
        **{"camera": truth.view.name, "width": truth.view.width, "height": truth.view.height},
        start_frame=start,
        timestamps_s=truth.timestamps_s[start:],
        keypoints=truth.keypoints[start:] + rng.normal(0, 0.5, (frames, 17, 2)).astype(np.float32),
        scores=scores,
        interpolated=interpolated,
        keypoint_score=scores.mean(axis=1),
        positions=positions - positions[:, :1],
        trajectory=positions[:, 0] if trajectory else None,
        reprojection="perspective" if trajectory else "orthographic",
        intrinsics=truth.view.intrinsics,
        intrinsics_provenance="calibrated",
    )


def filmed_scene(video: Path | None, people: list[Truth], trajectory: bool = True) -> Scene:
    """A scene of two people of a video: the first from its beginning, the second from frame 10 on."""
    shown = tuple(filmed_person(truth, 10 * truth.person, trajectory) for truth in people)
    return Scene("Walk & wave <two people>", shown, video)
