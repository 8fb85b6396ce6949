"""Reads BVH files with an independent parser, and computes joint positions from them by forward kinematics."""

from pathlib import Path
from typing import Any

import bvhio
import numpy as np


def parse(text: str, folder: Path) -> Any:
    """Parse a BVH text with the independent parser."""
    file = folder / "motion.bvh"
    file.write_text(text)
    return bvhio.readAsBvh(str(file))


def joints(motion: Any) -> dict[str, Any]:
    """The joints of the file by name."""
    return {joint.Name: joint for joint, _, _ in motion.Root.layout()}


def forward_kinematics(motion: Any) -> dict[str, np.ndarray]:
    """Positions of every joint in every frame, (frames, 3), by name."""
    positions: dict[str, np.ndarray] = {}

    def place(joint: Any, origin: np.ndarray, turned: np.ndarray) -> None:
        # The root's translation is in the channels; for other joints the parser gives the offset.
        moved = np.array([tuple(key.Position) for key in joint.Keyframes])
        positions[joint.Name] = origin + np.einsum("fij,fj->fi", turned, moved)
        local = np.array([_matrix(key.Rotation) for key in joint.Keyframes])
        for child in joint.Children:
            place(child, positions[joint.Name], turned @ local)

    frames = motion.FrameCount
    place(motion.Root, np.zeros((frames, 3)), np.tile(np.eye(3), (frames, 1, 1)))
    return positions


def angles_deg(text: str) -> np.ndarray:
    """The rotation channels in the order of the file, (frames, channels)."""
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
