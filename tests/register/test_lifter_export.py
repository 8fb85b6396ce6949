"""Lifters as programs of torch.export: any length, no pickle, and refused where it is not the lifter."""

import io
import zipfile
from typing import ClassVar

import pytest
import torch
from evaluate.lifter_samples import make_lifter
from torch import nn

from pipelines.lifters.inference import predict
from pipelines.lifters.model import LiftingModel
from pipelines.register.export import export_lifter
from schemas.errors import UserError
from schemas.frame_window import FrameWindow
from schemas.job_config import JobConfig
from schemas.layouts import layout


class Middle(nn.Module):
    """A lifter whose `forward` is the test's."""

    Config: ClassVar[type[JobConfig]] = JobConfig
    window, input_features = FrameWindow.sliding(3), 2

    def __init__(self, config, input_layout, output_layout):
        super().__init__()
        self.input_layout, self.output_layout = input_layout, output_layout
        self.linear = nn.Linear(2, 3)
        self.lift = cut

    def forward(self, inputs):
        return self.lift(self, inputs)


def model_of(lift):
    middle = Middle(JobConfig(), layout("h36m17"), layout("h36m17"))
    middle.lift = lift
    return LiftingModel(middle, None).eval()


def cut(self, inputs):
    return self.linear(inputs[:, 1:-1])


def test_a_program_takes_any_length_from_its_shortest_on():
    model, _ = make_lifter()
    exported = export_lifter(model)
    assert exported.most_frames is None
    assert 9 <= exported.least_frames <= 18
    program = torch.export.load(io.BytesIO(exported.program)).module()
    for frames in (exported.least_frames, 40, 301):
        window = torch.rand(frames, 17, 2)
        pose, trajectory = predict(model, window[None], flip=True)
        outputs = program(window)
        assert torch.equal(outputs[0], pose[0])
        assert trajectory is not None
        assert torch.equal(outputs[1], trajectory[0, :, 0])


def test_a_plug_in_needs_no_class_to_be_loaded():
    program = torch.export.load(io.BytesIO(export_lifter(model_of(cut)).program)).module()
    (pose,) = program(torch.rand(20, 17, 2))
    assert pose.shape == (18, 17, 3)


def test_a_lifter_of_one_length_keeps_it():
    # The length that tracing tries: 8 receptive fields and 8 frames.
    exported = export_lifter(model_of(lambda self, inputs: self.linear(inputs.view(1, 32, 17, 2)[:, 1:-1])))
    assert (exported.least_frames, exported.most_frames) == (32, 32)


def test_nothing_in_the_file_is_a_pickle():
    content = zipfile.ZipFile(io.BytesIO(export_lifter(make_lifter()[0]).program))
    for name in content.namelist():
        # What pickle writes begins so, in every protocol in use; a zip within would hold one.
        assert not content.read(name).startswith((b"\x80", b"PK")), name


def test_what_depends_on_values_is_refused():
    def by_value(self, inputs):
        return self.linear(inputs[:, 1:-1]) if inputs.sum() > 0 else inputs

    with pytest.raises(UserError, match=r"lifter: Middle cannot be exported by torch.export: .*traceable"):
        export_lifter(model_of(by_value))


def test_a_program_that_predicts_something_else_is_refused():
    def counting(self, inputs):
        # A Python number, which tracing keeps as it is at the time.
        self.calls = getattr(self, "calls", 0) + 1
        return self.linear(inputs[:, 1:-1]) * self.calls

    with pytest.raises(
        UserError, match=r"as exported by torch.export, predicts something else: .* m off over 3 frames"
    ):
        export_lifter(model_of(counting))


def test_a_lifter_that_predicts_no_numbers_is_refused():
    model, _ = make_lifter()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(UserError, match="predicts something else: nan m off"):
        export_lifter(model)
