"""Training samples gathered from resident sequences by index: windows of input and the frames they predict.

A sequence of T frames is cut into ceil(T / c) chunks of c frames, which extend beyond both of its ends by the same
number of frames (Pavllo et al. 2019; docs/method.md, augmentation and windows). The input window of a chunk is longer
by the lifter's context. Clips begin a third of their length after each other, so that each frame is seen at several
places of a clip, and lie within their sequence if it is as long. Beyond the ends of a sequence its first and last
frame repeat, in the input and in the target.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from pipelines.pose import flips
from pipelines.pose.cameras import CAMERA_FIELDS
from pipelines.pose.upload import uploaded
from pipelines.sampling.sequences import Sequences
from schemas.frame_window import FrameWindow
from schemas.layouts import JointLayout

# Features of an input that has the score besides x and y.
_WITH_SCORES = 3


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
        fisheyes: Whether some of the cameras may be fisheyes. The host knows it, so that their model is not computed
            for a set without them.
        total: Samples of all workers in this step. The host knows it: neither the device nor the others are asked.
    """

    inputs: Float32[Tensor, "batch window joints features"]
    keypoints: Float32[Tensor, "batch chunk joints 2"]
    scores: Float32[Tensor, "batch chunk joints"]
    positions: Float32[Tensor, "batch chunk joints3d 3"] | None
    cameras: Float32[Tensor, "batch 10"] | None
    sequences: Int64[Tensor, " batch"]
    starts: Int64[Tensor, " batch"]
    mirrored: Bool[Tensor, " batch"]
    fisheyes: bool
    total: int

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.inputs)

    def part(self, samples: slice) -> "Batch":
        """A worker's part: some of the samples."""
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **{name: value[samples] for name, value in tensors.items()})

    @staticmethod
    def concatenate(batches: "Sequence[Batch]") -> "Batch":
        """A worker's samples of a step, in several batches that each say how many the step has."""
        first, *others = batches
        if not others:
            return first
        tensors = [name for name, value in vars(first).items() if isinstance(value, Tensor)]
        joined = {name: torch.cat([getattr(batch, name) for batch in batches]) for name in tensors}
        return replace(first, **joined, fisheyes=any(batch.fisheyes for batch in batches))


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

    Which rows a batch takes is worked out on the CPU, from where all that says so goes up as one tensor.

    Args:
        sequences: On the device where batches are wanted.
        shape: Of the windows.
    """

    def __init__(self, sequences: Sequences, shape: WindowShape) -> None:
        self.sequences, self.shape = sequences, shape
        self._offsets = sequences.offsets.cpu()
        self._sequence, self._start = chunk_table(self._offsets.diff(), shape)
        device = sequences.inputs.device
        self._steps = torch.arange(shape.frames, device=device)
        parts = {"inputs": _mirrored(sequences.layout, sequences.inputs.shape[2])}
        if sequences.inputs.shape[2] != _WITH_SCORES:
            parts["scores"] = _mirrored(sequences.layout, 1)
        if sequences.positions_layout is not None:
            parts["positions"] = _mirrored(sequences.positions_layout, 3)
        as_it_is = torch.ones(len(CAMERA_FIELDS))
        order = torch.arange(len(CAMERA_FIELDS)).expand(2, -1)
        parts["cameras"] = order, torch.stack([as_it_is, flips.mirror_camera(as_it_is)])
        self._widths = {name: signs.shape[1] for name, (_, signs) in parts.items()}
        self._columns, self._signs = (torch.cat(tables, 1).to(device) for tables in zip(*parts.values(), strict=True))

    def __len__(self) -> int:
        """Number of chunks."""
        return len(self._sequence)

    def batch(self, samples: Int64[Tensor, " batch"], total: int | None = None) -> Batch:
        """The samples by number, as `order` counts them: from `len(self)` on they are the mirrored chunks.

        Args:
            samples: This worker's, on the CPU.
            total: How many all workers have together; None: these are all.
        """
        return self.gather(samples % len(self), samples >= len(self), total)

    def gather(
        self, chunks: Int64[Tensor, " batch"], mirrored: Bool[Tensor, " batch"], total: int | None = None
    ) -> Batch:
        """Chunks by number with their windows; the mirrored ones as a mirrored scene would be seen.

        The frames predicted are the window's from `shape.before` on: with a causal lifter and chunks of one frame
        the last one, not the centre.

        Args:
            chunks: On the CPU.
            mirrored: Which of them are mirrored, on the CPU.
            total: How many chunks all workers have together; None: these are all.
        """
        data, before, chunk = self.sequences, self.shape.before, self.shape.chunk
        sequence, start = self._sequence[chunks], self._start[chunks]
        first, last = self._offsets[sequence], self._offsets[sequence + 1] - 1
        chosen = torch.stack([sequence, start, first + start - before, first, last, mirrored.long()])
        sequence, start, begin, first, last, which = uploaded(chosen, data.inputs.device)
        # The rows beyond an end of the sequence repeat it.
        window = (begin[:, None] + self._steps).clamp(first[:, None], last[:, None])
        columns, signs = (
            dict(zip(self._widths, table[which].split(list(self._widths.values()), 1), strict=True))
            for table in (self._columns, self._signs)
        )
        inputs = _rows(data.inputs, window, columns["inputs"], signs["inputs"])
        scores = inputs[:, before:][:, :chunk, :, 2:]
        target = window[:, before:][:, :chunk]
        if "scores" in columns:
            scores = _rows(data.scores[..., None], target, columns["scores"])
        positions = None
        if data.positions is not None:
            positions = _rows(data.positions, target, columns["positions"], signs["positions"])
        return Batch(
            inputs=inputs,
            keypoints=inputs[:, before:][:, :chunk, :, :2],
            scores=scores[..., 0],
            positions=positions,
            cameras=None if data.cameras is None else data.cameras[sequence] * signs["cameras"],
            sequences=sequence,
            starts=start,
            mirrored=which.bool(),
            fisheyes=data.fisheyes,
            total=len(chunks) if total is None else total,
        )


def _mirrored(layout: JointLayout, components: int) -> tuple[Int64[Tensor, "2 columns"], Float32[Tensor, "2 columns"]]:
    """Where the numbers of a sample come from, and what they are multiplied by: as it is, and mirrored.

    Mirrored, sides are swapped and x is negated; a single component is a score.
    """
    joints = torch.tensor([range(len(layout)), layout.mirror])
    signs = torch.ones(2, len(layout), components)
    if components > 1:
        signs[1, :, 0] = -1
    return (joints[..., None] * components + torch.arange(components)).flatten(1), signs.flatten(1)


def _rows(
    values: Float32[Tensor, "frames joints components"],
    rows: Int64[Tensor, "batch window"],
    columns: Int64[Tensor, "batch columns"],
    signs: Float32[Tensor, "batch columns"] | None = None,
) -> Float32[Tensor, "batch window joints components"]:
    """Some rows of values: the numbers in the order of their sample's columns, times its signs.

    Two gathers, by row and by column, and one product: no branch, so that a GPU need not wait for the CPU.
    """
    samples = values.flatten(1)[rows.flatten()].view(*rows.shape, -1)
    samples = samples.gather(2, columns[:, None].expand(-1, rows.shape[1], -1))
    return (samples if signs is None else samples * signs[:, None]).unflatten(2, values.shape[1:])
