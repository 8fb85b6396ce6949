"""Reads checkpoints of PyTorch models of unknown origin: only tensors are unpickled; errors have one line.

Tensors take no more memory than the file has bytes. PyTorch itself believes what a file claims: it unpacks compressed
entries, reads beyond an entry that is shorter than its tensor, and expands one number to a large tensor.
"""

import hashlib
import io
import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from pipelines.io import storage
from schemas.errors import UserError


def read_checkpoint(uri: str, what: str) -> dict[str, Any]:
    """The dictionary in a file that `torch.save` wrote, with its tensors on the CPU.

    Args:
        uri: The file.
        what: What the file should be, for error messages.

    Raises:
        UserError: There is no such file, it is damaged, it holds other pickled objects than tensors, which are never
            loaded, or it does not hold a dictionary.
    """
    return read_hashed(uri, what)[0]


def read_hashed(uri: str, what: str, sha256: str | None = None) -> tuple[dict[str, Any], str]:
    """The result of `read_checkpoint`, and the file's SHA-256.

    Args:
        uri: The file.
        what: What the file should be, for error messages.
        sha256: The file's hash, if it was read before.

    Raises:
        UserError: As `read_checkpoint`, or the file has changed since its hash was taken.
    """
    try:
        data = storage.read_bytes(uri)
    except OSError as error:
        raise UserError(f"{uri}: cannot be read: {error.strerror or error}; give the path of a {what}") from error
    actual = hashlib.sha256(data).hexdigest()
    if sha256 is not None and actual != sha256:
        raise UserError(f"{uri}: has changed while it was read (SHA-256 {sha256[:12]}…, now {actual[:12]}…); run again")
    try:
        require_stored(data)
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        _require_no_overlap(content, len(data))
    except UserError as error:
        raise UserError(f"{uri}: {error}") from error
    except Exception as error:
        # Damaged files raise exceptions of many types. A refused object has no type of its own and is known by these
        # words.
        if isinstance(error, pickle.UnpicklingError) and (
            "Unsupported global" in str(error) or "Unsupported class" in str(error)
        ):
            raise UserError(
                f"{uri}: holds pickled objects besides tensors, which can run code and are refused; "
                "save its state dict alone"
            ) from error
        raise UserError(f"{uri}: is damaged or no checkpoint; copy it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{uri}: holds a {type(content).__name__}, not a {what}")
    return content, actual


def require_stored(data: bytes) -> None:
    """Check that an archive holds the bytes of each of its tensors as they are; other formats are no archives.

    Raises:
        UserError: The archive holds compressed or overlapping entries, or tensors larger than their entries.
    """
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries):
        raise UserError("holds compressed entries, which checkpoints never have; save it again by torch.save")
    if sum(entry.file_size for entry in entries) > len(data):
        raise UserError("holds entries that overlap, which checkpoints never have; save it again by torch.save")
    sizes = {_content_offset(data, entry): entry.file_size for entry in entries}
    for tensor in _tensors(torch.load(io.BytesIO(data), map_location="meta", weights_only=True)):
        storage = tensor.untyped_storage()
        offset: int = getattr(storage, "_checkpoint_offset", -1)
        if storage.nbytes() and sizes.get(offset) != storage.nbytes():
            raise UserError(f"holds a tensor of {storage.nbytes():,} bytes that are not in the file; copy it again")


def _content_offset(data: bytes, entry: zipfile.ZipInfo) -> int:
    """The offset of an entry's content: behind its local header, which ends with a name and an extra field."""
    start = entry.header_offset
    return start + 30 + sum(int.from_bytes(data[start + at : start + at + 2], "little") for at in (26, 28))


def _require_no_overlap(content: Any, most_bytes: int) -> None:
    """Check that tensors hold as many numbers as they claim, and no more bytes than the file.

    Raises:
        UserError: A tensor claims more numbers than it stores.
    """
    storages = {}
    for tensor in _tensors(content):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        if tensor.numel() * tensor.element_size() > storage.nbytes():
            raise UserError(f"holds a tensor {tuple(tensor.shape)} of which not all numbers are stored; save it whole")
    if sum(storages.values()) > most_bytes:
        raise UserError("holds tensors larger than the file; copy it again")


def _tensors(content: Any) -> Iterator[Tensor]:
    """All tensors in dictionaries and lists, however deeply nested.

    Raises:
        UserError: A tensor is sparse or quantised.
    """
    pending, visited = [content], set()
    while pending:
        value = pending.pop()
        if isinstance(value, Tensor):
            if value.layout != torch.strided or value.is_quantized:
                raise UserError("holds sparse or quantised tensors; save dense ones")
            yield value
        elif isinstance(value, Mapping | list | tuple) and id(value) not in visited:
            visited.add(id(value))
            pending += value.values() if isinstance(value, Mapping) else value


def load_weights(uri: str, model: torch.nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load the weights that were read from `uri` into a model.

    Raises:
        UserError: Names or shapes differ from the model's; the message shows the first three.
    """
    require_shapes(uri, shapes_of(model.state_dict()), weights)
    model.load_state_dict(weights)


def require_fitting(
    uri: str,
    build: Callable[[], torch.nn.Module],
    weights: Mapping[str, Tensor],
    stored: Callable[[torch.nn.Module], Mapping[str, Any]] = lambda model: model.state_dict(),
) -> None:
    """Compare the weights read from `uri` with a model before memory is allocated, as the file may claim any size.

    Args:
        uri: The file.
        build: Builds the model.
        weights: The weights.
        stored: The model's weights in the form that files hold.

    Raises:
        UserError: As `load_weights`.
    """
    with torch.device("meta"):
        expected = shapes_of(stored(build()))
    require_shapes(uri, expected, weights)


def require_shapes(uri: str, expected: Mapping[str, tuple[int, ...]], weights: Mapping[str, Tensor]) -> None:
    """Compare weights with the names and shapes of an architecture.

    Raises:
        UserError: The names or shapes differ.
    """
    shapes = shapes_of(weights)
    differ = [name for name in {**expected, **shapes} if expected.get(name) != shapes.get(name)]
    if differ:
        first = ", ".join(f"{name} {_format(expected, name)}, found {_format(shapes, name)}" for name in differ[:3])
        more = f", and {len(differ) - 3} more" if len(differ) > 3 else ""
        raise UserError(f"{uri}: weights of another architecture; expected {first}{more}")


def shapes_of(weights: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor; empty for values that are not tensors."""
    return {str(name): tuple(getattr(value, "shape", ())) for name, value in weights.items()}


def _format(shapes: Mapping[str, tuple[int, ...]], name: str) -> str:
    return "×".join(map(str, shapes[name])) or "scalar" if name in shapes else "nothing"
