"""The one exception that stands for a video that cannot be used, not for a bug."""


class VideoError(Exception):
    """An expected failure of one video; its message is a reason that a person understands.

    It names no path: the caller has it, and the row that the reason goes into has it already.
    """
