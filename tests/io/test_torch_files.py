"""Checkpoints of strangers: each takes no more memory than it has bytes, or is one line."""

import io
import struct
import time
import zipfile

import pytest
import torch

from pipelines.io.torch_files import read_checkpoint
from schemas.errors import UserError


def saved(content, **options) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def changed(data: bytes, change, compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of torch.save with `change(name, content)` for each entry's content; None leaves it out."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return target.getvalue()


WEIGHTS = {"a": torch.arange(12.0).reshape(3, 4), "n": torch.tensor(5), "none": torch.zeros(0)}


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["archive", "of 2019"])
def test_an_honest_checkpoint_is_read(options, tmp_path):
    (tmp_path / "w.pt").write_bytes(saved(WEIGHTS | {"part": WEIGHTS["a"][1:], "nested": [WEIGHTS]}, **options))
    content = read_checkpoint(str(tmp_path / "w.pt"), "lifter")
    assert torch.equal(content["part"], WEIGHTS["a"][1:])
    assert torch.equal(content["nested"][0]["a"], WEIGHTS["a"])


def claims_more(name: str, content: bytes) -> bytes | None:
    """77 numbers are stored, 255 are claimed, in the tensor and in its storage."""
    if name.endswith((".format_version", ".storage_alignment")):
        return None
    return content.replace(b"K\x4d", b"K\xff") if name.endswith("data.pkl") else content


EXPANDED = {"a": torch.zeros(1).expand(600_000_000)}
HOSTILE = {
    "one number for many": (lambda: saved(EXPANDED), "of which not all numbers are stored"),
    "one number for many, of 2019": (
        lambda: saved(EXPANDED, _use_new_zipfile_serialization=False),
        "of which not all numbers are stored",
    ),
    "compressed": (
        lambda: changed(saved({"a": torch.zeros(1_000_000)}), lambda _, content: content, zipfile.ZIP_DEFLATED),
        "holds compressed entries",
    ),
    "beyond its entry": (
        lambda: changed(saved({"a": torch.arange(77.0)}), claims_more),
        r"holds a tensor of 1,020 bytes that are not in the file",
    ),
    "sparse": (lambda: saved({"a": torch.eye(3).to_sparse()}), "besides dense tensors"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_tensor_that_the_file_does_not_hold_is_one_line(kind, tmp_path):
    make, reason = HOSTILE[kind]
    (tmp_path / "w.pt").write_bytes(make())
    with pytest.raises(UserError, match=reason) as error:
        read_checkpoint(str(tmp_path / "w.pt"), "lifter")
    assert len(str(error.value).splitlines()) == 1


def called(*names_and_arguments: tuple[str, bytes]) -> bytes:
    """A pickle of {"a": value}: what functions make of each other's values, the last one of what its end says."""
    opened = b"".join(b"c" + name.encode() + b"\n" for name, _ in names_and_arguments)
    return b"\x80\x02}X\x01\x00\x00\x00a" + opened + b"".join(end for _, end in reversed(names_and_arguments)) + b"s."


BILLIONS = b"\x8a\x08" + struct.pack("<q", 5 * 10**9) + b"\x85R"
TAKING = {
    "zeros": called(("builtins\nbytearray", BILLIONS)),
    "a tuple of them": called(("torch\nSize", b"\x85R"), ("__builtin__\nbytearray", BILLIONS)),
    "a count of them": called(("collections\nCounter", b"\x85R"), ("builtins\nbytearray", BILLIONS)),
    "a tensor of a number": called(("torch\nFloatTensor", BILLIONS)),
    "a codec": called(("_codecs\nencode", b"X\x01\x00\x00\x00aX\x08\x00\x00\x00punycode\x86R")),
}


@pytest.mark.parametrize("kind", TAKING)
@pytest.mark.parametrize("archive", [True, False], ids=["archive", "of 2019"])
def test_a_function_that_takes_memory_or_time_for_a_number_is_not_called(kind, archive, tmp_path):
    def with_pickle(name: str, content: bytes) -> bytes:
        return TAKING[kind] if name.endswith("data.pkl") else content

    of_2019 = saved(1, _use_new_zipfile_serialization=False)
    content = saved(1)
    data = changed(content, with_pickle) if archive else of_2019[: of_2019.index(b"\x80\x02K\x01.")] + TAKING[kind]
    (tmp_path / "w.pt").write_bytes(data)
    with pytest.raises(UserError, match="pickled objects besides dense tensors, which can run code or take any memory"):
        read_checkpoint(str(tmp_path / "w.pt"), "lifter")


def test_a_file_that_the_memory_does_not_take_is_not_read(tmp_path):
    with (tmp_path / "w.pt").open("wb") as file:
        file.truncate(10**13)
    with pytest.raises(UserError, match=r"w.pt: cannot be read: 10,000,000,000,000 bytes, the memory of this"):
        read_checkpoint(str(tmp_path / "w.pt"), "lifter")


def hashed_for_years(key: bytes) -> bytes:
    """An archive with a pickle {key: 1}."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}" + key + b"K\x01s.")
        archive.writestr("a/version", "3")
    return file.getvalue()


@pytest.mark.parametrize(
    "key",
    [
        b"K\x01" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(60)),
        b"(K\x01t" + b"".join(b"q%c0(" % n + b"h%c" % n * 100 + b"t" for n in range(9)),
        b"K\x01" + b"2\x86" * 60,
    ],
    ids=["pairs", "hundreds", "doubled"],
)
def test_a_key_whose_hash_would_take_years_is_one_line(tmp_path, key):
    (tmp_path / "a.pt").write_bytes(hashed_for_years(key))
    started = time.process_time()
    with pytest.raises(UserError, match="names the same tuples again and again"):
        read_checkpoint(str(tmp_path / "a.pt"), "lifter")
    assert time.process_time() - started < 5


def test_tuples_that_an_optimizer_shares_are_read(tmp_path):
    betas, linear = (0.9, 0.999), torch.nn.Linear(2, 2)
    groups = [{"betas": betas, "sizes": ((1, 2), (3, 4))} for _ in range(3)]
    torch.save({"weights": linear.state_dict(), "groups": groups}, tmp_path / "a.pt")
    assert read_checkpoint(str(tmp_path / "a.pt"), "lifter")["groups"] == groups


def test_a_program_is_no_checkpoint(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "a.pt"))
    with pytest.raises(UserError, match=r"is a program of TorchScript, no checkpoint"):
        read_checkpoint(str(tmp_path / "a.pt"), "lifter")
