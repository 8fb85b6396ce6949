"""A lifter as a program of `torch.export`: it runs without the lifter's class, of this repository or of a plug-in."""

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
from schemas.errors import UserError

# The program is traced on so many receptive fields and frames: what it then takes for granted ("longer than …") holds
# from a fraction of a receptive field more than one on.
_FIELDS, _FRAMES = 8, 8
# Metres: far below what any lifter resolves; the same kernels run, so that most often nothing differs.
_TOLERANCE_M = 1e-5
# PyTorch's infinity is some number beyond this one.
_NO_BOUND = 2**31
# How the files in the program's archive that hold pickled objects begin.
_PICKLED = ("custom_obj", "opaque_obj")


@dataclass(frozen=True)
class ExportedLifter:
    """A lifter for use without this repository.

    Attributes:
        program: What `torch.export.load` reads. It takes a window (frames, joints, features) in screen units, and
            gives positions (frames - receptive_field + 1, joints, 3) and, if predicted, the trajectory (…, 3) in
            metres, averaged with the mirror image's.
        least_frames: The shortest window it takes.
        most_frames: The longest one; None: any.
    """

    program: bytes
    least_frames: int
    most_frames: int | None


def export_lifter(model: LiftingModel) -> ExportedLifter:
    """Trace a lifter, and see that what comes of it predicts the same.

    Args:
        model: On the CPU, in evaluation mode.

    Raises:
        UserError: The lifter cannot be traced, or predicts something else then: it decides by values, not shapes.
    """
    averaged = _Averaged(model).eval()
    example = _window(model, _FIELDS * model.pose.receptive_field + _FRAMES)
    with torch.no_grad(), _tracing():
        try:
            program = torch.export.export(averaged, (example,), dynamic_shapes=({0: Dim.AUTO},))
        except Exception as error:
            # Tracing runs any code, and fails in every way that code can.
            reason = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
            raise UserError(
                f"lifter: {type(model.pose).__name__} cannot be exported by torch.export: {reason}; "
                "make its forward pass traceable"
            ) from error
        exported = ExportedLifter(_saved(program), *_bounds(program, model.pose.receptive_field))
        _check_same(averaged, exported)
    return exported


class _Averaged(nn.Module):
    """One window to positions and trajectory, as `lift` with `flip` predicts it."""

    def __init__(self, model: LiftingModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, window: Float[Tensor, "frames joints_in features"]) -> tuple[Tensor, ...]:
        """Predict the frames that the window allows."""
        pose, trajectory = predict(self.model, window[None], flip=True)
        return (pose[0],) if trajectory is None else (pose[0], trajectory[0, :, 0])


def _window(model: LiftingModel, frames: int) -> Tensor:
    """Keypoints of nobody, the same each time."""
    shape = (frames, len(model.pose.input_layout), model.pose.input_features)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def _bounds(program: ExportedProgram, receptive_field: int) -> tuple[int, int | None]:
    """The shortest and the longest window that a program takes."""
    (name,) = program.graph_signature.user_inputs
    (node,) = (node for node in program.graph.nodes if node.name == name)
    frames = node.meta["val"].shape[0]
    if isinstance(frames, int) or frames.node.expr.is_number:  # the lifter's code takes this length alone
        return int(frames), int(frames)
    found = program.range_constraints[frames.node.expr]
    return max(int(found.lower), receptive_field), None if found.upper > _NO_BOUND else int(found.upper)


def _saved(program: ExportedProgram) -> bytes:
    content = io.BytesIO()
    program.example_inputs = None  # would be read as a pickle
    torch.export.save(program, content)
    names = [name.rsplit("/", 1)[-1] for name in zipfile.ZipFile(content).namelist()]
    if pickled := [name for name in names if name.startswith(_PICKLED)]:
        raise UserError(f"lifter: keeps {len(pickled)} objects besides tensors, which would be pickled; keep tensors")
    return content.getvalue()


def _check_same(averaged: _Averaged, exported: ExportedLifter) -> None:
    program = torch.export.load(io.BytesIO(exported.program)).module()
    longest = exported.most_frames or 2 * exported.least_frames + 1
    for frames in {exported.least_frames, longest}:
        window = _window(averaged.model, frames)
        for own, found in zip(averaged(window), program(window), strict=True):
            off_m = (own - found).abs().max().item()
            # Written so that NaN fails too.
            if not off_m <= _TOLERANCE_M:
                raise UserError(
                    f"lifter: as exported by torch.export, predicts something else: {off_m:.1g} m off over {frames} "
                    "frames; let its forward pass decide by shapes, not by values"
                )


@contextmanager
def _tracing() -> Iterator[None]:
    """Hold back PyTorch's remarks on tracing, and checks of types, which know no symbols for numbers."""
    logger, disabled = logging.getLogger("torch"), jaxtyping.config.jaxtyping_disable
    level = logger.level
    logger.setLevel(logging.ERROR)
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", disabled)
        logger.setLevel(level)
