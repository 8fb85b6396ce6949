"""Expected failures of videos, as opposed to bugs."""


class VideoError(Exception):
    """An expected failure of one video; its message is a reason for people to read.

    The message does not name the video: the caller knows it, and the output row has a column for it.
    """


class FalseAnswer(VideoError):
    """The decoding process sent an impossible message, so a hostile video may have taken it over."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the decoder's process was ended: it {what}")


class DecoderFault(Exception):
    """One decoder cannot continue with a video, but another may; `VideoReader` always handles it."""


def reason_of(error: Exception, *expected: type[Exception]) -> str:
    """Why a video failed, for its row; unexpected exceptions are named, so that they can be fixed.

    Args:
        error: What was raised.
        *expected: Types besides `VideoError` and `OSError` whose messages are for people to read.
    """
    known = isinstance(error, (VideoError, OSError, *expected))
    return str(error) if known else f"unexpected {type(error).__name__}: {error}"
