"""DeepLabCut's files: columns (scorer, individual if there are several animals, body part, x | y | likelihood).

Format: DeepLabCut's documentation, "Output files": a table of pandas as HDF5, and the same as CSV (save_as_csv).
"""

import io
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float64, Integer

from pipelines.keypoint_files import hdf5, pandas_hdf5
from pipelines.keypoint_files.csv_tables import read_csv_text
from pipelines.keypoint_files.found_videos import FoundVideo, whole_number
from pipelines.keypoint_files.named_arrays import video_of_array
from schemas.errors import UserError

_COORDINATES = ("x", "y", "likelihood")
# Tables have three columns for each body part of each animal, a few hundred.
_MOST_COLUMNS = 10_000
# The numbers of the rows, the names of the columns, and the values.
_Table = tuple[Integer[np.ndarray, " frames"] | list[int], pandas_hdf5.Columns, Float64[np.ndarray, "frames columns"]]


def read(uri: str, names: Mapping[str, str]) -> Iterator[FoundVideo]:
    """The video of a file.

    Args:
        uri: The file.
        names: Joint names by the names of body parts, where these are others.

    Raises:
        UserError: The file is not of this format, its body parts fit no layout, or it is HDF5 and h5py is missing.
    """
    ending = uri.lower().rpartition(".")[2]
    if ending not in ("csv", "h5"):
        raise UserError(f"{uri}: must be DeepLabCut's CSV or HDF5 file (.csv, .h5)")
    try:
        numbers, columns, values = _csv(uri) if ending == "csv" else _h5(uri)
        if not {len(column) for column in columns} <= {3, 4} or {column[-1] for column in columns} != {*_COORDINATES}:
            raise ValueError("its columns must be scorer, (individual,) body part and x, y or likelihood")
        places = {(column[-3] if len(column) == 4 else "", *column[-2:]): n for n, column in enumerate(columns)}
        parts = list(dict.fromkeys(part for _, part, _ in places))
        people = list(dict.fromkeys(individual for individual, _, _ in places))
        # The last column, of NaN, stands for body parts that an individual does not have.
        padded = np.column_stack([values, np.full(len(values), np.nan)])
        order = [places.get((who, part, what), -1) for who in people for part in parts for what in _COORDINATES]
        triples = padded[:, order].reshape(len(values), len(people), len(parts), 3).transpose(1, 0, 2, 3)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise UserError(f"{uri}: is not DeepLabCut's: {' '.join(str(error).split())}") from error
    # In file names, the network's name follows that of the video.
    name = uri.rpartition("/")[2].rpartition(".")[0].partition("DLC")[0]
    yield video_of_array(name, uri, triples, parts, names, numbers=[int(number) for number in numbers])


def _csv(uri: str) -> _Table:
    import pandas as pd  # here: --help asks for the options of all sources, and this takes half a second

    text = read_csv_text(uri, 3, _MOST_COLUMNS)
    levels = [line.split(",", 1)[0] for line in text.splitlines()[:4]]
    if "bodyparts" not in levels or "coords" not in levels:
        raise ValueError("its first lines must be scorer, bodyparts and coords")
    table = pd.read_csv(io.StringIO(text), header=list(range(4 if "individuals" in levels else 3)), index_col=0)
    columns = [tuple(map(str, column)) for column in table.columns]
    numbers = [whole_number(number, f"{uri}: the first column") for number in table.index]
    return numbers, columns, table.to_numpy(np.float64)


def _h5(uri: str) -> _Table:
    with hdf5.opened(uri, "deeplabcut") as file:
        return pandas_hdf5.read_table(file)
