"""SLEAP's analysis files (HDF5): tracks (animals, 2, nodes, frames), point_scores and node_names.

Format: SLEAP's documentation, "Analysis HDF5". Needs h5py.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from pipelines.keypoint_files.found_videos import FoundVideo
from pipelines.keypoint_files.hdf5 import opened, own_array
from pipelines.keypoint_files.named_arrays import video_of_array
from pipelines.keypoint_files.result_lists import name_of
from schemas.errors import UserError


def read(uri: str, names: Mapping[str, str]) -> Iterator[FoundVideo]:
    """The video of a file.

    Args:
        uri: The file.
        names: Joint names by the names of nodes, where these are others.

    Raises:
        UserError: The file is not of this format, its nodes fit no layout, or h5py is not installed.
    """
    try:
        with opened(uri, "sleap") as file:
            places = np.asarray(own_array(file, "tracks"), np.float64).transpose(0, 3, 2, 1)
            scores = np.ones(places.shape[:3])
            if "point_scores" in list(file):  # this compares names without following links
                scores = np.asarray(own_array(file, "point_scores"), np.float64).transpose(0, 2, 1)
            nodes = [name.decode() for name in np.asarray(own_array(file, "node_names")).tolist()]
        triples = np.concatenate([places, scores[..., None]], axis=3)
    except (OSError, KeyError, ValueError, AttributeError) as error:
        raise UserError(f"{uri}: is not SLEAP's analysis file (export it as Analysis HDF5): {error}") from error
    yield video_of_array(name_of(uri), uri, triples, nodes, names)
