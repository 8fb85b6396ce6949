"""Positions in any unit, with any axis up, become the same metres with z up; what is decided is said."""

import numpy as np
import pytest
from moving_people import H36M, walking
from pose_files import save_npz

from pipelines.datasets.mocap17 import Mocap17
from pipelines.datasets.world import World, read_positions, unit_of

TURNED = {
    "z": lambda m: m,
    "-z": lambda m: m * (1, -1, -1),
    "y": lambda m: np.stack([m[..., 0], m[..., 2], -m[..., 1]], -1),
    "-y": lambda m: np.stack([m[..., 0], -m[..., 2], m[..., 1]], -1),
    "x": lambda m: np.stack([m[..., 2], m[..., 1], -m[..., 0]], -1),
    "-x": lambda m: np.stack([-m[..., 2], m[..., 1], m[..., 0]], -1),
}


@pytest.mark.parametrize(("unit", "factor"), [("m", 1), ("cm", 100), ("mm", 1000), ("inch", 1 / 0.0254)])
@pytest.mark.parametrize("up", list(TURNED))
def test_auto_finds_unit_and_axis_and_says_so(unit, factor, up):
    motion = TURNED[up](walking()) * factor
    world = World("auto", "auto", [motion], H36M)
    assert np.allclose(world.convert(motion), walking(), atol=1e-4)
    assert [note.split(":")[0] for note in world.notes] == ["source.unit"] * (unit != "m") + ["source.up"] * (up != "z")
    assert all(unit in note for note in world.notes[:1] if unit != "m")
    stated_world = World(unit, up, [], H36M)
    assert np.allclose(stated_world.convert(motion), walking(), atol=1e-4)
    assert stated_world.notes == []


def test_a_unit_may_be_a_number():
    assert np.allclose(World(0.05644, "z", [], H36M).convert(walking() / 0.05644), walking(), atol=1e-4)


@pytest.mark.parametrize(
    ("stature", "unit"),
    [
        *((1.6, "m"), (0.9, "m"), (160.0, "cm"), (64.0, "inch"), (1600.0, "mm"), (900.0, "mm")),
        *((30.0, None), (16.0, None), (float("nan"), None)),
    ],
)
def test_the_unit_follows_from_the_stature(stature, unit):
    assert unit_of(stature) == unit


def test_people_who_lie_keep_their_axis():
    lying = np.stack([walking()[..., 2], walking()[..., 1], walking()[..., 0]], -1)
    both = [walking(), lying, lying * (-1, 1, 1), lying, lying * (-1, 1, 1)]
    assert World("auto", "auto", both, H36M).notes == []


def test_missing_joints_are_those_that_are_zero_or_not_finite():
    motion = walking()
    motion[:, 0] = 0  # relative to the pelvis
    motion[3, 5] = 0
    motion[4, 6, 1] = np.inf
    missing = np.isnan(read_positions("f", motion, "positions", 17)).all(-1)
    assert [tuple(place) for place in np.argwhere(missing)] == [(3, 5), (4, 6)]


def test_mocap_in_any_unit_gives_the_same_tracks(tmp_path):
    def tracks(motion, **options):
        file = save_npz(tmp_path / "mocap.npz", positions_3d={"S1": {"walk": motion.astype(np.float32)}})
        source = Mocap17(Mocap17.Config(positions=file, noise_px=0, views=1, **options))
        return list(source.tracks()), source.notes

    (metres,), notes = tracks(walking())
    assert notes == []
    (inches,), notes = tracks(TURNED["y"](walking()) / 0.0254)
    assert metres.positions is not None
    assert inches.positions is not None
    assert np.allclose(metres.positions, inches.positions, atol=1e-3)
    assert notes[0].startswith("source.unit: people are 64")
    assert "taken as inch: 1.6" in notes[0]
    assert notes[1].startswith("source.up: heads are above ankles along y, by ")
    motion = walking()
    motion[5, 2] = np.nan
    (one,), _ = tracks(motion)
    assert one.positions is not None
    assert np.isnan(one.positions[5, 2]).all()
    assert np.isfinite(np.delete(one.positions, 5, axis=0)).all()


def test_a_joint_that_is_a_hundred_kilometres_away_is_missing():
    """Cameras that see it would be sought for hours."""
    people = np.random.default_rng(0).normal(0, 1, (3, 17, 3))
    people[1, 2, 0] = 1e38
    converted = World("mm", "y", [], H36M).convert(people)
    assert np.argwhere(np.isnan(converted).any(axis=-1)).tolist() == [[1, 2]]
