"""Frames from process to process without passing through a pipe: pickled, 32 MB would be copied five times."""

import math
import mmap
import os
import tempfile
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle

import numpy as np

from pipelines.video.frames import Frames


def send_frames(connection: Connection, frames: Frames) -> None:
    """Send frames to the process at the other end, a parent or a child of this one."""
    descriptor = _memory_file()
    try:
        with open(descriptor, "wb", closefd=False) as file:
            frames.images.tofile(file)
        connection.send((replace(frames, images=frames.images[:0]), frames.images.shape))
        send_handle(connection, descriptor, None)
    finally:
        os.close(descriptor)


def receive_frames(connection: Connection, header: tuple[Frames, tuple[int, ...]]) -> Frames:
    """Receive what `send_frames` sent; `header` is the message already read from the connection."""
    frames, shape = header
    descriptor = recv_handle(connection)
    try:
        # The mapping lives as long as the array does; the memory is freed with it.
        memory = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) if math.prod(shape) else b""
    finally:
        os.close(descriptor)
    return replace(frames, images=np.frombuffer(memoryview(memory), np.uint8).reshape(shape))


def _memory_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("frames")
    with tempfile.TemporaryFile() as file:  # not Linux
        return os.dup(file.fileno())
