"""SLEAP's analysis files (HDF5): tracks (animals, 2, nodes, frames), point_scores and node_names.

Format: SLEAP's documentation, "Analysis HDF5". Needs h5py.
"""

import io
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from pipelines.io import storage
from pipelines.keypoint_files.found import FoundVideo
from pipelines.keypoint_files.named_arrays import video_of_array
from pipelines.keypoint_files.result_lists import name_of
from schemas.errors import UserError

if TYPE_CHECKING:
    import h5py

# An hour of ten animals of 30 joints at 60 frames/s is 1 GB; packed zeros would claim any size.
LARGEST_BYTES = 2 * 10**9


def read(uri: str, names: Mapping[str, str]) -> Iterator[FoundVideo]:
    """The video of a file.

    Args:
        uri: The file.
        names: Joint names by the names of nodes, where these are others.

    Raises:
        UserError: It is not of this format, its nodes are of no layout, or h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise UserError("source.name=sleap: needs h5py; pip install 'raylift[sleap]'") from error
    try:
        with h5py.File(io.BytesIO(storage.read_bytes(uri)), "r") as file:
            for name in ("tracks", "point_scores", "node_names"):
                _require_own(file, name)
            tracks = np.asarray(file["tracks"], np.float64)
            scores = np.asarray(file["point_scores"], np.float64) if "point_scores" in file else None
            nodes = [name.decode() for name in np.asarray(file["node_names"]).tolist()]
        places = tracks.transpose(0, 3, 2, 1)
        weights = np.ones(places.shape[:3]) if scores is None else scores.transpose(0, 2, 1)
        triples = np.concatenate([places, weights[..., None]], axis=3)
    except (OSError, KeyError, ValueError, AttributeError) as error:
        raise UserError(f"{uri}: is not SLEAP's analysis file (export it as Analysis HDF5): {error}") from error
    yield video_of_array(name_of(uri), uri, triples, nodes, names)


def _require_own(file: "h5py.File", name: str) -> None:
    """Check that an array lies in the file itself and is no larger than a table of keypoints.

    HDF5 can name arrays of other files, which would then be opened here.

    Raises:
        ValueError: It does not.
    """
    import h5py

    if name not in file:
        return
    # Asked without following the link, which may lead to another file.
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is a link")
    array = file[name]
    if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
        raise ValueError(f"{name} is kept in other files")
    if array.nbytes > LARGEST_BYTES:
        raise ValueError(f"{name} has {array.nbytes:,} bytes, at most {LARGEST_BYTES:,} are read")
