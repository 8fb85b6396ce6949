import pytest
import torch

from pipelines.lifters.batch_norm import BatchNormActivation
from pipelines.lifters.model import LiftingModel, build_model, root_of
from pipelines.lifters.temporal_conv import TemporalConv, TemporalConvConfig
from schemas.job_config import PluginConfig
from schemas.layouts import LAYOUTS

H36M = LAYOUTS["h36m17"]
SMALL = PluginConfig.model_validate({"name": "temporal_conv", "filter_widths": [3, 3], "channels": 8})


def test_pose_and_trajectory_have_weights_of_their_own():
    model = build_model(SMALL, LAYOUTS["coco17"], H36M, trajectory=True)
    pose, trajectory = model(torch.randn(4, 12, 17, 2))
    assert pose.shape == (4, 4, 17, 3)
    assert trajectory.shape == (4, 4, 1, 3)
    weights = model.state_dict()
    assert not torch.equal(weights["pose.expand.product.weight"], weights["trajectory.expand.product.weight"])


def test_without_a_trajectory():
    model = build_model(SMALL, H36M, H36M, trajectory=False)
    assert model(torch.randn(2, 9, 17, 2))[1] is None
    assert not any(name.startswith("trajectory") for name in model.state_dict())


def test_momentum_reaches_every_batch_norm():
    model = build_model(SMALL, H36M, H36M, trajectory=True)
    model.set_bn_momentum(0.025)
    momenta = [float(m.momentum) for m in model.modules() if isinstance(m, BatchNormActivation)]
    assert momenta == pytest.approx([0.025] * 6)


def test_momentum_reaches_a_plug_ins_batch_norm():
    pose = TemporalConv(TemporalConvConfig(filter_widths=(3,), channels=4), H36M, H36M)
    pose.extra = torch.nn.BatchNorm1d(4)
    LiftingModel(pose, None).set_bn_momentum(0.025)
    assert pose.extra.momentum == 0.025


def test_the_root_is_the_joint_without_a_parent():
    assert root_of(H36M).joints == ("pelvis",)
    assert root_of(LAYOUTS["mpii16"]).joints == ("pelvis",)
    assert root_of(H36M).mirror == (0,)
