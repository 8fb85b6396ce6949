"""Files of poses whose values are of other kinds than their format has: `import_poses` ends with one line."""

from typing import Any

import numpy as np
import pytest
from datasets.pose_files import COCO_SYMMETRY, H36M_SYMMETRY, camera_json, noise, save_npz

from pipelines.datasets.human36m import Human36M
from pipelines.import_poses import run
from pipelines.import_poses.run import prepare, survey
from schemas.configs.import_poses import ImportPosesConfig
from schemas.errors import UserError

IMAGE = [noise(6, 17, 2)] * 4
NAMED = {"layout_name": "h36m", "keypoints_symmetry": H36M_SYMMETRY}


def imported(folder, source: dict[str, Any]) -> None:
    survey(prepare(ImportPosesConfig.model_validate({"source": source, "output": str(folder / "out")})))


@pytest.mark.parametrize(
    ("views", "metadata"),
    [
        (5, NAMED),
        (np.array(3.0), NAMED),
        ({str(number): view for number, view in enumerate(IMAGE)}, NAMED),
        (IMAGE, {"num_joints": "x", "keypoints_symmetry": H36M_SYMMETRY}),
        (IMAGE, {"num_joints": [1], "keypoints_symmetry": H36M_SYMMETRY}),
        (IMAGE, {"keypoints_symmetry": [[float("inf")], [1]]}),
        (IMAGE, {"layout_name": np.zeros(5), "keypoints_symmetry": H36M_SYMMETRY}),
    ],
    ids=["a number", "an array", "a dict", "joints x", "a list of joints", "joint inf", "an array as name"],
)
def test_a_pair_of_files_that_holds_something_else_is_one_line(tmp_path, views, metadata):
    positions = save_npz(tmp_path / "data_3d_h36m.npz", positions_3d={"S1": {"Walk": noise(6, 32, 3)}})
    keypoints = save_npz(tmp_path / "data_2d.npz", positions_2d={"S1": {"Walk": views}}, metadata=metadata)
    with pytest.raises(UserError, match=r"source=human36m: its files are not of this format|no known") as error:
        imported(tmp_path, {"name": "human36m", "positions": positions, "keypoints": keypoints})
    assert "\n" not in str(error.value)


def test_a_motion_without_frames_is_no_motion(tmp_path):
    positions = save_npz(tmp_path / "data_3d_h36m.npz", positions_3d={"S1": {"Walk": noise(6, 32, 3)[:0]}})
    with pytest.raises(UserError, match="its files give no tracks"):
        imported(tmp_path, {"name": "human36m", "positions": positions})


@pytest.mark.parametrize(
    "sequence", [np.array(5), {"0": {"data_3d": noise(6, 17, 3), "data_2d": noise(6, 17, 2), "valid": [[1], [1, 2]]}}]
)
def test_a_sequence_that_is_something_else_is_one_line(tmp_path, sequence):
    arrays = save_npz(tmp_path / "a.npz", data={"S1 Seq1": sequence})
    with pytest.raises(UserError, match="source=mpi_inf_3dhp: its files are not of this format"):
        imported(tmp_path, {"name": "mpi_inf_3dhp", "arrays": arrays, "fps": 25})


LENS = {"width": 1000, "height": 1000, "intrinsics": {"fx": 1100.0, "fy": 1100.0, "cx": 500, "cy": 500}}
PLACE = {"orientation": [1.0, 0.0, 0.0, 0.0], "translation_m": [0.0, 0.0, 5.0]}


@pytest.mark.parametrize(
    ("lens", "place", "names", "reason"),
    [
        (LENS | {"width": 10**400}, PLACE, 1, "width"),
        (LENS | {"width": 10**18}, PLACE, 1, "width"),
        (LENS, PLACE | {"translation_m": [float("inf"), 0, 0]}, 1, "translation_m"),
        (LENS, PLACE | {"translation_m": [1e300, 0, 0]}, 1, "translation_m"),
        (LENS, PLACE | {"orientation": [float("nan")] * 4}, 1, "orientation"),
        (LENS, PLACE, 20_000, "cameras"),
    ],
    ids=["an endless width", "a huge width", "infinitely far", "far", "no orientation", "20,000 cameras"],
)
def test_a_camera_that_nobody_has_is_one_line(tmp_path, lens, place, names, reason):
    positions = save_npz(tmp_path / "data_3d_h36m.npz", positions_3d={"S1": {"Walk": noise(6, 32, 3)}})
    cameras = {f"c{number}": lens for number in range(names)}
    table = camera_json(tmp_path / "c.json", cameras=cameras, extrinsics={"S1": dict.fromkeys(cameras, place)})
    with pytest.raises(UserError, match=rf"source.cameras=.*c.json: .*{reason}"):
        imported(tmp_path, {"name": "human36m", "positions": positions, "cameras": table})


def test_an_output_with_a_file_that_is_no_parquet_is_one_line(tmp_path):
    positions = save_npz(tmp_path / "data_3d_h36m.npz", positions_3d={"S1": {"Walk": noise(6, 32, 3)}})
    (tmp_path / "out" / "tracks").mkdir(parents=True)
    (tmp_path / "out" / "tracks" / "a.parquet").write_text("hello")
    with pytest.raises(UserError, match=r"a.parquet: cannot be read as a Parquet file: .*; remove it"):
        imported(tmp_path, {"name": "human36m", "positions": positions})


def test_tracks_are_read_once_where_they_are_small_and_are_the_same(tmp_path, monkeypatch):
    """A crowd of fifty, or thousands of people, take the time that they take once, not twice."""
    readings, reports, read = [], [], Human36M.tracks
    monkeypatch.setattr(Human36M, "tracks", lambda source: (readings.append("read"), read(source))[1])
    positions = save_npz(tmp_path / "data_3d_h36m.npz", positions_3d={})
    views = [100 + 50 * noise(6, 17, 2, seed=camera) for camera in range(4)]
    metadata = {"num_joints": 17, "keypoints_symmetry": COCO_SYMMETRY}
    keypoints = save_npz(tmp_path / "data_2d.npz", positions_2d={"S2": {"Eating": views}}, metadata=metadata)
    source = {"name": "human36m", "positions": positions, "keypoints": keypoints}
    for kept_bytes in (run._KEPT_BYTES, 0):
        monkeypatch.setattr(run, "_KEPT_BYTES", kept_bytes)
        job = prepare(ImportPosesConfig.model_validate({"source": source, "output": str(tmp_path / str(kept_bytes))}))
        reports.append(run.execute(job, survey(job), lambda progress: None))
        readings.append("written")
    assert readings == ["read", "written", "read", "read", "written"]
    first, second = ({name: report[name] for name in ("digest", "notes", "frames")} for report in reports)
    assert first == second
    assert first["frames"] == 24
