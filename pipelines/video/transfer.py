"""Frames from process to process without passing through a pipe: pickled, 32 MB would be copied five times."""

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
        with open(descriptor, "wb", buffering=0, closefd=False) as file:
            left = memoryview(frames.images.reshape(-1))
            while left:
                left = left[file.write(left) :]
        connection.send((replace(frames, images=frames.images[:0]), frames.images.shape))
        send_handle(connection, descriptor, None)
    finally:
        os.close(descriptor)


def receive_frames(connection: Connection, header: tuple[Frames, tuple[int, ...]]) -> Frames:
    """Receive what `send_frames` sent; `header` is the message already read from the connection."""
    frames, shape = header
    descriptor = recv_handle(connection)
    try:
        size = int(np.prod(shape))
        # The mapping lives as long as the array does; the memory is freed with it.
        images = np.frombuffer(memoryview(mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)) if size else b"", np.uint8)
    finally:
        os.close(descriptor)
    return replace(frames, images=images.reshape(shape))


def _memory_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("frames")
    with tempfile.TemporaryFile() as file:  # not Linux
        return os.dup(file.fileno())
