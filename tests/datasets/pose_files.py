"""Tiny files in the formats of the pose datasets, made of noise."""

import json
from pathlib import Path
from typing import Any

import numpy as np

H36M_SYMMETRY = [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]
COCO_SYMMETRY = [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]]


def noise(*shape: int, seed: int = 0, dtype: Any = np.float32) -> np.ndarray:
    """Positions within a metre of one metre above the world's origin."""
    return (np.random.default_rng((seed, *shape)).uniform(-0.8, 0.8, shape) + np.eye(shape[-1])[-1]).astype(dtype)


def save_npz(path: Path, **arrays: Any) -> str:
    """An npz whose dicts are pickled, as these datasets have them; returns its path."""
    np.savez_compressed(path, **arrays)
    return str(path)


def human36m_pair(folder: Path, frames_2d: int = 8, **metadata: Any) -> tuple[str, str]:
    """Two labeled subjects (6 frames a sequence) and one without mocap; 2D of four cameras with scores."""
    motions = {
        "S1": {"Walking": noise(6, 32, 3), "Walking 1": noise(6, 32, 3, seed=1)},
        "S11": {"Directions 1": noise(6, 32, 3, seed=2)},
    }
    actions_by_subject = {"S1": ["Walking", "Walking 1"], "S11": ["Directions", "Directions 1"], "S2": ["Eating"]}
    images = {
        subject: {
            action: [100 + 50 * noise(frames_2d, 17, 3, seed=camera) for camera in range(4)] for action in actions
        }
        for subject, actions in actions_by_subject.items()
    }
    all_metadata = {"num_joints": 17, "keypoints_symmetry": COCO_SYMMETRY} | metadata
    return (
        save_npz(folder / "data_3d_h36m.npz", positions_3d=motions),
        save_npz(folder / "data_2d_h36m_gt.npz", positions_2d=images, metadata=all_metadata),
    )


def camera_json(path: Path, subjects: tuple[str, ...] = ("S1",), **changes: Any) -> str:
    """Three 640 x 480 cameras without intrinsics that stand 4 m off and look along the world's y axis."""
    place = {"orientation": [2**-0.5, -(2**-0.5), 0, 0], "translation_mm": [0, -4000, 1000]}
    table = {
        "cameras": {name: {"width": 640, "height": 480} for name in ("C1", "C2", "C3")},
        "extrinsics": {subject: dict.fromkeys(("C1", "C2", "C3"), place) for subject in subjects},
    }
    path.write_text(json.dumps(table | changes))
    return str(path)
