"""Files of others: arrays come through, everything else is refused by name, whatever is broken is one line."""

import io
import os
import pickle
import time
import zipfile

import numpy as np
import pytest
from datasets.pose_files import save_npz
from numpy._core.multiarray import _reconstruct, scalar  # pyright: ignore[reportAttributeAccessIssue]

from pipelines.io import npz
from pipelines.io.npz import mapping, numbers, read_npz
from schemas.errors import UserError


def npz_of_pickle(path, data: bytes) -> str:
    """An npz with an object array `a` whose pickle is given."""
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "|O", "fortran_order": False, "shape": ()})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", member.getvalue() + data)
    return str(path)


def boxed(value) -> np.ndarray:
    array = np.empty((), object)
    array[()] = value
    return array


def test_arrays_dicts_and_scalars_come_through(tmp_path):
    value = {"S1": {"Walk": [np.arange(6.0).reshape(2, 3), np.float32(2)], "meta": ("x", 1, None, True, b"\xff")}}
    arrays = read_npz(save_npz(tmp_path / "f.npz", a=boxed(value), plain=np.eye(2), rows=boxed([np.ones(2)])), "a")
    assert np.array_equal(arrays["a"]["S1"]["Walk"][0], [[0, 1, 2], [3, 4, 5]])
    assert arrays["a"]["S1"]["Walk"][1] == 2
    assert arrays["a"]["S1"]["meta"] == ("x", 1, None, True, b"\xff")
    assert np.array_equal(arrays["plain"], np.eye(2))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("module", [b"numpy.core", b"numpy._core"])
def test_every_protocol_and_both_names_of_numpys_core(tmp_path, protocol, module):
    value = {"a": np.arange(4, dtype=np.float32), "b": np.float64(0.5), "c": boxed(b"\xe9")}
    data = pickle.dumps(boxed(value), protocol)
    # Protocols from 4 on count the bytes of a name and of the frame around it.
    if protocol < 4:
        data = data.replace(b"numpy._core", module)
    loaded = read_npz(npz_of_pickle(tmp_path / "f.npz", data))["a"]
    assert loaded["a"].tolist() == [0, 1, 2, 3]
    assert loaded["b"] == 0.5


def test_strings_of_python_2_are_read(tmp_path):
    # {'S\xe9': array([1., 2.])} as Python 2 pickles it: strings, also those of the array's bytes, are short strings.
    data = (
        b"}q\x00U\x02S\xe9cnumpy.core.multiarray\n_reconstruct\nq\x01(cnumpy\nndarray\nq\x02K\x00\x85U\x01bt"
        b"Rq\x03(K\x01K\x02\x85cnumpy\ndtype\nq\x04U\x02f8K\x00K\x01\x87Rq\x05(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x10"
    )
    data = b"\x80\x02" + data + np.array([1.0, 2.0]).tobytes() + b"tbs."
    assert read_npz(npz_of_pickle(tmp_path / "f.npz", data))["a"]["Sé"].tolist() == [1, 2]


class Malicious:
    def __init__(self, call, *arguments):
        self._reduced = (call, arguments)

    def __reduce__(self):
        return self._reduced


@pytest.mark.parametrize(
    ("call", "arguments", "named"),
    [
        (os.system, ("touch {}",), "posix.system"),
        (eval, ("open({!r}, 'w')",), "builtins.eval"),
        (getattr, ("", "format"), "builtins.getattr"),
        (np.load, ("{}",), "numpy.load"),
        (np.memmap, ("{}", "f8", "w+", 0, (1,)), "numpy.memmap"),
    ],
)
def test_anything_but_arrays_is_refused_by_name(tmp_path, call, arguments, named):
    target = tmp_path / "harm"
    arguments = [a.format(str(target)) if isinstance(a, str) else a for a in arguments]
    file = npz_of_pickle(tmp_path / "f.npz", pickle.dumps({"S1": Malicious(call, *arguments)}))
    with pytest.raises(UserError, match=rf"f.npz: refused: it holds {named}, and only NumPy's arrays are read"):
        read_npz(file)
    assert not target.exists()


