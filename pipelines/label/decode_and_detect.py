"""The stages decode and detect in one process, for detectors on CPUs: frames need not be sent to another process."""

from collections.abc import Iterator

import pyarrow as pa

from pipelines.label.decode import DecodeClips
from pipelines.label.detect import DetectPeople


class DecodeAndDetect:
    """The two stages one after the other, clip by clip.

    Args:
        decode: Arguments of `DecodeClips`.
        detect: Arguments of `DetectPeople`.
    """

    def __init__(self, decode: tuple, detect: tuple) -> None:
        self._decode = DecodeClips(*decode)
        self._detect = DetectPeople(*detect)

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        """Decode each clip of a batch and detect in it before the next clip is decoded."""
        for clip in self._decode(batch):
            yield from self._detect(clip)
