"""Checkpoints to begin with: ours, published ones, trunks of classifiers."""

import pytest
import torch

from pipelines.detectors.card import DetectorCard, save_detector
from pipelines.detectors.hrnet.network import HrnetNetwork
from pipelines.train_detector.initial_weights import begin_with, read_start
from schemas.errors import UserError


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(1)
    network = HrnetNetwork(2, 17)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.normal_()
    return network


def fresh(joints=17, channels=2):
    torch.manual_seed(2)
    return HrnetNetwork(channels, joints)


def same(network, other, head=True):
    own, others = network.state_dict(), other.state_dict()
    names = [n for n in own if "num_batches" not in n and (head or not n.startswith("final_layer"))]
    return all(torch.equal(own[name], others[name]) for name in names)


def save(path, content):
    torch.save(content, path)
    return str(path)


def test_all_weights_of_our_own_checkpoint_are_taken(trained, tmp_path):
    card = DetectorCard(detector="hrnet", channels=2, layout="h36m17", input_size="128x96", sigma=2)
    save_detector(str(tmp_path / "best.pt"), trained, card)
    start = read_start(str(tmp_path / "best.pt"), "hrnet")
    assert (start.channels, start.layout, start.card) == (2, "h36m17", card)
    network = fresh()
    begin_with(network, "h36m17", start)
    assert same(network, trained)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_all_weights_of_a_published_checkpoint_are_taken(trained, tmp_path, prefix):
    weights = {prefix + name: value for name, value in trained.state_dict().items()}
    network = fresh()
    begin_with(network, "coco17", read_start(save(tmp_path / "theirs.pth", {"state_dict": weights}), "hrnet"))
    assert same(network, trained)


@pytest.mark.parametrize(("layout", "joints"), [("h36m17", 17), ("mpii16", 16)])
def test_for_other_joints_the_last_layer_begins_anew(trained, tmp_path, layout, joints):
    network, untouched = fresh(joints), fresh(joints)
    begin_with(network, layout, read_start(save(tmp_path / "theirs.pth", trained.state_dict()), "hrnet"))
    assert same(network, trained, head=False)
    assert torch.equal(network.final_layer.weight, untouched.final_layer.weight)


def test_of_an_image_classifier_all_layers_but_the_last_are_taken(trained, tmp_path):
    weights = {name: value for name, value in trained.state_dict().items() if not name.startswith("final_layer")}
    extra = {"classifier.weight": torch.zeros(10, 4), "stage4.2.fuse_layers.1.0.0.0.weight": torch.zeros(4, 2, 3, 3)}
    network = fresh()
    start = read_start(save(tmp_path / "imagenet.pth", weights | extra), "hrnet")
    begin_with(network, "coco17", start)
    assert start.layout is None
    assert same(network, trained, head=False)


def test_what_does_not_fit_is_reported(trained, tmp_path):
    uri = save(tmp_path / "theirs.pth", trained.state_dict())
    with pytest.raises(UserError, match=r"expected transition1\.0\.0\.weight 4×256×3×3, found 2×256×3×3, "):
        begin_with(fresh(channels=4), "coco17", read_start(uri, "hrnet"))
    with pytest.raises(UserError, match=r"is no HRNet \(keys: a, b"):
        read_start(save(tmp_path / "other.pth", {"a": torch.zeros(1), "b": torch.zeros(1)}), "hrnet")
    with pytest.raises(UserError, match="cannot be read"):
        read_start(str(tmp_path / "absent.pth"), "hrnet")
