"""Source of labeled people in the videos of raylift synthesize, whose joints are known exactly."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field

from pipelines.annotations.boxes import FLESH
from pipelines.annotations.people.source import LabeledImage, Part, Unreadable, digest_of, people_of_joints
from pipelines.annotations.people.videos import HALF_PIXEL, inside, read_frames, stretches
from pipelines.io import addresses, storage
from pipelines.synthetic.skeleton import LAYOUT as STUDIO_LAYOUT
from pipelines.synthetic.truth import read_truth
from pipelines.video.isolated import IsolatedReader
from schemas.errors import UserError
from schemas.job_config import Address, JobConfig
from schemas.layouts import JointLayout


class StudioConfig(JobConfig):
    """Options of `data.name=studio`."""

    folder: Address = Field(min_length=1)
    """Output folder of raylift synthesize (any URI)."""

    every: int = Field(default=5, ge=1)
    """Use every n-th frame, because neighbouring frames are nearly the same."""

    subjects: tuple[str, ...] | None = None
    """Names of the people to use; by default all."""


@dataclass(frozen=True)
class StudioPart:
    """Some frames of a rendered video; a `Part`."""

    digest: str
    truth: str
    video: str
    frames: range
    subjects: tuple[str, ...] | None

    @property
    def images(self) -> int:
        """Number of frames."""
        return len(self.frames)

    def read(self, reader: IsolatedReader) -> Iterator[LabeledImage | Unreadable]:
        """The frames one after another."""
        people = [t for t in read_truth(self.truth) if self.subjects is None or t.subject in self.subjects]
        width, height = people[0].view.width, people[0].view.height
        keypoints = np.stack([truth.keypoints[self.frames] for truth in people], 1)
        labeled = inside(keypoints, width, height)
        people_of_frames = {
            frame: people_of_joints(keypoints[n] - HALF_PIXEL, labeled[n], STUDIO_LAYOUT, FLESH)
            for n, frame in enumerate(self.frames)
        }
        yield from read_frames(reader, self.video, people_of_frames, (width, height))


class Studio:
    """The people of raylift synthesize with their true joints; joints outside the image count as unlabeled."""

    Config: ClassVar[type[JobConfig]] = StudioConfig

    def __init__(self, config: StudioConfig) -> None:
        self._config = config

    def parts(self) -> tuple[JointLayout, Sequence[Part]]:
        """The joint layout of the studio, and ranges of frames of its videos.

        Raises:
            UserError: There are no truth files, or none of the requested subjects.
        """
        config, parts = self._config, []
        folder = storage.absolute(config.folder)
        for file in storage.list_folder(storage.join(folder, "truth"), ".parquet"):
            people = read_truth(file)
            if config.subjects is not None and not {truth.subject for truth in people} & set(config.subjects):
                continue
            truth_sha256 = hashlib.sha256(storage.read_bytes(file, unparsed=True)).hexdigest()
            video = addresses.inside(folder, people[0].video)
            for frames in stretches(0, len(people[0].timestamps_s), config.every):
                digest = digest_of(truth_sha256, video, frames, config.subjects)
                parts.append(StudioPart(digest, file, video, frames, config.subjects))
        if not parts:
            of_subjects = f" of {', '.join(config.subjects)}" if config.subjects else ""
            raise UserError(
                f"{config.folder}: holds no truth/*.parquet{of_subjects}; "
                f"make it with: raylift synthesize output={config.folder}"
            )
        return STUDIO_LAYOUT, parts
