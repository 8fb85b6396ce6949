"""Reads checkpoints of PyTorch models of unknown origin: only tensors are unpickled; errors have one line.

Tensors take no more memory than the file has bytes. PyTorch itself believes what a file claims: it unpacks compressed
entries, reads beyond an entry that is shorter than its tensor, expands one number to a large tensor, and calls the few
functions that it allows, such as `bytearray`, with any number.
"""

import hashlib
import io
import pickletools
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from pipelines.io import storage
from pipelines.io.pickled_tuples import RepeatedTuples
from schemas.errors import UserError

# The functions and classes that pickles of tensors refer to: what PyTorch allows, without those that take memory or
# time for a number or a name that the pickle gives (bytearray, Counter, torch.Tensor, codecs).
_ALLOWED = re.compile(
    r"collections OrderedDict|(builtins|__builtin__) (set|complex)|torch (\w+Storage|Size|device|[a-z]+\d\w*|bool)"
    r"|torch\.storage (Typed|Untyped)Storage|torch\.nn\.parameter Parameter"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|tensor_v3|parameter)"
)
# Files of before 2020 are a row of pickles: two numbers, the machine, the content and the names of its storages.
_PICKLES_OF_2019 = 5


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
        data = storage.read_bytes(uri, unparsed=True)
    except OSError as error:
        raise UserError(f"{uri}: cannot be read: {error.strerror or error}; give the path of a {what}") from error
    actual = hashlib.sha256(data).hexdigest()
    if sha256 is not None and actual != sha256:
        raise UserError(f"{uri}: has changed while it was read (SHA-256 {sha256[:12]}…, now {actual[:12]}…); run again")
    return parse_checkpoint(data, uri, what), actual


def parse_checkpoint(data: bytes, uri: str, what: str, device: torch.device | str = "cpu") -> dict[str, Any]:
    """The dictionary in the bytes of a file that `torch.save` wrote.

    Args:
        data: The bytes.
        uri: The file, for error messages.
        what: What the file should be, for error messages.
        device: Where its tensors come.

    Raises:
        UserError: As `read_checkpoint`.
    """
    try:
        _require_stored(data)
        content = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
        _require_no_overlap(content, len(data))
    except torch.OutOfMemoryError:
        raise
    except UserError as error:
        raise UserError(f"{uri}: {error}") from error
    except Exception as error:  # damaged files raise exceptions of many types
        raise UserError(f"{uri}: is damaged or no checkpoint; copy it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{uri}: holds a {type(content).__name__}, not a {what}")
    return content


def _require_stored(data: bytes) -> None:
    """Check that pickles hold tensors alone, and that an archive holds the bytes of each of them as they are.

    Raises:
        UserError: The file holds other objects, compressed or overlapping entries, or tensors larger than their
            entries.
    """
    if not zipfile.is_zipfile(io.BytesIO(data)):
        _require_tensors(io.BytesIO(data), _PICKLES_OF_2019)
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        pickles = [entry for entry in entries if entry.filename.endswith("data.pkl")]
    if any(entry.filename.endswith("constants.pkl") for entry in entries):
        raise UserError("is a program of TorchScript, no checkpoint; save the state dict of its network")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries):
        raise UserError("holds compressed entries, which checkpoints never have; save it again by torch.save")
    if sum(entry.file_size for entry in entries) > len(data):
        raise UserError("holds entries that overlap, which checkpoints never have; save it again by torch.save")
    for entry in pickles:
        start = _content_offset(data, entry)
        _require_tensors(io.BytesIO(data[start : start + entry.file_size]), 1)
    sizes = {_content_offset(data, entry): entry.file_size for entry in entries}
    for tensor in _tensors(torch.load(io.BytesIO(data), map_location="meta", weights_only=True)):
        storage = tensor.untyped_storage()
        offset: int = getattr(storage, "_checkpoint_offset", -1)
        if storage.nbytes() and sizes.get(offset) != storage.nbytes():
            raise UserError(f"holds a tensor of {storage.nbytes():,} bytes that are not in the file; copy it again")


def _require_tensors(file: io.BytesIO, pickles: int) -> None:
    """Check the functions and classes that pickles refer to, without calling any.

    Raises:
        UserError: They refer to others than pickles of tensors do, or name tuples again and again.
    """
    for _ in range(pickles):
        tuples = RepeatedTuples()
        for code, name, _ in pickletools.genops(file):
            tuples.follow(code, name)
            if code.name in ("GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4") and not (
                code.name == "GLOBAL" and _ALLOWED.fullmatch(str(name))
            ):
                raise UserError(
                    "holds pickled objects besides dense tensors, which can run code or take any memory and are "
                    "refused; save its state dict alone"
                )


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


def weights_in(uri: str, content: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The weights that a checkpoint has under a name, or else holds by themselves.

    Raises:
        UserError: They are no dictionary.
    """
    weights = content.get(name, content)
    if not isinstance(weights, dict):
        raise UserError(
            f"{uri}: {name} is a {type(weights).__name__}, not a dictionary of weights; copy the file again"
        )
    return {str(key): value for key, value in weights.items()}


def load_weights(uri: str, model: torch.nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load the weights that were read from `uri` into a model.

    Raises:
        UserError: Names or shapes differ from the model's (the message shows the first three), or weights are not
            finite, or of another kind of number.
    """
    own = model.state_dict()
    require_shapes(uri, shapes_of(own), weights)
    for name, value in weights.items():
        if not isinstance(value, Tensor) or value.is_floating_point() != own[name].is_floating_point():
            kind = str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.")
            raise UserError(f"{uri}: {name} holds numbers of another kind ({kind}); copy the file again")
    require_finite(uri, weights)
    model.load_state_dict(weights)


def require_finite(uri: str, weights: Mapping[str, Tensor]) -> None:
    """Check the weights that were read from `uri`.

    Raises:
        UserError: They are not finite.
    """
    for name, value in weights.items():
        if value.is_floating_point() and not value.float().isfinite().all():
            raise UserError(f"{uri}: {name} is not finite, as after a training that diverged; give another file")


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
        UserError: As `load_weights`, or the model cannot be built.
    """
    require_shapes(uri, claimed_shapes(uri, build, stored), weights)


def claimed_shapes(
    uri: str,
    build: Callable[[], torch.nn.Module],
    stored: Callable[[torch.nn.Module], Mapping[str, Any]] = lambda model: model.state_dict(),
) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights of a model, for which no memory is allocated; arguments as `require_fitting` has them.

    Raises:
        UserError: The model cannot be built.
    """
    try:
        with torch.device("meta"):
            return shapes_of(stored(build()))
    except (RuntimeError, ArithmeticError, TypeError, MemoryError) as error:  # sizes that no tensor can have
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{uri}: describes a network that cannot be built ({reason}); copy the file again") from error


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
