import json
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from pipelines.annotations import mat_files
from pipelines.annotations.mat_files import read_mat
from pipelines.annotations.mpii import read_mpii
from schemas.errors import UserError


def person(**changes):
    return {
        "image": "b.jpg",
        "center": [101.0, 51.0],
        "scale": 0.5,
        "joints": [[91.0 + j, 21 + 4.0 * j] for j in range(16)],
        "joints_vis": [1] * 15 + [0],
        "head_box": [10, 10, 13, 14],
    } | changes


def write(folder, *people):
    (folder / "valid.json").write_text(json.dumps(people))
    return str(folder / "valid.json")


def write_mat(folder, count, **changes):
    random = np.random.default_rng(0)
    variables = {
        "headboxes_src": random.uniform(1, 50, (2, 2, count)),
        "pos_gt_src": random.uniform(1, 200, (16, 2, count)),
        "jnt_missing": random.integers(0, 2, (16, count)),
    }
    scipy.io.savemat(folder / "gt_valid.mat", {k: v for k, v in (variables | changes).items() if v is not None})
    return variables


def test_coordinates_count_from_0_and_boxes_are_as_published(tmp_path):
    people = read_mpii(write(tmp_path, person(), person(image="a.jpg", scale=2)))
    assert people.images == ("a.jpg", "b.jpg")
    assert people.image_rows.tolist() == [1, 0]
    assert people.keypoints[0, 3].tolist() == [93, 32]
    assert people.annotated[0].tolist() == [True] * 15 + [False]
    # Centre (101, 51 + 15 · 0.5) less 1, 200 · 0.5 px wide.
    np.testing.assert_allclose(people.boxes[0], [50, 7.5, 150, 107.5])
    assert people.head_sizes_px is not None
    np.testing.assert_allclose(people.head_sizes_px, 0.6 * 5)


def test_heads_and_joints_agree_with_the_published_evaluation_code(tmp_path):
    variables = write_mat(tmp_path, 3)
    people = read_mpii(write(tmp_path, *[person()] * 3))
    heads = variables["headboxes_src"]
    assert people.head_sizes_px is not None
    np.testing.assert_allclose(people.head_sizes_px, 0.6 * np.linalg.norm(heads[1] - heads[0], axis=0), rtol=1e-6)
    np.testing.assert_allclose(people.keypoints[2, 5], variables["pos_gt_src"][5, :, 2] - 1, rtol=1e-6)
    assert people.annotated.tolist() == (variables["jnt_missing"].T == 0).tolist()


def test_without_heads(tmp_path):
    alone = person()
    del alone["head_box"]
    assert read_mpii(write(tmp_path, alone)).head_sizes_px is None


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ([], "is a list of people"),
        ([person(), 3], "number 1: "),
        ([person(joints=[[1, 2]])], "number 0: joints must be 16 times x, y"),
        ([{k: v for k, v in person().items() if k != "scale"}], "number 0: has no 'scale'"),
        ([person(center=[1.0, float("nan")])], "number 0: holds a number that is not finite"),
        ([person(head_box=[1, 2])], "number 0: head_box must be"),
    ],
)
def test_what_is_wrong_is_reported_in_a_line(people, message, tmp_path):
    with pytest.raises(UserError, match=message):
        read_mpii(write(tmp_path, *people))


def test_a_mat_file_of_another_form_is_an_error(tmp_path):
    uri = write(tmp_path, person(), person())
    write_mat(tmp_path, 3)
    with pytest.raises(UserError, match=r"headboxes_src is \(2, 2, 3\), \(2, 2, 2\) would fit the 2 people"):
        read_mpii(uri)
    write_mat(tmp_path, 2, jnt_missing=None)
    with pytest.raises(UserError, match="holds no 'jnt_missing'"):
        read_mpii(uri)
    write_mat(tmp_path, 2)
    whole = (tmp_path / "gt_valid.mat").read_bytes()
    for damaged in (b"not a mat", b"", b"not a mat " * 100, whole[:200], whole[: len(whole) // 2]):
        (tmp_path / "gt_valid.mat").write_bytes(damaged)
        with pytest.raises(UserError, match=r"is no \.mat file|holds no"):
            read_mpii(uri)
    with pytest.raises(UserError, match=r"head_boxes=other\.mat: cannot be read"):
        read_mpii(uri, "other.mat")


def test_a_variable_that_nobody_uses_takes_no_memory(tmp_path):
    uri = write(tmp_path, person())
    variables = write_mat(tmp_path, 1)
    scipy.io.savemat(tmp_path / "gt_valid.mat", variables | {"unused": np.zeros(3_000_000)}, do_compression=True)
    tracemalloc.start()
    try:
        read_mpii(uri, str(tmp_path / "gt_valid.mat"))
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_variables_that_unpack_to_gigabytes_are_one_line(tmp_path, monkeypatch):
    uri = write(tmp_path, person())
    variables = write_mat(tmp_path, 1) | {"headboxes_src": np.zeros((2, 2, 750_000))}
    scipy.io.savemat(tmp_path / "gt_valid.mat", variables, do_compression=True)
    monkeypatch.setattr(mat_files, "_MOST_BYTES", 20_000_000)
    with pytest.raises(UserError, match=r"can be read: its variables unpack to more than 20 MB; give gt_valid.mat"):
        read_mpii(uri, str(tmp_path / "gt_valid.mat"))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_mat_file_is_read_without_compiled_code_and_damage_ends_no_process(tmp_path, compressed):
    kinds = {"f8": np.float64, "f4": np.float32, "u1": np.uint8, "i2": np.int16, "b": np.bool_}
    arrays = {name: np.arange(12).reshape(2, 3, 2).astype(kind) for name, kind in kinds.items()}
    file = tmp_path / "a.mat"
    scipy.io.savemat(file, arrays | {"text": "abc", "cell": {"x": 1}}, do_compression=compressed)
    whole = file.read_bytes()
    read = read_mat(whole, list(arrays))
    assert {name: array.tolist() for name, array in read.items()} == {
        n: a.astype(int).tolist() for n, a in arrays.items()
    }
    with pytest.raises(ValueError, match="text holds no real numbers"):
        read_mat(whole, ["text"])
    # SciPy's reader crashed on some of these: four changed bytes were enough.
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        for place in random.integers(124, len(damaged), 4):
            damaged[place] = random.integers(256)
        with suppress(ValueError):
            read_mat(bytes(damaged), list(arrays))


def test_nothing_else_reads_mat_files():
    sources = Path(mat_files.__file__).parents[1].rglob("*.py")
    assert [file.name for file in sources if "scipy.io" in file.read_text()] == []
