"""Exported glTF, read by an independent parser, moves its nodes and its skinned mesh as the track moves."""

from typing import Any

import numpy as np
import pygltflib
import pytest
from scipy.spatial.transform import Rotation
from tracks.lifted_samples import lifted, standing

from pipelines.export.glb import glb_bytes
from pipelines.synthetic.motion import generate_motion
from schemas.layouts import LAYOUTS, layout

DTYPES = {5121: np.uint8, 5123: np.uint16, 5126: np.float32}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}
H36M = layout("h36m17")


def read(content: bytes) -> Any:
    return pygltflib.GLTF2.load_from_bytes(content)


def values(gltf: Any, number: int) -> np.ndarray:
    """What an accessor says."""
    accessor = gltf.accessors[number]
    view, dtype = gltf.bufferViews[accessor.bufferView], np.dtype(DTYPES[accessor.componentType])
    assert view.byteOffset % 4 == 0
    width = WIDTHS[accessor.type]
    flat = np.frombuffer(gltf.binary_blob(), dtype, accessor.count * width, view.byteOffset)
    return flat.reshape(accessor.count, width)


def worlds(gltf: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Key times, and the matrices (frames, 4, 4) of all nodes by name while the animation plays."""
    animation = gltf.animations[0]
    times = values(gltf, animation.samplers[0].input)[:, 0]
    moved = {
        (channel.target.node, channel.target.path): values(gltf, animation.samplers[channel.sampler].output)
        for channel in animation.channels
    }
    matrices: dict[str, np.ndarray] = {}

    def place(number: int, above: np.ndarray) -> None:
        node, local = gltf.nodes[number], np.tile(np.eye(4), (len(times), 1, 1))
        local[:, :3, 3] = moved.get((number, "translation"), node.translation or [0, 0, 0])
        local[:, :3, :3] = Rotation.from_quat(moved.get((number, "rotation"), [0, 0, 0, 1])).as_matrix()
        matrices[str(node.name)] = above @ local
        for child in node.children or []:
            place(child, matrices[str(node.name)])

    for root in gltf.scenes[gltf.scene].nodes:
        place(root, np.eye(4))
    return times, matrices


@pytest.mark.parametrize("action", ["walk", "sit"])
def test_nodes_are_where_the_joints_are(action):
    world = generate_motion(11, 2.0, 30.0, action).positions
    camera = world @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]).T + [0, 0, 5]
    track = lifted(
        len(world),
        positions=(camera - camera[:, :1]).astype(np.float32),
        trajectory=camera[:, 0].astype(np.float32),
    )
    times, matrices = worlds(read(glb_bytes(track)))
    assert times == pytest.approx(track.timestamps_s, abs=1e-4)
    for index, name in enumerate(H36M.joints):
        assert matrices[name][:, :3, 3] == pytest.approx(camera[:, index] * [1, -1, -1], abs=1e-3)


def test_the_skinned_mesh_moves_with_the_joints():
    track = standing()
    gltf = read(glb_bytes(track))
    _, matrices = worlds(gltf)
    mesh = gltf.meshes[0].primitives[0].attributes
    corners, owners = values(gltf, mesh.POSITION), values(gltf, mesh.JOINTS_0)[:, 0]
    assert values(gltf, mesh.WEIGHTS_0).sum(1) == pytest.approx(1)
    bound = values(gltf, gltf.skins[0].inverseBindMatrices).reshape(-1, 4, 4).swapaxes(1, 2)
    names = [str(gltf.nodes[node].name) for node in gltf.skins[0].joints]
    now = np.stack([matrices[name][0] for name in names]) @ bound
    moved = np.einsum("nij,nj->ni", now[owners], np.c_[corners, np.ones(len(corners))])[:, :3]
    assert track.trajectory is not None
    for joint in ("left_knee", "right_ankle", "left_shoulder"):
        there = (track.positions[0, H36M.index(joint)] + track.trajectory[0]) * [1, -1, -1]
        assert np.linalg.norm(moved - there, axis=-1).min() < 1e-3, "a spindle ends at the joint"
    assert values(gltf, gltf.meshes[0].primitives[0].indices).max() < len(corners)


def test_who_comes_later_moves_later_and_scores_are_told():
    later = standing(start_frame=150, timestamps_s=5 + np.arange(20) / 30)
    gltf = read(glb_bytes(later, video_start_s=0.0))
    assert worlds(gltf)[0][0] == pytest.approx(5, abs=1e-5)
    assert {node.name: node.extras for node in gltf.nodes}["left_knee"] == {"mean_score": 0.9}
    assert gltf.accessors[gltf.animations[0].samplers[0].input].min == pytest.approx([5], abs=1e-5)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_has_a_figure(name):
    positions = np.random.default_rng(0).normal(0, 0.5, (2, len(layout(name)), 3)).astype(np.float32)
    gltf = read(glb_bytes(lifted(2, layout=name, positions=positions, fps=float("nan"))))
    assert set(layout(name).joints) < {node.name for node in gltf.nodes}
