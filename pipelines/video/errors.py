"""Expected failures of videos, as opposed to bugs."""


class VideoError(Exception):
    """An expected failure of one video; its message is a reason for people to read.

    The message does not name the video: the caller knows it, and the output row has a column for it.
    """


class DecoderFault(Exception):
    """One decoder cannot continue with a video, but another may; `VideoReader` always handles it."""
