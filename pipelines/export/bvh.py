"""A lifted track as BVH, a motion format that Blender and other animation programs read.

- Metres (Blender's import scale is 1), y up. The rest pose is a T-pose that faces +z, with the left hand towards +x.
- With a trajectory, the camera is above the origin (at it, if the track is not levelled) and looks along -z, as
  Blender's cameras do, so people of one video keep their places. Without one, the pelvis stays above the origin, at the
  height that puts the lowest joint of each frame on the ground.
- Files of one video begin at one time, if asked for: until somebody comes, their first pose is held.
- Bones have their median length over the track. A joint with several children gets the rotation that fits them best;
  an extra bone for each child ("thorax_to_left_shoulder") adds the rest, so that every bone points exactly where it
  was predicted to. The rotation of a bone about its own axis cannot be known from positions; its parent's is used.
- BVH has a constant frame time. Frames at uneven times are interpolated at their mean rate.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from pipelines.export.rotations import best_fit, euler_deg, swing, unit
from pipelines.export.skeleton import Skeleton, place_joints, skeleton_of
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.layouts import layout

# From camera axes (x right, y down, z forward) to y up: half a turn about x.
_Y_UP = np.array([1.0, -1.0, -1.0])
# Euler orders by the bone's axis at rest, which comes second: only a twist by 90 degrees leads to gimbal lock.
_ORDERS = ("ZXY", "XYZ", "XZY")
# For the trunk the heading comes first, because it is the only angle that turns all the way around.
_TRUNK_ORDER = "YXZ"
# Length of the end sites at hands and head, relative to the last bone. No position is known there, but programs need
# one to draw the joint.
_END_SITE = 0.1
# Timestamps that deviate by less than this count as even, because they may be rounded to milliseconds, s.
_EVEN_S = 1e-3
# Frame rate of a track that is too short to measure it.
_ANY_FPS = 30.0


def bvh_text(lifted: LiftedTrack, from_video_start: bool = False) -> str:
    """The content of the BVH file; the module's docstring describes its conventions.

    Args:
        lifted: The track.
        from_video_start: Whether the motion begins with the first frame of the video, not with that of the track.
    """
    names = layout(lifted.layout)
    skeleton = skeleton_of(names)
    frame_time_s, positions, trajectory = _evenly(lifted)
    joints = place_joints(names, positions) * _Y_UP
    bones = list(_bones(skeleton, skeleton.root, joints))
    root = _root(joints, skeleton.root, None if trajectory is None else trajectory * _Y_UP)
    values = np.concatenate([root, *(bone.angles_deg for bone in bones)], axis=1)
    line = " ".join(["%.5f"] * 3 + ["%.4f"] * (values.shape[1] - 3))
    motion = [line % tuple(frame.tolist()) for frame in values]
    if from_video_start:
        motion = [motion[0]] * _frames_before(lifted, frame_time_s) + motion
    head = ["MOTION", f"Frames: {len(motion)}", f"Frame Time: {frame_time_s:.8f}"]
    return "\n".join(["HIERARCHY", *_hierarchy(bones), *head, *motion, ""])


def _frames_before(lifted: LiftedTrack, frame_time_s: float) -> int:
    """Frames of the file between the first frame of the video and that of the track."""
    known = np.isfinite(lifted.fps) and lifted.fps > 0
    return round(lifted.start_frame / lifted.fps / frame_time_s) if known else lifted.start_frame


@dataclass(frozen=True)
class _Bone:
    """A joint of the file.

    Attributes:
        name: Name in the file.
        depth: Number of joints between it and the root, plus one; 0 for the root.
        offset: Offset from its parent at rest, metres.
        order: Order of its rotation axes, such as "ZXY".
        angles_deg: Rotation angles about these axes, degrees.
        end_site: Offset of the end of the last bone, metres; None if the joint has children.
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
    """A joint and all its descendants in the order of the file; `above` is the world rotation of its parent."""
    above = np.tile(np.eye(3), (len(positions), 1, 1)) if above is None else above
    name, children = skeleton.joints[joint], skeleton.children(joint)
    offset = _rest_offset(skeleton, joint, positions)
    if not children:
        still, end = np.zeros((len(positions), 3)), offset * _END_SITE
        yield _Bone(name, depth, offset, _TRUNK_ORDER, still, end)
        return
    directions = np.stack([unit(positions[:, child] - positions[:, joint]) for child in children], axis=1)
    local = directions @ above  # directions in the parent's frame: its inverse rotation times each direction
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
    """The lines of the HIERARCHY section; a joint's block ends before the next joint that is not its descendant."""
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
    """The pelvis in each frame, metres."""
    if trajectory is not None:
        return joints[:, root] + trajectory
    above_lowest_m = joints[:, root, 1] - joints[:, :, 1].min(axis=1)
    return above_lowest_m[:, None] * [0.0, 1.0, 0.0]


def _evenly(
    lifted: LiftedTrack,
) -> tuple[float, Float64[np.ndarray, "frames joints 3"], Float64[np.ndarray, "frames 3"] | None]:
    """Frame time (s), positions and trajectory, resampled to even times if necessary."""
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
