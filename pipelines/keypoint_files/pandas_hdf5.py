"""Tables of numbers that pandas wrote as HDF5 (`to_hdf`, formats `table` and `fixed`), without PyTables.

Format: pandas' documentation, "HDF5 (PyTables)". `table` keeps the names of columns as a pickle of protocol 0: a text,
one instruction a line, of which those of lists, tuples and texts are followed here. Nothing is unpickled.
"""

import pickletools
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from pipelines.keypoint_files.hdf5 import LARGEST_BYTES, own_array, require_own

Columns = list[tuple[str, ...]]
# At most this many bytes of names are read; DeepLabCut's files have some hundred columns with four names each.
_MOST_BYTES_OF_NAMES = 10**7
# Columns of one type form a block; DeepLabCut's files have one or two.
_MOST_BLOCKS = 4


def read_table(file: Any) -> tuple[Int64[np.ndarray, " rows"], Columns, Float64[np.ndarray, "rows columns"]]:
    """The table of a file.

    Returns:
        The numbers of the rows, the names of each column on all levels, the values.

    Raises:
        ValueError, KeyError: The file holds no table, several, or one that is not of numbers.
    """
    for name in file:
        require_own(file, name)
    readers = {"frame_table": _of_format_table, "frame": _of_format_fixed}
    kinds = {name: file[name].attrs.get("pandas_type") for name in file}
    tables = [name for name, kind in kinds.items() if isinstance(kind, bytes) and kind.decode() in readers]
    if len(tables) != 1:
        raise ValueError(f"it holds {len(tables)} tables of pandas, must be 1")
    return readers[kinds[tables[0]].decode()](file[tables[0]])


def _of_format_table(group: Any) -> tuple[np.ndarray, Columns, np.ndarray]:
    table = own_array(group, "table")
    fields = table.dtype.fields or {}
    if any(dtype.base.kind not in "iuf" for dtype, _ in (field[:2] for field in fields.values())):
        raise ValueError("its columns must be numbers, and its rows numbers of frames")
    rows = table[()]
    blocks = sorted(name for name in fields if name.startswith("values_block_"))
    names = [_names(table.attrs.get(f"{block}_kind")) for block in blocks]
    return _joined(rows["index"], names, [rows[block] for block in blocks])


def _of_format_fixed(group: Any) -> tuple[np.ndarray, Columns, np.ndarray]:
    blocks = range(int(group.attrs["nblocks"]))
    if len(blocks) > _MOST_BLOCKS:
        raise ValueError(f"its numbers are of {len(blocks)} types, must be {_MOST_BLOCKS} at most")
    names = [_levels(group, f"block{number}_items") for number in blocks]
    return _joined(_numbers(group, "axis1"), names, [_numbers(group, f"block{number}_values") for number in blocks])


def _joined(
    numbers: np.ndarray, names: list[Columns], values: list[np.ndarray]
) -> tuple[np.ndarray, Columns, np.ndarray]:
    """The columns of all blocks; each block holds the columns of one type."""
    if (
        not values
        or numbers.ndim != 1
        or any(block.shape != (len(numbers), len(columns)) for block, columns in zip(values, names, strict=True))
    ):
        raise ValueError("its names, rows and values do not fit together")
    columns = [column for block in names for column in block]
    return numbers.astype(np.int64), columns, np.concatenate(values, axis=1, dtype=np.float64)


def _numbers(group: Any, name: str, largest_bytes: int = LARGEST_BYTES) -> np.ndarray:
    array = own_array(group, name, largest_bytes)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be numbers; it is {array.dtype}")
    return array[()]


def _levels(group: Any, name: str) -> Columns:
    """Names of columns on several levels; each level is a list of distinct names and an index per column."""
    count = int(group.attrs.get(f"{name}_nlevels", 0))
    if not 1 <= count <= 8:
        raise ValueError(f"its columns must have names on several levels; {name} has {count}")
    levels: list[list[str]] = []
    for level in range(count):
        known = own_array(group, f"{name}_level{level}", _MOST_BYTES_OF_NAMES)
        if known.dtype.kind != "S":
            raise ValueError(f"{name}_level{level} must be texts; it is {known.dtype}")
        texts = [text.decode("utf-8", "replace") for text in known[()].tolist()]
        levels.append(
            [texts[number] for number in _numbers(group, f"{name}_label{level}", _MOST_BYTES_OF_NAMES).tolist()]
        )
    return list(zip(*levels, strict=True))


def _names(pickled: Any) -> Columns:
    """Names of columns from the pickle of a list of tuples of texts.

    Raises:
        ValueError: The pickle holds something else.
    """
    text = pickled if isinstance(pickled, bytes) else b""
    if len(text) > _MOST_BYTES_OF_NAMES:
        raise ValueError("the names of its columns are too long")
    columns = _plain_lists(text)
    if not isinstance(columns, list) or not all(
        isinstance(column, tuple) and all(isinstance(name, str) for name in column) for column in columns
    ):
        raise ValueError("its columns must have names on several levels")
    return columns


def _plain_lists(pickled: bytes) -> Any:
    """The value of a pickle of lists, tuples and texts; no instruction that calls anything is followed.

    Raises:
        ValueError, IndexError, KeyError: The pickle holds other instructions, or is damaged.
    """
    stack: list[Any] = []
    marks: list[int] = []
    kept: dict[Any, Any] = {}
    for instruction, value, _ in pickletools.genops(pickled):
        match instruction.name:
            case "MARK":
                marks.append(len(stack))
            case "LIST" | "TUPLE":
                start = marks.pop()
                items = stack[start:]
                stack[start:] = [items if instruction.name == "LIST" else tuple(items)]
            case "UNICODE" | "STRING":
                stack.append(value)
            case "APPEND":
                item = stack.pop()
                stack[-1].append(item)
            case "PUT":
                kept[value] = stack[-1]
            case "GET":
                stack.append(kept[value])
            case "STOP":
                return stack.pop()
            case other:
                raise ValueError(f"the names of its columns are a pickle with {other}, which is not followed")
    raise ValueError("the names of its columns are damaged")
