"""The bones of a figure that moves like a person: their lengths are constant, their rotations change.

- The rest pose is a T-pose that faces +z, with the left hand towards +x; y is up.
- Bones have their median length over the track. A joint with several children gets the rotation that fits them best;
  an extra bone for each child ("thorax_to_left_shoulder") adds the rest, so that every bone points exactly where it
  was predicted to. The rotation of a bone about its own axis cannot be known from positions; its parent's is used.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from pipelines.export.motion import Motion
from pipelines.export.rotations import best_fit, swing, unit

# Length of the end sites at hands and head, relative to the last bone. No position is known there, but programs need an
# end site to draw the joint.
_END_SITE = 0.1


@dataclass(frozen=True)
class Bone:
    """A joint of the figure, with what hangs on it.

    Attributes:
        name: Its name.
        depth: Number of joints between it and the root, plus one; 0 for the root.
        offset: Offset from its parent at rest, metres.
        axis: Direction of the bone that it turns, at rest; None if it turns several, or none.
        rotations: Its rotation relative to its parent in each frame; the identity at rest.
        end_site: Offset of the end of the last bone, metres; None if the joint has children.
    """

    name: str
    depth: int
    offset: Float64[np.ndarray, " 3"]
    axis: Float64[np.ndarray, " 3"] | None
    rotations: Float64[np.ndarray, "frames 3 3"]
    end_site: Float64[np.ndarray, " 3"] | None = None


def bones_of(motion: Motion) -> list[Bone]:
    """All bones, each before its descendants."""
    return list(_bones(motion, motion.skeleton.root))


def _bones(
    motion: Motion, joint: int, above: Float64[np.ndarray, "frames 3 3"] | None = None, depth: int = 0
) -> Iterator[Bone]:
    """A joint and all its descendants; `above` is the world rotation of its parent."""
    skeleton, positions = motion.skeleton, motion.joints
    above = np.tile(np.eye(3), (len(positions), 1, 1)) if above is None else above
    name, children = skeleton.joints[joint], skeleton.children(joint)
    offset = _rest_offset(motion, joint)
    if not children:
        yield Bone(name, depth, offset, None, np.tile(np.eye(3), (len(positions), 1, 1)), offset * _END_SITE)
        return
    directions = np.stack([unit(positions[:, child] - positions[:, joint]) for child in children], axis=1)
    local = directions @ above  # the directions in the parent's frame, by its inverse rotation
    if len(children) == 1:
        rest, bent = skeleton.rest[children[0]], skeleton.bent[children[0]]
        turn, axis = swing(bent, local[:, 0]) @ swing(rest, bent[None]), rest
    else:
        turn, axis = best_fit(skeleton.rest[children], local), None
    yield Bone(name, depth, offset, axis, turn)
    world = above @ turn
    if len(children) == 1:
        yield from _bones(motion, children[0], world, depth + 1)
        return
    for number, child in enumerate(children):
        rest = skeleton.rest[child]
        link = swing(rest, (directions[:, number, None] @ world)[:, 0])
        yield Bone(f"{name}_to_{skeleton.joints[child]}", depth + 1, np.zeros(3), rest, link)
        yield from _bones(motion, child, world @ link, depth + 2)


def _rest_offset(motion: Motion, joint: int) -> Float64[np.ndarray, " 3"]:
    parent = motion.skeleton.parents[joint]
    if parent < 0:
        return np.zeros(3)
    length = np.median(np.linalg.norm(motion.joints[:, joint] - motion.joints[:, parent], axis=-1))
    return motion.skeleton.rest[joint] * length
