"""A lifted track as BVH, the motion format that Blender and its like read.

- Metres (Blender's import: scale 1), y up, at rest a T-pose that faces +z with its left hand on +x.
- With a trajectory, the camera is at the origin and looks along -z, as Blender's cameras do: people of one video
  stand where they stood. Without, the pelvis stays above the origin, as high as puts the lowest joint of each frame
  on the ground. Up is the image's up: a camera that looked down tilts the person.
- Bones keep their median length over the track. A joint with several children turns as their best fit; what they
  move against each other is turned by a bone between ("thorax_to_left_shoulder"), so that every bone points exactly
  where it was predicted to. The turn of a bone about itself, which positions do not tell, is its parent's.
- BVH has one frame time: frames that do not come evenly are interpolated at their mean rate.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from pipelines.export.rotations import best_fit, euler_deg, swing, unit
from pipelines.export.skeleton import Skeleton, place_joints, skeleton_of
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.layouts import layout

# x right, y down, z forward, turned about x by half a turn: y up.
_Y_UP = np.array([1.0, -1.0, -1.0])
# The middle turn of a bone is about its own axis at rest: then its angles are unique up to half a turn of the bone.
_ORDERS = ("ZXY", "XYZ", "XZY")
# Of the trunk the heading comes first, which alone goes all the way around.
_TRUNK_ORDER = "YXZ"
# Beyond a hand or the head nothing is known; programs want to draw something there, as a share of the last bone.
_END_SITE = 0.1
# Timestamps in whole milliseconds are as even as they can be (s).
_EVEN_S = 1e-3
# Of a track that is too short to tell.
_ANY_FPS = 30.0


def bvh_text(lifted: LiftedTrack) -> str:
    """The whole file; what it means is said above."""
    names = layout(lifted.layout)
    skeleton = skeleton_of(names)
    frame_time_s, positions, trajectory = _evenly(lifted)
    joints = place_joints(names, positions) * _Y_UP
    bones = list(_bones(skeleton, skeleton.root, joints))
    root = _root(joints, skeleton.root, None if trajectory is None else trajectory * _Y_UP)
    values = np.concatenate([root, *(bone.angles_deg for bone in bones)], axis=1)
    line = " ".join(["%.5f"] * 3 + ["%.4f"] * (values.shape[1] - 3))
    motion = [line % tuple(frame.tolist()) for frame in values]
    head = ["MOTION", f"Frames: {len(motion)}", f"Frame Time: {frame_time_s:.8f}"]
    return "\n".join(["HIERARCHY", *_hierarchy(bones), *head, *motion, ""])


@dataclass(frozen=True)
class _Bone:
    """A joint of the file.

    Attributes:
        name: As it is called there.
        depth: How many joints it hangs below the root.
        offset: From its parent, at rest, metres.
        order: Of its turning axes.
        angles_deg: About them.
        end_site: Where its last bone ends, metres from it; None if another joint follows.
    """

    name: str
    depth: int
    offset: Float64[np.ndarray, " 3"]
    order: str
    angles_deg: Float64[np.ndarray, "frames 3"]
    end_site: Float64[np.ndarray, " 3"] | None = None


def _bones(
    skeleton: Skeleton,
    joint: int,
    positions: Float64[np.ndarray, "frames joints 3"],
    above: Float64[np.ndarray, "frames 3 3"] | None = None,
    depth: int = 0,
) -> Iterator[_Bone]:
    """A joint and all that hangs on it, in the order of the file; `above` is how its parent stands in the world."""
    above = np.tile(np.eye(3), (len(positions), 1, 1)) if above is None else above
    name, children = skeleton.joints[joint], skeleton.children(joint)
    offset = _rest_offset(skeleton, joint, positions)
    if not children:
        still, end = np.zeros((len(positions), 3)), offset * _END_SITE
        yield _Bone(name, depth, offset, _TRUNK_ORDER, still, end)
        return
    directions = np.stack([unit(positions[:, child] - positions[:, joint]) for child in children], axis=1)
    local = directions @ above  # each row seen from the parent: its transpose times the direction
    if len(children) == 1:
        rest, bent = skeleton.rest[children[0]], skeleton.bent[children[0]]
        turn, order = swing(bent, local[:, 0]) @ swing(rest, bent[None]), _order(rest)
    else:
        turn, order = best_fit(skeleton.rest[children], local), _TRUNK_ORDER
    yield _Bone(name, depth, offset, order, euler_deg(turn, order))
    world = above @ turn
    if len(children) == 1:
        yield from _bones(skeleton, children[0], positions, world, depth + 1)
        return
    for number, child in enumerate(children):
        rest = skeleton.rest[child]
        link = swing(rest, (directions[:, number, None] @ world)[:, 0])
        between = f"{name}_to_{skeleton.joints[child]}"
        yield _Bone(between, depth + 1, np.zeros(3), _order(rest), euler_deg(link, _order(rest)))
        yield from _bones(skeleton, child, positions, world @ link, depth + 2)


def _rest_offset(
    skeleton: Skeleton, joint: int, positions: Float64[np.ndarray, "frames joints 3"]
) -> Float64[np.ndarray, " 3"]:
    parent = skeleton.parents[joint]
    if parent < 0:
        return np.zeros(3)
    length = np.median(np.linalg.norm(positions[:, joint] - positions[:, parent], axis=-1))
    return skeleton.rest[joint] * length


def _order(rest: Float64[np.ndarray, " 3"]) -> str:
    return _ORDERS[int(np.argmax(abs(rest)))]


def _hierarchy(bones: list[_Bone]) -> Iterator[str]:
    """Each joint opens a block, which ends where one that hangs no deeper follows."""
    for bone, following in zip(bones, [*(bone.depth for bone in bones[1:]), 0], strict=True):
        indent = "\t" * bone.depth
        turns = " ".join(f"{axis}rotation" for axis in bone.order)
        channels = f"3 {turns}" if bone.depth else f"6 Xposition Yposition Zposition {turns}"
        yield f"{indent}{'JOINT' if bone.depth else 'ROOT'} {bone.name}"
        yield f"{indent}{{"
        yield f"{indent}\t{_offset_line(bone.offset)}"
        yield f"{indent}\tCHANNELS {channels}"
        if bone.end_site is not None:
            yield from (f"{indent}\tEnd Site", f"{indent}\t{{")
            yield from (f"{indent}\t\t{_offset_line(bone.end_site)}", f"{indent}\t}}")
            yield from ("\t" * depth + "}" for depth in range(bone.depth, following - 1, -1))


def _offset_line(offset: Float64[np.ndarray, " 3"]) -> str:
    return "OFFSET " + " ".join(f"{value + 0.0:.6f}" for value in offset)


def _root(
    joints: Float64[np.ndarray, "frames joints 3"], root: int, trajectory: Float64[np.ndarray, "frames 3"] | None
) -> Float64[np.ndarray, "frames 3"]:
    """Where the pelvis is, metres."""
    if trajectory is not None:
        return joints[:, root] + trajectory
    above_lowest_m = joints[:, root, 1] - joints[:, :, 1].min(axis=1)
    return above_lowest_m[:, None] * [0.0, 1.0, 0.0]


def _evenly(
    lifted: LiftedTrack,
) -> tuple[float, Float64[np.ndarray, "frames joints 3"], Float64[np.ndarray, "frames 3"] | None]:
    """Frame time (s), positions and trajectory at even times."""
    positions, trajectory = lifted.positions.astype(np.float64), lifted.trajectory
    trajectory = None if trajectory is None else trajectory.astype(np.float64)
    times = lifted.timestamps_s
    if len(times) < 2 or not (np.diff(times) > 0).all():
        known = np.isfinite(lifted.fps) and lifted.fps > 0
        return 1 / (lifted.fps if known else _ANY_FPS), positions, trajectory
    even = np.linspace(times[0], times[-1], len(times))
    step_s = float(even[1] - even[0])
    if abs(even - times).max() <= _EVEN_S:
        return step_s, positions, trajectory
    right = np.clip(np.searchsorted(times, even, side="right"), 1, len(times) - 1)
    share = np.clip((even - times[right - 1]) / (times[right] - times[right - 1]), 0, 1)

    def between(values: np.ndarray) -> np.ndarray:
        weight = share.reshape(-1, *[1] * (values.ndim - 1))
        return values[right - 1] + weight * (values[right] - values[right - 1])

    return step_s, between(positions), None if trajectory is None else between(trajectory)
