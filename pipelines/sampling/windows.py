"""Training samples gathered from resident sequences by index: windows of input and the frames they predict.

A sequence of T frames is cut into ceil(T / c) chunks of c frames, which extend beyond both of its ends by the same
number of frames (Pavllo et al. 2019; docs/method.md, augmentation and windows). The input window of a chunk is longer
by the lifter's context. Clips begin a third of their length after each other, so that each frame is seen at several
places of a clip, and lie within their sequence if it is as long. Beyond the ends of a sequence its first and last
frame repeat, in the input and in the target.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from pipelines.pose import flips
from pipelines.pose.upload import uploaded
from pipelines.sampling.sequences import Sequences
from schemas.frame_window import FrameWindow
from schemas.layouts import JointLayout


@dataclass(frozen=True)
class WindowShape:
    """The frames that a sample gives to a lifter, and those of them that it predicts.

    Attributes:
        window: What the lifter reads for one prediction.
        chunk: Frames predicted together.
    """

    window: FrameWindow
    chunk: int = 1

    @property
    def before(self) -> int:
        """Input frames before the first predicted frame."""
        return self.window.offset

    @property
    def middle(self) -> int:
        """Place of the middle one of the predicted frames in the input."""
        return self.before + self.chunk // 2

    @property
    def frames(self) -> int:
        """Number of frames of the input."""
        return self.window.context + self.chunk


@dataclass(frozen=True)
class Batch:
    """Samples; the frames of all but `inputs` are those that the lifter predicts.

    Attributes:
        inputs: Screen units, with the score if the lifter reads it.
        keypoints: Screen units.
        scores: Confidence, 0 to 1.
        positions: Camera space, metres, absolute; None if unlabeled.
        cameras: Intrinsics in screen units; None if not known for all sequences.
        sequences: The sequence of each sample, in its set.
        starts: The first predicted frame of each sample in its sequence; may overhang it.
        mirrored: Which samples are mirrored.
    """

    inputs: Float32[Tensor, "batch window joints features"]
    keypoints: Float32[Tensor, "batch chunk joints 2"]
    scores: Float32[Tensor, "batch chunk joints"]
    positions: Float32[Tensor, "batch chunk joints3d 3"] | None
    cameras: Float32[Tensor, "batch 10"] | None
    sequences: Int64[Tensor, " batch"]
    starts: Int64[Tensor, " batch"]
    mirrored: Bool[Tensor, " batch"]

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.inputs)

    def part(self, samples: slice) -> "Batch":
        """Some of the samples."""
        columns = {field.name: getattr(self, field.name) for field in fields(Batch)}
        chosen: dict[str, Any] = {name: None if part is None else part[samples] for name, part in columns.items()}
        return Batch(**chosen)

    @staticmethod
    def concatenate(batches: "Sequence[Batch]") -> "Batch":
        """Several batches as one."""
        if len(batches) == 1:
            return batches[0]
        columns = {field.name: [getattr(batch, field.name) for batch in batches] for field in fields(Batch)}
        joined: dict[str, Any] = {
            name: None if parts[0] is None else torch.cat(parts) for name, parts in columns.items()
        }
        return Batch(**joined)


def chunk_counts(lengths: Int64[Tensor, " sequences"], shape: WindowShape) -> Int64[Tensor, " sequences"]:
    """Number of chunks of each sequence."""
    chunk = shape.chunk
    if not shape.window.takes_clips:
        return (lengths + chunk - 1) // chunk
    hop = max(1, chunk // 3)
    return torch.where(lengths > 0, 1 + ((lengths - chunk).clamp(min=0) + hop - 1) // hop, 0)


def chunk_table(
    lengths: Int64[Tensor, " sequences"], shape: WindowShape
) -> tuple[Int64[Tensor, " chunks"], Int64[Tensor, " chunks"]]:
    """(sequence, start) of every chunk; the first and last of a sequence may overhang it."""
    counts, chunk = chunk_counts(lengths, shape), shape.chunk
    sequences = torch.repeat_interleave(counts)
    numbers = torch.arange(len(sequences), device=lengths.device) - (counts.cumsum(0) - counts)[sequences]
    if not shape.window.takes_clips:
        return sequences, numbers * chunk - ((counts * chunk - lengths) // 2)[sequences]
    room = lengths - chunk
    spread = numbers * room.clamp(min=0)[sequences] // (counts - 1).clamp(min=1)[sequences]
    return sequences, spread + room.clamp(max=0)[sequences] // 2


class Windows:
    """The samples of resident sequences.

    Args:
        sequences: On the device where batches are wanted.
        shape: Of the windows.
    """

    def __init__(self, sequences: Sequences, shape: WindowShape) -> None:
        self.sequences, self.shape = sequences, shape
        self._sequence, self._start = chunk_table(sequences.lengths, shape)
        device = sequences.inputs.device
        self._inputs = _Mirror(sequences.layout, sequences.inputs.shape[2], device)
        self._scores = _Mirror(sequences.layout, 1, device, signed=False)
        as_it_is = torch.ones(10, device=device)
        self._camera_signs = torch.stack([as_it_is, flips.mirror_camera(as_it_is)])
        if sequences.positions_layout is not None:
            self._positions = _Mirror(sequences.positions_layout, 3, device)

    def __len__(self) -> int:
        """Number of chunks."""
        return len(self._sequence)

    def batch(self, samples: Int64[Tensor, " batch"]) -> Batch:
        """The samples by number, as `order` counts them: from `len(self)` on they are the mirrored chunks."""
        samples = uploaded(samples, self._sequence.device)
        return self.gather(samples % len(self), samples >= len(self))

    def gather(self, chunks: Int64[Tensor, " batch"], mirrored: Bool[Tensor, " batch"]) -> Batch:
        """Chunks by number with their windows; the mirrored ones as a mirrored scene would be seen.

        The frames predicted are the window's from `shape.before` on: with a causal lifter and chunks of one frame
        the last one, not the centre.
        """
        data, shape = self.sequences, self.shape
        sequence, start = self._sequence[chunks], self._start[chunks]
        window = self._frames(sequence, start - shape.before, shape.frames)
        target = window[:, shape.before :][:, : shape.chunk]
        inputs = self._inputs(data.inputs, window, mirrored)
        cameras = None
        if data.cameras is not None:
            cameras = data.cameras[sequence] * self._camera_signs[mirrored.long()]
        return Batch(
            inputs=inputs,
            keypoints=inputs[:, shape.before :][:, : shape.chunk, :, :2],
            scores=self._scores(data.scores[..., None], target, mirrored)[..., 0],
            positions=None if data.positions is None else self._positions(data.positions, target, mirrored),
            cameras=cameras,
            sequences=sequence,
            starts=start,
            mirrored=mirrored,
        )

    def _frames(
        self, sequence: Int64[Tensor, " batch"], start: Int64[Tensor, " batch"], count: int
    ) -> Int64[Tensor, "batch window"]:
        """The rows of `count` frames from `start` on, those beyond an end repeating it."""
        first, stop = self.sequences.offsets[sequence, None], self.sequences.offsets[sequence + 1, None]
        rows = first + start[:, None] + torch.arange(count, device=start.device)
        return torch.minimum(torch.maximum(rows, first), stop - 1)


class _Mirror:
    """Gathers rows of joints and mirrors some of them: sides swapped, x negated.

    Two gathers, by row and by column, and one product: no branch, so that a GPU need not wait for the CPU.
    """

    def __init__(self, layout: JointLayout, components: int, device: torch.device, signed: bool = True) -> None:
        joints = torch.tensor([range(len(layout)), layout.mirror], device=device)
        self._columns = (joints[..., None] * components + torch.arange(components, device=device)).flatten(1)
        self._signs = torch.ones(2, 1, 1, components, device=device)
        self._signs[1, ..., 0] = -1 if signed else 1

    def __call__(
        self,
        values: Float32[Tensor, "frames joints components"],
        rows: Int64[Tensor, "batch window"],
        mirrored: Bool[Tensor, " batch"],
    ) -> Float32[Tensor, "batch window joints components"]:
        which = mirrored.long()
        found = values.flatten(1)[rows.flatten()].view(*rows.shape, -1)
        columns = self._columns[which, None].expand(-1, rows.shape[1], -1)
        return found.gather(2, columns).unflatten(2, values.shape[1:]) * self._signs[which]
