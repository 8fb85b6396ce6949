"""The same answers from ONNX Runtime as from PyTorch."""

import sys

import numpy as np
import pytest
import torch

from jobs.command_line.arguments import read_config
from pipelines.detectors.hrnet.detector import Hrnet, HrnetConfig
from pipelines.detectors.vitpose.detector import Vitpose, VitposeConfig
from schemas.configs.label import LabelConfig
from schemas.errors import UserError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path))


def build(detector=Hrnet, device="cpu", **options):
    small = {"channels": 2, "input_size": "64x32"} if detector is Hrnet else {"variant": "s", "input_size": "32x32"}
    fields = {"weights": "random:0", "persons": {"name": "fixed_people:TwoPeople"}, "min_person_score": 0, **small}
    config = (HrnetConfig if detector is Hrnet else VitposeConfig).model_validate(fields | options)
    return detector(config, 1, device)


@pytest.mark.long
@pytest.mark.parametrize("detector", [Hrnet, Vitpose])
def test_it_answers_as_pytorch_does_and_is_exported_once(detector, tmp_path, monkeypatch, capfd):
    pytest.importorskip("onnxruntime")
    frames = np.random.default_rng(0).integers(0, 256, (3, 90, 120, 3), np.uint8)
    onnx_detector, expected = build(detector, backend="onnx"), build(detector, precision="float32")
    assert onnx_detector.weights_sha256 == expected.weights_sha256
    for count in (3, 1):
        for people, wanted in zip(onnx_detector(frames[:count]), expected(frames[:count]), strict=True):
            np.testing.assert_allclose(people.keypoint_scores, wanted.keypoint_scores, atol=1e-4)
            # Where a random map has no clear peak, its refinement goes far for little.
            assert np.quantile(np.abs(people.keypoints - wanted.keypoints), 0.9) < 0.1
    monkeypatch.setattr(torch.onnx, "export", None)
    np.testing.assert_array_equal(
        build(detector, backend="onnx")(frames)[0].keypoints, onnx_detector(frames)[0].keypoints
    )
    assert len([path for path in (tmp_path / "onnx").iterdir() if path.is_dir()]) == 1
    assert capfd.readouterr() == ("", ""), "the exporter is talkative"


def test_without_onnx_runtime_the_error_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"detector.backend=onnx: cannot be loaded .*; pip install 'raylift\[onnx\]'"):
        build(backend="onnx")


def test_onnx_is_refused_on_gpus_and_with_options_of_torch():
    with pytest.raises(UserError, match=r"detector.backend=onnx: runs on CPUs only"):
        build(backend="onnx", device="cuda")
    fields = ["videos=a", "output=b", "detector=hrnet", "detector.weights=random:0", "detector.backend=onnx"]
    assert read_config(LabelConfig, [*fields, "detector.precision=float32"])
    with pytest.raises(UserError, match=r"^detector.backend=onnx: compile is for torch; leave one of the two out$"):
        read_config(LabelConfig, [*fields, "detector.compile=default"])
