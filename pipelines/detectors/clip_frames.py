"""Uploads the frames of a clip to a device while the device computes."""

import warnings
from contextlib import nullcontext

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

# Bytes of one copy: enough for the full speed of the bus, and few enough for the first frames to arrive early.
_PIECE_BYTES = 8 << 20


class ClipFrames:
    """Frames as one tensor, uploaded once and as bytes, a piece at a time.

    On CUDA the copies run beside the computation, from pinned memory and on a stream of their own: the host fills the
    next piece while the device works on what it was given before.

    Args:
        frames: RGB.
        device: A torch device string.
        copied: Whether the device needs a copy; None: all but CPUs do.
    """

    def __init__(
        self, frames: UInt8[np.ndarray, "frames height width 3"], device: str, copied: bool | None = None
    ) -> None:
        on_cuda = device.startswith("cuda")
        self._frames = frames
        self._side = torch.cuda.Stream(device) if on_cuda else None
        if not (on_cuda if copied is None else copied):
            self._clip, self._uploaded = _as_tensor(frames), len(frames)
            return
        self._clip, self._uploaded = torch.empty(frames.shape, dtype=torch.uint8, device=device), 0
        self._piece = max(1, _PIECE_BYTES // max(1, frames[:1].nbytes))
        if self._side is not None:
            # The memory may have belonged to another tensor that the device still uses.
            self._side.wait_stream(torch.cuda.current_stream(device))
            self._clip.record_stream(self._side)

    def until(self, stop: int) -> UInt8[Tensor, "frames height width 3"]:
        """The whole clip, of which operations that start from now on may read the first `stop` frames."""
        while self._uploaded < stop:
            begin, self._uploaded = self._uploaded, min(self._uploaded + self._piece, len(self._frames))
            self._upload(slice(begin, self._uploaded))
        return self._clip

    def _upload(self, piece: slice) -> None:
        staged = torch.empty(self._clip[piece].shape, dtype=torch.uint8, pin_memory=self._side is not None)
        np.copyto(staged.numpy(), self._frames[piece])
        with nullcontext() if self._side is None else torch.cuda.stream(self._side):
            self._clip[piece].copy_(staged, non_blocking=True)
        if self._side is not None:
            torch.cuda.current_stream(self._clip.device).wait_stream(self._side)


def _as_tensor(frames: UInt8[np.ndarray, "frames height width 3"]) -> UInt8[Tensor, "frames height width 3"]:
    """A tensor of the same memory. PyTorch warns of Arrow's read-only frames, but nothing here writes to them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(frames))
