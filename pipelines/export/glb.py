"""A lifted track as binary glTF 2.0: a simple skinned figure that moves, for Blender, three.js, Unreal and browsers.

- Metres and y up, as glTF demands; the module `motion` describes the space, `bones` the figure.
- Each bone is a node, turned by the animation; the pelvis also moves. A skin binds one mesh of slim spindles to them.
- Key times count from the first frame of the video (or of the track); until then the first pose is held.
- The nodes of joints say as `extras.mean_score` how well each was seen; asset.extras says where the motion is from.
"""

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

import schemas
from pipelines.export.bones import Bone, bones_of
from pipelines.export.motion import Motion, motion_of
from pipelines.export.rotations import unit
from pipelines.io.secrets import redact
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.layouts import layout

# Codes of the specification: component types, and the targets of a mesh's buffer views.
_UNSIGNED_BYTE, _UNSIGNED_SHORT, _FLOAT = 5121, 5123, 5126
_VERTICES, _INDICES = 34962, 34963
_COMPONENTS = {np.dtype(np.uint8): _UNSIGNED_BYTE, np.dtype(np.uint16): _UNSIGNED_SHORT, np.dtype("f4"): _FLOAT}
_SHAPES = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
_MAGIC, _VERSION, _JSON, _BINARY = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
# A spindle is this thick as a share of its length, and thickest at this share of it, measured from the parent.
_THICKNESS, _THICKEST = 0.07, 0.2
# The triangles between the six corners of a spindle: both ends, and four around its thickest part.
_TRIANGLES = [(end, 2 + side, 2 + (side + 1) % 4) for end in (0, 1) for side in range(4)]


class _Buffer:
    """The binary part of a file, and the accessors that describe its content."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(self, array: np.ndarray, bounds: bool = False, target: int | None = None) -> int:
        """Append an array, its rows aligned as the format demands; returns the number of its accessor."""
        content = array.tobytes()
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(content)}
        self.views.append(view if target is None else view | {"target": target})
        self.data += content + bytes(-len(content) % 4)
        accessor = {
            "bufferView": len(self.views) - 1,
            "componentType": _COMPONENTS[array.dtype],
            "count": len(array),
            "type": _SHAPES[array.shape[1:]],
        }
        if bounds:
            accessor |= {"min": np.atleast_1d(array.min(0)).tolist(), "max": np.atleast_1d(array.max(0)).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def glb_bytes(lifted: LiftedTrack, video_start_s: float | None = None, fps: float | None = None) -> bytes:
    """The content of the GLB file.

    Args:
        lifted: The track.
        video_start_s: When the video begins, s: times count from there. None: they count from the first frame of the
            track.
        fps: Frame rate; None: that of the track.
    """
    motion = motion_of(lifted, fps)
    bones = bones_of(motion)
    parents, buffer = _parents(bones), _Buffer()
    first = motion.frames_before(video_start_s)
    rest = np.zeros((len(bones), 3))
    for number, (bone, parent) in enumerate(zip(bones, parents, strict=True)):
        rest[number] = bone.offset + (rest[parent] if parent >= 0 else 0)
    figure = len(bones)
    document = {
        "asset": {"version": "2.0", "generator": f"Raylift {schemas.__version__}", "extras": _origin(lifted)},
        "scene": 0,
        "scenes": [{"nodes": [0, figure]}],
        "nodes": [*_nodes(bones, parents, lifted), {"name": f"person {lifted.person}", "mesh": 0, "skin": 0}],
        "meshes": [{"primitives": [_primitive(bones, parents, rest, buffer)]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorFactor": [0.3, 0.6, 0.8, 1], "metallicFactor": 0}}],
        "skins": [_skin(rest, buffer)],
        "animations": [_animation(motion, bones, first, buffer)],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    return _container(document, bytes(buffer.data))


def _origin(lifted: LiftedTrack) -> dict[str, Any]:
    return {"video": redact(lifted.video), "person": lifted.person, "model": lifted.model}


def _parents(bones: Sequence[Bone]) -> list[int]:
    """The number of each bone's parent, -1 for the root; bones come before their descendants."""
    above: list[int] = []
    parents = []
    for number, bone in enumerate(bones):
        del above[bone.depth :]
        parents.append(above[-1] if above else -1)
        above.append(number)
    return parents


