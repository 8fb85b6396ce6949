"""The formats of keypoints that are read: plug-ins of the table `KEYPOINT_SOURCES`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from pipelines.io import storage
from pipelines.keypoint_files import (
    arrays,
    deeplabcut,
    instance_lists,
    landmark_table,
    landmarks,
    openpose,
    result_lists,
    sleap,
    trc,
)
from pipelines.keypoint_files.found_videos import FoundVideo
from pipelines.keypoint_files.source import KeypointFiles, KeypointFilesConfig, NamedKeypointsConfig
from schemas.errors import UserError


class OpenPose(KeypointFiles):
    """Folders that OpenPose wrote."""

    reader = staticmethod(openpose.read)

    def files_in(self, entry: str) -> list[str]:
        """The folder itself, which may hold several videos."""
        fs, path = storage.filesystem(entry)
        if not fs.isdir(path):
            raise UserError(f"source.files={entry}: must be a folder with one file a frame, as OpenPose writes it")
        return [entry]

    def inputs(self) -> Mapping[str, Sequence[str]]:
        """All files of the folders."""
        return {"files": [file for entry in self.entries() for file in storage.list_folder(entry, ".json")]}


class AlphaPose(KeypointFiles):
    """AlphaPose's output, and COCO's keypoint results."""

    reader = staticmethod(result_lists.read)


class MMPose(KeypointFiles):
    """Predictions of MMPose, RTMPose and transformers."""

    reader = staticmethod(instance_lists.read)


class MediaPipe(KeypointFiles):
    """Landmarks of MediaPipe and TensorFlow.js."""

    suffixes = (".json", ".csv")

    def read(self, uri: str) -> Iterator[FoundVideo]:
        """The video of a file."""
        return (landmark_table if uri.lower().endswith(".csv") else landmarks).read(uri)


class _NamedKeypoints(KeypointFiles):
    """A format whose joints have names of its users' own."""

    Config: ClassVar[type[KeypointFilesConfig]] = NamedKeypointsConfig

    def read(self, uri: str) -> Iterator[FoundVideo]:
        """The videos of a file."""
        assert isinstance(self.config, NamedKeypointsConfig)
        return type(self).reader(uri, self.config.names)


class DeepLabCut(_NamedKeypoints):
    """DeepLabCut's CSV and HDF5 files."""

    suffixes = (".csv", ".h5")
    reader = staticmethod(deeplabcut.read)

    def files_in(self, entry: str) -> list[str]:
        """The files of an entry; DeepLabCut writes a table as HDF5, and also as CSV if the user chose that."""
        files = super().files_in(entry)
        return [file for file in files if not file.endswith(".h5") or f"{file[:-3]}.csv" not in files]


class Sleap(_NamedKeypoints):
    """SLEAP's analysis files."""

    suffixes = (".h5",)
    reader = staticmethod(sleap.read)


class Trc(_NamedKeypoints):
    """TRC files of pixels."""

    suffixes = (".trc",)
    reader = staticmethod(trc.read)


class Arrays(_NamedKeypoints):
    """Arrays in npz files."""

    suffixes = (".npz",)
    reader = staticmethod(arrays.read)