def whole(tmp_path) -> bytes:
    return (tmp_path / save_npz(tmp_path / "whole.npz", a=boxed({"x": np.arange(100.0)}))).read_bytes()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (lambda path: b"", "is not a whole npz file"),
        (lambda path: b"PK\x03\x04 not really", "is not a whole npz file"),
        (lambda path: whole(path)[:-60], "is not a whole npz file"),
        (lambda path: whole(path)[:80] + b"\0" * 40 + whole(path)[120:], "is not a whole npz file"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path, content, text):
    (tmp_path / "f.npz").write_bytes(content(tmp_path))
    with pytest.raises(UserError, match=text) as error:
        read_npz(str(tmp_path / "f.npz"))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("pickled", [b"", b"garbage", b"\x80\x04", b"(lp0\n", b"I12\n"])
def test_a_broken_pickle_is_one_line(tmp_path, pickled):
    with pytest.raises(UserError, match="is not a whole npz file") as error:
        read_npz(npz_of_pickle(tmp_path / "f.npz", pickled))
    assert len(str(error.value).splitlines()) == 1


def test_a_missing_file_or_array_is_reported(tmp_path):
    with pytest.raises(UserError, match=r"none.npz: cannot be read: No such file"):
        read_npz(str(tmp_path / "none.npz"))
    with pytest.raises(UserError, match=r"f.npz: lacks the array 'positions_3d'; it holds a, b"):
        read_npz(save_npz(tmp_path / "f.npz", a=np.ones(1), b=np.ones(1)), "positions_3d")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, 2], r"must be an array of numbers \(n, 3\), found list"),
        (np.ones((4, 2)), r"must be an array of numbers \(n, 3\), found float64 \(4, 2\)"),
        (np.array([["a"] * 3]), r"must be an array of numbers \(n, 3\), found <U1 \(1, 3\)"),
        (np.array([[1, 2, 3], [1, np.nan, 3]]), r"is not finite in frame 1; remove or correct that frame"),
    ],
)
def test_what_is_no_array_of_numbers_is_reported(value, text):
    with pytest.raises(UserError, match=rf"^f.npz: S1 {text}"):
        numbers("f.npz", value, "S1", -1, 3)


def test_an_archive_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "MAX_BYTES", 10**6)
    np.savez_compressed(tmp_path / "bomb.npz", zeros=np.zeros(10**6))
    with pytest.raises(UserError, match=r"bomb.npz: unpacks to 0.0 GB, [\d,]{3,} times its size.*; get it again"):
        read_npz(str(tmp_path / "bomb.npz"))
    np.savez_compressed(tmp_path / "poses.npz", poses=np.random.default_rng(0).random(10**6))
    assert len(read_npz(str(tmp_path / "poses.npz"))["poses"]) == 10**6