def _nodes(bones: Sequence[Bone], parents: Sequence[int], lifted: LiftedTrack) -> list[dict[str, Any]]:
    joints, scores = layout(lifted.layout).joints, lifted.joint_scores
    means = {} if scores is None else dict(zip(joints, scores.mean(0, dtype=np.float64).tolist(), strict=True))
    nodes: list[dict[str, Any]] = []
    for number, bone in enumerate(bones):
        children = [child for child, parent in enumerate(parents) if parent == number]
        node: dict[str, Any] = {"name": bone.name, "translation": bone.offset.tolist()}
        node |= {"children": children} if children else {}
        node |= {"extras": {"mean_score": round(means[bone.name], 3)}} if bone.name in means else {}
        nodes.append(node)
    return nodes


def _primitive(
    bones: Sequence[Bone], parents: Sequence[int], rest: Float64[np.ndarray, "bones 3"], buffer: _Buffer
) -> dict[str, Any]:
    """The mesh: a spindle from each bone's parent to it, which moves with the parent."""
    ends = [(parents[number], rest[number]) for number, bone in enumerate(bones) if np.linalg.norm(bone.offset) > 0]
    ends += [(number, rest[number] + bone.end_site) for number, bone in enumerate(bones) if bone.end_site is not None]
    corners = [_spindle(rest[owner], end) for owner, end in ends]
    triangles = np.concatenate([np.array(_TRIANGLES) + 6 * number for number in range(len(ends))])
    owners = np.zeros((6 * len(ends), 4), np.uint8)
    owners[:, 0] = np.repeat([owner for owner, _ in ends], 6)
    weights = np.zeros((6 * len(ends), 4), np.float32)
    weights[:, 0] = 1
    return {
        "attributes": {
            "POSITION": buffer.add(np.concatenate(corners).astype(np.float32), bounds=True, target=_VERTICES),
            "JOINTS_0": buffer.add(owners, target=_VERTICES),
            "WEIGHTS_0": buffer.add(weights, target=_VERTICES),
        },
        "indices": buffer.add(triangles.ravel().astype(np.uint16), target=_INDICES),
        "material": 0,
    }


def _spindle(start: Float64[np.ndarray, " 3"], end: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, "6 3"]:
    along = end - start
    across = unit(np.cross(along, np.eye(3)[np.argmin(abs(along))]))
    other = unit(np.cross(along, across))
    around = np.array([across, other, -across, -other]) * _THICKNESS * np.linalg.norm(along)
    return np.concatenate([[start, end], start + _THICKEST * along + around])


def _skin(rest: Float64[np.ndarray, "bones 3"], buffer: _Buffer) -> dict[str, Any]:
    to_bone = np.tile(np.eye(4, dtype=np.float32), (len(rest), 1, 1))
    to_bone[:, 3, :3] = -rest  # the format stores matrices by columns
    return {"inverseBindMatrices": buffer.add(to_bone), "joints": list(range(len(rest))), "skeleton": 0}


def _animation(motion: Motion, bones: Sequence[Bone], first: int, buffer: _Buffer) -> dict[str, Any]:
    times = ((first + np.arange(len(motion.joints))) * motion.frame_time_s).astype(np.float32)
    keys = buffer.add(times, bounds=True)
    channels = [(0, "translation", buffer.add(motion.root.astype(np.float32)))]
    channels += [
        (number, "rotation", buffer.add(_quaternions(bone.rotations)))
        for number, bone in enumerate(bones)
        if bone.end_site is None
    ]
    return {
        "name": "motion",
        "samplers": [{"input": keys, "output": values, "interpolation": "LINEAR"} for _, _, values in channels],
        "channels": [
            {"sampler": sampler, "target": {"node": node, "path": path}}
            for sampler, (node, path, _) in enumerate(channels)
        ],
    }


def _quaternions(rotations: Float64[np.ndarray, "frames 3 3"]) -> np.ndarray:
    """Rotations as x y z w; of the two equivalent quaternions, the one nearer to the previous frame's."""
    values = Rotation.from_matrix(rotations).as_quat()
    turned = np.cumsum((values[1:] * values[:-1]).sum(-1) < 0) % 2 == 1
    values[1:][turned] *= -1
    return values.astype(np.float32)


def _container(document: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    header = struct.pack("<III", _MAGIC, _VERSION, 12 + 8 + len(text) + 8 + len(binary))
    return b"".join(
        [header, struct.pack("<II", len(text), _JSON), text, struct.pack("<II", len(binary), _BINARY), binary]
    )
