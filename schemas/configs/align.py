"""Config of the align job."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from schemas.job_config import Address, Addresses
from schemas.run_config import RunConfig
from schemas.text_form import TextForm

Event = Annotated[str, AfterValidator(TextForm(r"[^=]+=\d+(\.\d+)?", "a name, =, and a number, such as NAME=2.5"))]


class AlignConfig(RunConfig):
    """Config of the align job, which puts recordings of one action in step with a reference performance."""

    tracks: Addresses | None = None
    """Keypoint tracks: a file or folder (any URI), or a list. Views must be alike, as keypoints are compared in the
    picture. Either this or poses."""

    poses: Addresses | None = None
    """Lifted tracks, as lift writes them: a file or folder (any URI), or a list. People are compared in space, from
    whatever side they were filmed. Either this or tracks."""

    aligner: Address | None = None
    """With tracks: models:/NAME@ALIAS, models:/NAME/VERSION, or best.pt of train_aligner (any URI). Frames are compared
    by its embeddings, from whatever side people were filmed; a distance of 1 is then the mean distance between frames
    of the reference."""

    trust: str | None = Field(default=None, min_length=1)
    """With aligner: the network outside of this package, package.module:Class, that it may name: its code is run."""

    reference: str = Field(min_length=1)
    """Track id of the reference performance, or the beginning of one."""

    others: tuple[str, ...] | None = None
    """Track ids of the recordings to put in step with it, or beginnings of them. If not given, all others."""

    start_s: float | None = Field(default=None, ge=0)
    """Where the reference performance begins, seconds of its video. If not given, with its track."""

    stop_s: float | None = Field(default=None, gt=0)
    """Where it ends, seconds of its video. If not given, with its track."""

    path: Literal["monotone", "nearest"] = "monotone"
    """How times are paired: monotone (a path that only goes forward, at 0.5 to 2 times the speed), or nearest (each
    frame with the one that looks most like it)."""

    repetitions: bool = False
    """Find every repetition of the reference performance in each recording, its own too, not only the best one. Without
    start_s and stop_s one repetition is looked for in the reference: motion that repeats is like itself after a
    period."""

    max_distance: float = Field(default=0.45, gt=0)
    """With repetitions: how far a repetition may be from the reference, mean over joints and time, in trunk sizes (a
    trunk, from the shoulders to the hips, is about a quarter of a person's height)."""

    events: tuple[Event, ...] = ()
    """Events of the reference performance, NAME=SECONDS of its video, such as [bottom=1.2]: when they happen in the
    other recordings is reported with a confidence."""

    moment_s: float | None = Field(default=None, ge=0)
    """A moment of the reference, seconds of its video: the moments of all tracks that are most similar to it are
    reported."""

    corpus: Address | None = None
    """With moment_s and aligner: an output of embed (any URI), whose tracks are searched in place of the ones given."""

    moments: int = Field(default=10, ge=1)
    """Number of similar moments."""

    pages: int = Field(default=10, ge=0)
    """Number of recordings that get a page, those in step best first."""

    output: Address = Field(min_length=1)
    """Folder (any URI) for alignment.parquet (pairs of times), report.json and a page for each recording."""
