"""DeepLabCut's HDF5 files, as pandas 3.1 and PyTables 3.11 wrote those in samples/, each beside the same table as CSV.

table.to_hdf(file, key="df_with_missing", mode="w", format="table")  # as DeepLabCut does; or "fixed"
"""

import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from files_of_others import only

from pipelines.keypoint_files import deeplabcut
from pipelines.keypoint_files.formats import DeepLabCut
from pipelines.keypoint_files.source import NamedKeypointsConfig
from schemas.errors import UserError

SAMPLES = Path(__file__).parent / "samples"
NAMES = {"hipL": "left_hip", "hipR": "right_hip"}


@pytest.fixture(params=["table", "fixed"])
def sample(request, tmp_path):
    """A copy of a sample that may be changed."""
    file = tmp_path / "walkDLC.h5"
    file.write_bytes((SAMPLES / f"walkDLC_{request.param}.h5").read_bytes())
    return file


@pytest.mark.parametrize(("form", "people"), [("table", 2), ("fixed", 1)])
def test_a_file_says_what_its_csv_says(form, people):
    video, expected = (only(deeplabcut.read(f"{SAMPLES}/walkDLC_{form}.{end}", NAMES)) for end in ("h5", "csv"))
    assert (video.name, video.layout.name, list(video.frames)) == ("walk", "coco17", [0, 1, 2, 3])
    for number, in_frame in video.frames.items():
        assert len(in_frame) == people
        np.testing.assert_array_equal(in_frame.keypoints, expected.frames[number].keypoints)
        np.testing.assert_array_equal(in_frame.keypoint_scores, expected.frames[number].keypoint_scores)


def test_of_a_table_that_is_there_twice_one_is_read(tmp_path):
    for name in ("walkDLC_table.h5", "walkDLC_table.csv", "walkDLC_fixed.h5"):
        (tmp_path / name).write_bytes((SAMPLES / name).read_bytes())
    source = DeepLabCut(DeepLabCut.Config(files=str(tmp_path)))
    assert sorted(file.rpartition("/")[2] for file in source.files_in(str(tmp_path))) == [
        "walkDLC_fixed.h5",
        "walkDLC_table.csv",
    ]


class Harm:
    def __reduce__(self):
        return (Path.touch, (Path("harmed"),))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (pickle.dumps([Harm()], protocol=0), "a pickle with GLOBAL, which is not followed"),
        (b"(lp0\n(Vone\nVNose\nVx\ntp1\na", "pickle exhausted before seeing STOP"),
        (b"a.", "pop from empty list"),
        (b"(lp0\ng0\na.", "names on several levels"),
        (pickle.dumps(["x", "y"], protocol=0), "names on several levels"),
        (pickle.dumps([("one", "Nose", "x")], protocol=0), "do not fit together"),
        (pickle.dumps([("one", "Nose", "x", "y", "z")] * 36, protocol=0), "must be scorer,"),
    ],
)
def test_names_that_are_no_lists_of_texts_are_one_line(names, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "walkDLC.h5"
    file.write_bytes((SAMPLES / "walkDLC_table.h5").read_bytes())
    with h5py.File(file, "a") as changed:
        changed["df_with_missing/table"].attrs["values_block_0_kind"] = np.bytes_(names)
    with pytest.raises(UserError, match=f"walkDLC.h5: is not DeepLabCut's: .*{message}"):
        only(deeplabcut.read(str(file), NAMES))
    assert not Path("harmed").exists()


@pytest.mark.parametrize("kind", ["group", "array", "external"])
def test_a_file_opens_no_other_file(kind, sample, tmp_path):
    name = "table" if "df_with_missing/table" in h5py.File(sample) else "block0_values"
    secret = tmp_path / "secret.h5"
    secret.write_bytes(sample.read_bytes())
    with h5py.File(sample, "a") as file:
        array: Any = file[f"df_with_missing/{name}"]
        shape, dtype = array.shape, array.dtype
        if kind == "group":
            del file["df_with_missing"]
            file["df_with_missing"] = h5py.ExternalLink(str(secret), "/df_with_missing")
        else:
            attributes = dict(array.attrs)
            del file[f"df_with_missing/{name}"]
            if kind == "array":
                file[f"df_with_missing/{name}"] = h5py.ExternalLink(str(secret), f"/df_with_missing/{name}")
            else:
                outside = [(str(secret), 0, 4 * 36 * 16)]
                made = file.create_dataset(f"df_with_missing/{name}", shape, dtype, external=outside)
                made.attrs.update(attributes)
    with pytest.raises(UserError, match=r"is not DeepLabCut's: \w+ is (a link|kept in other files)"):
        only(deeplabcut.read(str(sample), NAMES))


def test_a_claim_of_size_fills_no_memory(sample):
    with h5py.File(sample, "a") as file:
        group: Any = file["df_with_missing"]
        name = "table" if "table" in group else "block0_values"
        dtype = group[name].dtype
        shape = (10**8,) if name == "table" else (10**8, 18)
        del group[name]
        group.create_dataset(name, shape, dtype, chunks=True, compression="gzip")
    with pytest.raises(UserError, match=r"has [\d,]+ bytes, at most 2,000,000,000 are read"):
        only(deeplabcut.read(str(sample), NAMES))


def test_other_files_are_one_line(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"not HDF5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["tracks"] = np.zeros((1, 2, 5, 4))
    for name, message in (("a.h5", "file signature not found"), ("b.h5", "it holds 0 tables of pandas, must be 1")):
        with pytest.raises(UserError, match=f"{name}: is not DeepLabCut's: .*{message}"):
            only(deeplabcut.read(f"{tmp_path}/{name}", {}))
    with pytest.raises(UserError, match=r"must be DeepLabCut's CSV or HDF5 file"):
        only(deeplabcut.read("walk.npz", {}))


def test_a_damaged_file_is_one_line_or_a_value(sample):
    """Every byte that says how the file is laid out, changed."""
    honest = sample.read_bytes()
    places = np.random.default_rng(0).choice(min(len(honest), 12_000), 150, replace=False)
    for place in places:
        sample.write_bytes(honest[:place] + bytes([honest[place] ^ 0xFF]) + honest[place + 1 :])
        source = DeepLabCut(NamedKeypointsConfig(files=str(sample), width=640, height=480, fps=30, names=NAMES))
        with suppress(UserError):
            list(source.tracks())
