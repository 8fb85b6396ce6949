"""A lifted track as BVH, a motion format that Blender and other animation programs read.

- Metres (Blender's import scale is 1), y up; the module `motion` describes the space, `bones` the figure.
- The camera looks along -z, as Blender's cameras do.
- Files of one video may begin at the same time: each person's first pose is then held until they appear.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64

from pipelines.export.bones import Bone, bones_of
from pipelines.export.motion import motion_of
from pipelines.export.rotations import euler_deg
from pipelines.tracks.lifted_track import LiftedTrack

# Euler orders by the bone's axis at rest. This axis comes second, so that only a twist by 90 degrees causes gimbal
# lock.
_ORDERS = ("ZXY", "XYZ", "XZY")
# The trunk's heading comes first, because it is the only angle that may turn all the way around.
_TRUNK_ORDER = "YXZ"


def bvh_text(lifted: LiftedTrack, video_start_s: float | None = None, fps: float | None = None) -> str:
    """The content of the BVH file; the module's docstring describes its conventions.

    Args:
        lifted: The track.
        video_start_s: When the video begins, s: the motion begins there. None: it begins with the track.
        fps: Frame rate; None: that of the track.
    """
    moving = motion_of(lifted, fps)
    bones = bones_of(moving)
    values = np.concatenate([moving.root, *(euler_deg(bone.rotations, _order(bone)) for bone in bones)], axis=1)
    line = " ".join(["%.5f"] * 3 + ["%.4f"] * (values.shape[1] - 3))
    frames = [line % tuple(frame.tolist()) for frame in values]
    frames = [frames[0]] * moving.frames_before(video_start_s) + frames
    head = ["MOTION", f"Frames: {len(frames)}", f"Frame Time: {moving.frame_time_s:.8f}"]
    return "\n".join(["HIERARCHY", *_hierarchy(bones), *head, *frames, ""])


def _order(bone: Bone) -> str:
    return _TRUNK_ORDER if bone.axis is None else _ORDERS[int(np.argmax(abs(bone.axis)))]


def _hierarchy(bones: list[Bone]) -> Iterator[str]:
    """The lines of the HIERARCHY section; a joint's block ends before the next joint that is not its descendant."""
    for bone, following in zip(bones, [*(bone.depth for bone in bones[1:]), 0], strict=True):
        indent = "\t" * bone.depth
        turns = " ".join(f"{axis}rotation" for axis in _order(bone))
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
