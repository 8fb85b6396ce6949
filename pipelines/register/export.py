"""Exports a lifter as a `torch.export` program, which runs without the class of the lifter."""

import io
import logging
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import jaxtyping
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from pipelines.lifters.inference import predict
from pipelines.lifters.model import LiftingModel
from pipelines.lifters.supermask import multiplied_out
from schemas.errors import UserError
from schemas.frame_window import FrameWindow

# A sliding lifter is traced on the first number times the frames that it reads, plus the second. Tracing records lower
# bounds of the window's length; with such a long window, the bounds are hardly above the least length.
_FIELDS, _FRAMES = 8, 8
# Largest difference between exported and original predictions, m, far below the errors of lifters. The same kernels
# run, so mostly there is none.
_TOLERANCE_M = 1e-5
# PyTorch uses upper bounds above this value for infinity.
_NO_BOUND = 2**31
# Prefixes of the files in the program's archive that hold pickled objects.
_PICKLED = ("custom_obj", "opaque_obj")


@dataclass(frozen=True)
class ExportedLifter:
    """A lifter for use without this repository.

    Attributes:
        program: The bytes for `torch.export.load`. The program takes a window (frames, joints, features) in screen
            units and returns positions (frames - window.context, joints, 3) and, if predicted, the trajectory (…, 3) in
            metres, averaged with those of the mirror image.
        least_frames: Length of the shortest window that it takes.
        most_frames: Length of the longest window; None: any length.
    """

    program: bytes
    least_frames: int
    most_frames: int | None


def export_lifter(model: LiftingModel) -> ExportedLifter:
    """Trace a lifter, and check that the program predicts the same.

    Args:
        model: The lifter, on the CPU and in evaluation mode.

    Raises:
        UserError: The lifter cannot be traced, or the program predicts something else, because the lifter's code
            branches on values instead of shapes.
    """
    averaged = _Averaged(multiplied_out(model)).eval()
    example = _window(model, _example_frames(model.pose.window))
    with torch.no_grad(), tracing():
        try:
            program = torch.export.export(averaged, (example,), dynamic_shapes=({0: Dim.AUTO},))
        except Exception as error:
            # Tracing runs the lifter's code, which may raise any exception.
            reason = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
            raise UserError(
                f"lifter: {type(model.pose).__name__} cannot be exported by torch.export: {reason}; "
                "make its forward pass traceable"
            ) from error
        exported = ExportedLifter(saved(program), *_bounds(program, model.pose.window))
        _check_same(averaged, exported)
    return exported


class _Averaged(nn.Module):
    """Predicts positions and trajectory of one window as the lift job does, averaged with the mirror image's."""

    def __init__(self, model: LiftingModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, window: Float[Tensor, "frames joints_in features"]) -> tuple[Tensor, ...]:
        """Predict all frames for which the window has all that the lifter reads."""
        pose, trajectory = predict(self.model, window[None], flip=True)
        return (pose[0],) if trajectory is None else (pose[0], trajectory[0, :, 0])


def _window(model: LiftingModel, frames: int) -> Tensor:
    """Random keypoints, the same in every call."""
    shape = (frames, len(model.pose.input_layout), model.pose.input_features)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def _example_frames(window: FrameWindow) -> int:
    """Frames of the window that the program is traced on."""
    return window.inputs if window.takes_clips else _FIELDS * window.inputs + _FRAMES


def _bounds(program: ExportedProgram, window: FrameWindow) -> tuple[int, int | None]:
    """The shortest and the longest window that a program takes."""
    (name,) = program.graph_signature.user_inputs
    (node,) = (node for node in program.graph.nodes if node.name == name)
    frames = node.meta["val"].shape[0]
    if isinstance(frames, int) or frames.node.expr.is_number:  # the lifter's code accepts only this length
        return int(frames), int(frames)
    lengths = program.range_constraints[frames.node.expr]
    most = None if lengths.upper > _NO_BOUND else int(lengths.upper)
    if window.takes_clips:
        most = min(most or window.inputs, window.inputs)
    return max(int(lengths.lower), window.context + 1), most


def saved(program: ExportedProgram, what: str = "lifter") -> bytes:
    """The bytes of a program, for `torch.export.load`.

    Args:
        program: The program.
        what: What it is exported of, such as "lifter".

    Raises:
        UserError: The program holds other things than tensors, which would be pickled.
    """
    content = io.BytesIO()
    program.example_inputs = None  # the example inputs would be stored as a pickle
    torch.export.save(program, content)
    names = [name.rsplit("/", 1)[-1] for name in zipfile.ZipFile(content).namelist()]
    if pickled := [name for name in names if name.startswith(_PICKLED)]:
        raise UserError(
            f"{what}: holds {len(pickled)} objects besides tensors, which would be pickled; let it hold tensors only"
        )
    return content.getvalue()


def _check_same(averaged: _Averaged, exported: ExportedLifter) -> None:
    program = torch.export.load(io.BytesIO(exported.program)).module()
    longest = exported.most_frames or 2 * exported.least_frames + 1
    for frames in {exported.least_frames, longest}:
        window = _window(averaged.model, frames)
        for own, predicted in zip(averaged(window), program(window), strict=True):
            off_m = (own - predicted).abs().max().item()
            # `not <=` is used instead of `>`, so that NaN is an error too.
            if not off_m <= _TOLERANCE_M:
                raise UserError(
                    f"lifter: as exported by torch.export, predicts something else: {off_m:.1g} m off over {frames} "
                    "frames; let its forward pass branch on shapes, not on values"
                )


@contextmanager
def tracing() -> Iterator[None]:
    """Silence PyTorch's log, and switch off the checks of array shapes, which fail on symbolic sizes."""
    logger, disabled = logging.getLogger("torch"), jaxtyping.config.jaxtyping_disable
    level = logger.level
    logger.setLevel(logging.ERROR)
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", disabled)
        logger.setLevel(level)
