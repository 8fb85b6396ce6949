"""The answers of the decoder's process. It is not trusted: its answers are JSON, checked here, and never pickles."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float64, Int64
from pydantic import Field, TypeAdapter, ValidationError

from pipelines.video.errors import FalseAnswer
from pipelines.video.frames import DecoderName
from pipelines.video.info import VideoInfo
from pipelines.video.limits import LONGEST_SIDE_PX, MOST_FRAMES, require_within_limits
from pipelines.video.packed import SECONDS, TICKS

# The longest answer, bytes: base64 of three arrays for the largest number of frames that a video may have.
LARGEST_BYTES = 3 * MOST_FRAMES * 8 * 4 // 3 + 100_000
# The most letters of a message, and of a list of damaged frames, because both become part of a row of the output.
_LONGEST_TEXT, _LONGEST_DAMAGE = 500, 100_000
# The most buffers in use at once; each holds the frames of one read that are still referenced.
_MOST_BUFFERS = 1000

_Side = Annotated[int, Field(ge=0, le=LONGEST_SIDE_PX)]


@dataclass(frozen=True, eq=False)
class SentFrames:
    """`Frames` without their images, which are in a shared buffer.

    Attributes:
        indices: As in `Frames`.
        timestamps_s: As in `Frames`.
        decoder: As in `Frames`.
        damage: As in `Frames`.
        shape: Frames, height and width of the images.
        buffer: Number of the buffer.
        fresh: Whether the buffer is new, so that its handle follows.
    """

    indices: Annotated[Int64[np.ndarray, " frames"], TICKS]
    timestamps_s: Annotated[Float64[np.ndarray, " frames"], SECONDS]
    decoder: DecoderName
    damage: Annotated[str, Field(max_length=_LONGEST_DAMAGE)] | None
    shape: tuple[Annotated[int, Field(ge=0)], _Side, _Side]
    buffer: Annotated[int, Field(ge=0, lt=_MOST_BUFFERS)]
    fresh: bool


@dataclass(frozen=True)
class Answer:
    """The answer to a request: one of these.

    Attributes:
        error: Why it failed.
        info: What is known of the video.
        frames: Its frames.
    """

    error: Annotated[str, Field(max_length=_LONGEST_TEXT)] | None = None
    info: VideoInfo | None = None
    frames: SentFrames | None = None


_ANSWERS = TypeAdapter(Answer)


def failure(reason: str) -> Answer:
    """An answer with the reason of a failure."""
    return Answer(error=reason[:_LONGEST_TEXT])


def encode(answer: Answer) -> bytes:
    """The answer as JSON."""
    return _ANSWERS.dump_json(answer)


def decode(data: bytes) -> Answer:
    """The answer that JSON holds.

    Raises:
        FalseAnswer: The JSON holds no answer.
        VideoError: The answer claims properties that no video has.
    """
    try:
        answer = _ANSWERS.validate_json(data, strict=True)
    except ValidationError as error:
        raise FalseAnswer("gave no valid answer") from error
    if answer.info is not None:
        require_within_limits(answer.info)
    return answer
