"""What can go wrong with a video, told apart from bugs."""


class VideoError(Exception):
    """An expected failure of one video; its message is a reason that a person understands.

    It names no path: whoever asked knows it, and so does the row that the reason goes into.
    """


class DecoderFault(Exception):
    """One decoder cannot go on with a video; another may. Never leaves `VideoReader`."""
