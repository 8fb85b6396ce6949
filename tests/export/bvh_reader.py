"""Reads BVH back: a parser that is not ours, and forward kinematics from what it says."""

from pathlib import Path
from typing import Any

import bvhio
import numpy as np


def parse(text: str, folder: Path) -> Any:
    """What the parser makes of a file."""
    file = folder / "motion.bvh"
    file.write_text(text)
    return bvhio.readAsBvh(str(file))


def joints(motion: Any) -> dict[str, Any]:
    """The file's joints by name."""
    return {joint.Name: joint for joint, _, _ in motion.Root.layout()}


def forward_kinematics(motion: Any) -> dict[str, np.ndarray]:
    """Where every joint is in every frame, (frames, 3), by name."""
    found: dict[str, np.ndarray] = {}

    def place(joint: Any, origin: np.ndarray, turned: np.ndarray) -> None:
        # Of the root it is what the channels say; elsewhere the parser repeats the offset.
        moved = np.array([tuple(key.Position) for key in joint.Keyframes])
        found[joint.Name] = origin + np.einsum("fij,fj->fi", turned, moved)
        local = np.array([_matrix(key.Rotation) for key in joint.Keyframes])
        for child in joint.Children:
            place(child, found[joint.Name], turned @ local)

    frames = motion.FrameCount
    place(motion.Root, np.zeros((frames, 3)), np.tile(np.eye(3), (frames, 1, 1)))
    return found


def angles_deg(text: str) -> np.ndarray:
    """The rotation channels as they stand in the file, (frames, channels)."""
    lines = text.splitlines()
    return np.array([line.split()[3:] for line in lines[lines.index("MOTION") + 3 :]], np.float64)


def _matrix(quaternion: Any) -> np.ndarray:
    w, x, y, z = quaternion.w, quaternion.x, quaternion.y, quaternion.z
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
