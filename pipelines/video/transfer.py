"""Passes frames between processes in shared memory: one process decodes into memory that the other maps.

Buffers are reused once their frames are garbage-collected: allocating and mapping 32 MB twice takes longer than filling
it. The side that decodes may be taken over by a hostile video, so the other side checks everything it receives.
"""

import fcntl
import math
import mmap
import os
import tempfile
import weakref
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle

import numpy as np
from jaxtyping import UInt8

from pipelines.video import answers
from pipelines.video.answers import Answer, SentFrames
from pipelines.video.errors import FalseAnswer
from pipelines.video.frames import Frames


class FrameSender:
    """The side that decodes: provides arrays to decode into, in buffers that the other side gives back."""

    def __init__(self) -> None:
        self._buffers: dict[int, mmap.mmap] = {}
        self._free: list[int] = []
        # The buffer that is being decoded into, and its handle if the other side has not mapped it yet.
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
            self._handle = _memory_file(size)
            self._buffers[self._unsent] = mmap.mmap(self._handle, size)
        return np.frombuffer(self._buffers[self._unsent], np.uint8, size).reshape(shape)

    def send(self, connection: Connection, frames: Frames) -> None:
        """Send frames whose images are the first ones of the array allocated last."""
        assert self._unsent is not None
        count, height, width, _ = frames.images.shape
        sent = SentFrames(
            indices=frames.indices,
            timestamps_s=frames.timestamps_s,
            decoder=frames.decoder,
            damage=frames.damage,
            shape=(count, height, width),
            buffer=self._unsent,
            fresh=self._handle is not None,
        )
        connection.send_bytes(answers.encode(Answer(frames=sent)))
        if self._handle is not None:
            send_handle(connection, self._handle, None)
        self._close_handle()
        self._unsent = None

    def _close_handle(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
        self._handle = None


class FrameReceiver:
    """The side that uses the frames, and gives back buffers that are no longer used."""

    def __init__(self) -> None:
        self._buffers: dict[int, mmap.mmap] = {}
        self._unused: list[int] = []

    def give_back(self) -> list[int]:
        """The buffers whose arrays were garbage-collected since the last call."""
        unused = self._unused[:]
        del self._unused[: len(unused)]
        return unused

    def receive(self, connection: Connection, sent: SentFrames) -> Frames:
        """The announced frames, in memory that is mapped read-only.

        Raises:
            FalseAnswer: The announcement contradicts itself or the buffer.
        """
        if sent.fresh:
            self._buffers[sent.buffer] = _map(_received(connection))
        size = math.prod(sent.shape) * 3
        if sent.buffer not in self._buffers or len(self._buffers[sent.buffer]) < size or not _is_consistent(sent):
            raise FalseAnswer("announced frames that it did not send")
        memory = np.frombuffer(self._buffers[sent.buffer], np.uint8, size)
        weakref.finalize(memory, self._unused.append, sent.buffer)
        return Frames(
            images=memory.reshape(*sent.shape, 3),
            indices=sent.indices,
            timestamps_s=sent.timestamps_s,
            decoder=sent.decoder,
            damage=sent.damage,
        )


def _is_consistent(sent: SentFrames) -> bool:
    ascending = bool((np.diff(sent.indices) > 0).all())
    return len(sent.indices) == len(sent.timestamps_s) == sent.shape[0] and ascending


def _received(connection: Connection) -> int:
    try:
        return recv_handle(connection)
    except RuntimeError as error:
        raise FalseAnswer("sent no handle") from error


def _map(handle: int) -> mmap.mmap:
    """The memory of a handle, which is closed.

    Raises:
        FalseAnswer: The handle is not memory, or can be shrunk: reading beyond its end would kill this process.
    """
    try:
        sealed = not hasattr(fcntl, "F_GET_SEALS") or fcntl.fcntl(handle, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
        if not sealed:
            raise FalseAnswer("sent memory that it could take away")
        return mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise FalseAnswer("sent no memory") from error
    finally:
        os.close(handle)


def _memory_file(size: int) -> int:
    """A handle of new memory whose size is fixed."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.truncate(handle, size)
        fcntl.fcntl(handle, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return handle
    with tempfile.TemporaryFile() as file:  # this is not Linux
        os.truncate(file.fileno(), size)
        return os.dup(file.fileno())
