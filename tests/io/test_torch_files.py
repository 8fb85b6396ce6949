"""Checkpoints of strangers: each takes no more memory than it has bytes, or is one line."""

import io
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
    "sparse": (lambda: saved({"a": torch.eye(3).to_sparse()}), "sparse or quantised"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_tensor_that_the_file_does_not_hold_is_one_line(kind, tmp_path):
    make, reason = HOSTILE[kind]
    (tmp_path / "w.pt").write_bytes(make())
    with pytest.raises(UserError, match=reason) as error:
        read_checkpoint(str(tmp_path / "w.pt"), "lifter")
    assert len(str(error.value).splitlines()) == 1
