"""Passes frames between processes in shared memory: one process decodes into memory that the other maps.

Buffers are reused once their frames are garbage-collected: allocating and mapping 32 MB twice takes longer than filling
it.
"""

import math
import mmap
import os
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle

import numpy as np
from jaxtyping import UInt8

from pipelines.video.frames import Frames


@dataclass(frozen=True)
class Sent:
    """Announces frames in a shared buffer; if it is `fresh`, new to the receiver, its handle follows."""

    frames: Frames
    shape: tuple[int, ...]
    buffer: int
    fresh: bool


class FrameSender:
    """The side that decodes: provides arrays to decode into, in buffers that the other side gives back."""

    def __init__(self) -> None:
        self._buffers: dict[int, mmap.mmap] = {}
        self._free: list[int] = []
        # The buffer being decoded into, and its handle if the other side has not mapped it yet.
        self._unsent: int | None = None
        self._handle: int | None = None

    def take_back(self, buffers: Sequence[int]) -> None:
        """Reuse these buffers: their frames are no longer referenced."""
        self._free += buffers

    def allocate(self, shape: tuple[int, ...]) -> UInt8[np.ndarray, "..."]:
        """An array to decode into; the last one is discarded unless it was sent."""
        size = math.prod(shape)
        if self._unsent is None:
            self._unsent = self._free.pop() if self._free else len(self._buffers)
        if len(self._buffers.get(self._unsent, b"")) < size:
            self._close_handle()
            self._handle = _memory_file()
            os.truncate(self._handle, size)
            self._buffers[self._unsent] = mmap.mmap(self._handle, size)
        return np.frombuffer(self._buffers[self._unsent], np.uint8, size).reshape(shape)

    def send(self, connection: Connection, frames: Frames) -> None:
        """Send frames whose images are the first ones of the array allocated last."""
        assert self._unsent is not None
        header, fresh = replace(frames, images=frames.images[:0]), self._handle is not None
        connection.send(Sent(header, frames.images.shape, self._unsent, fresh))
        if self._handle is not None:
            send_handle(connection, self._handle, None)
        self._close_handle()
        self._unsent = None

    def _close_handle(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
        self._handle = None


class FrameReceiver:
    """The side that uses the frames, and says which buffers nobody uses any more."""

    def __init__(self) -> None:
        self._buffers: dict[int, mmap.mmap] = {}
        self._unused: list[int] = []

    def give_back(self) -> list[int]:
        """The buffers whose arrays were garbage-collected since the last call."""
        unused = self._unused[:]
        del self._unused[: len(unused)]
        return unused

    def receive(self, connection: Connection, sent: Sent) -> Frames:
        """The announced frames, in memory that is mapped read-only."""
        if sent.fresh:
            handle = recv_handle(connection)
            self._buffers[sent.buffer] = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
            os.close(handle)
        memory = np.frombuffer(self._buffers[sent.buffer], np.uint8, math.prod(sent.shape))
        weakref.finalize(memory, self._unused.append, sent.buffer)
        return replace(sent.frames, images=memory.reshape(sent.shape))


def _memory_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("frames")
    with tempfile.TemporaryFile() as file:  # not Linux
        return os.dup(file.fileno())