class Call:
    """Pickles into a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Rebuilt:
    """Pickles into an array with the given state."""

    def __init__(self, *state):
        self.state = state

    def __reduce__(self):
        return _reconstruct, (np.ndarray, (0,), b"b"), self.state


HUGE = 600_000_000


@pytest.mark.parametrize(
    "value",
    [
        Call(np.ndarray, (HUGE,)),
        Call(_reconstruct, np.ndarray, (HUGE,), "f8"),
        Call(scalar, np.dtype(f"V{HUGE}")),
        Rebuilt(1, (HUGE,), np.dtype("f8"), False, bytes(8)),
        Rebuilt(1, (HUGE,), np.dtype(object), False, [None]),
        Rebuilt(1, (1,), np.dtype("f8"), False, [1.0]),
    ],
)
def test_an_array_that_the_pickle_does_not_hold_is_refused(tmp_path, value):
    arrays = None
    with pytest.raises(UserError, match=r"refused: it makes arrays|is not a whole npz file") as error:
        arrays = read_npz(npz_of_pickle(tmp_path / "f.npz", pickle.dumps(value, 2)))
    assert arrays is None
    assert len(str(error.value).splitlines()) == 1


def test_a_pickle_that_remembers_an_object_at_a_high_number_takes_no_memory(tmp_path):
    # LONG_BINPUT 2³¹: Python's unpickler in C would take 34 GB.
    arrays = read_npz(npz_of_pickle(tmp_path / "f.npz", b"\x80\x02Nr\x00\x00\x00\x80."))
    assert arrays["a"] is None


def test_an_array_larger_than_its_entry_is_refused(tmp_path):
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": (HUGE,)})
    with zipfile.ZipFile(tmp_path / "f.npz", "w") as archive:
        archive.writestr("a.npy", member.getvalue() + bytes(8))
    with pytest.raises(UserError, match=r"claims an array \(600000000,\), and has 136 bytes"):
        read_npz(str(tmp_path / "f.npz"))


@pytest.mark.parametrize("name", ["S" * 100_000, "S1\x1b]0;x\x07", "S1\nraylift: done", "S1\u202e"])
def test_a_name_that_drives_or_fills_a_terminal_is_one_line(name):
    with pytest.raises(UserError) as error:
        mapping("a.npz", {"S1": 1, name: 2}, "positions_3d")
    assert str(error.value).startswith("a.npz: positions_3d has the name 'S")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 250


def nested(levels: int, join) -> object:
    value: object = "x"
    for _ in range(levels):
        value = join(value)
    return value


def shared_actions() -> dict[str, dict[str, np.ndarray]]:
    motion = np.zeros((120, 17, 3), np.float32)
    return {f"S{i}": dict.fromkeys([f"W{j}" for j in range(100)], motion) for i in range(100)}


@pytest.mark.parametrize(
    "pickled",
    [
        pickle.dumps(nested(30, lambda value: [value, value]), 4),
        pickle.dumps(nested(30, lambda value: {"a": value, "b": value}), 4),
        pickle.dumps(nested(30, lambda value: (value, value)), 4),
        # {t: 1} with t = (t', t'), t' = (t'', t''), …
        b"\x80\x04}K\x01" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(60)) + b"K\x01s.",
        b"\x80\x04}K\x01" + b"2\x86" * 60 + b"K\x01s.",
        pickle.dumps(dict.fromkeys("abcdefgh", shared_actions()), 4),
        pickle.dumps(shared_actions(), 4),
    ],
    ids=["lists", "dicts", "tuples", "a key", "a doubled key", "dicts of motions", "motions"],
)
def test_a_pickle_that_names_the_same_again_and_again_is_one_line(tmp_path, pickled):
    started = time.process_time()
    with pytest.raises(UserError, match="names the same"):
        read_npz(npz_of_pickle(tmp_path / "f.npz", pickled), "a")
    assert time.process_time() - started < 5


def test_what_files_of_people_name_twice_is_read(tmp_path):
    size, motion, sides = (1000, 1002), np.zeros((9, 17, 3)), [1, 2]
    value = {"a": {"size": size, "motion": motion, "left": sides}, "b": {"size": size, "motion": motion, "left": sides}}
    read = read_npz(save_npz(tmp_path / "f.npz", a=boxed(value)), "a")["a"]
    assert read["b"]["size"] == size
    assert read["b"]["left"] == sides
    assert read["b"]["motion"].shape == (9, 17, 3)


def test_a_hundred_thousand_arrays_are_one_line(tmp_path):
    """Each takes a part of a millisecond; together they took a third of a minute."""
    with zipfile.ZipFile(tmp_path / "f.npz", "w") as archive:
        for number in range(20_000):
            archive.writestr(f"{number}.npy", b"")
    with pytest.raises(UserError, match="holds 20,000 arrays, at most 10,000 are read"):
        read_npz(str(tmp_path / "f.npz"))
