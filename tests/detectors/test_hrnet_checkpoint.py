import collections
import random

import pytest
import torch

from pipelines.detectors.card import DetectorCard, save_detector
from pipelines.detectors.hrnet.checkpoint import load_hrnet
from pipelines.detectors.hrnet.network import HrnetNetwork
from schemas.errors import UserError

CARD = DetectorCard(detector="hrnet", channels=4, layout="coco17", input_size="128x96", sigma=2.0)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = HrnetNetwork(4, 17)
    for name, buffer in made.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1)
    return made.eval()


def same(loaded, network):
    expected, actual = network.state_dict(), loaded.network.state_dict()
    return expected.keys() == actual.keys() and all(torch.equal(expected[name], actual[name]) for name in expected)


def bare(weights):
    return collections.OrderedDict(weights)


def parallel(weights):
    return {f"module.{name}": value for name, value in weights.items()}


def training_state(weights):
    return {"epoch": 3, "state_dict": parallel(weights), "optimizer": {"state": {}}}


def mmpose(head):
    def rename(weights):
        renamed = {(head if "final_layer" in k else "backbone.") + k: v for k, v in weights.items()}
        return {"meta": {"epoch": 210, "config": "model = dict()"}, "state_dict": renamed}

    return rename


def without_counters(weights):
    return {name: value for name, value in weights.items() if not name.endswith("num_batches_tracked")}


@pytest.mark.parametrize(
    "publish",
    [bare, parallel, training_state, mmpose("keypoint_head."), mmpose("head."), without_counters],
    ids=["bare", "parallel", "training_state", "mmpose 0.x", "mmpose 1.x", "without counters"],
)
def test_checkpoints_of_the_authors_and_of_mmpose_are_read(publish, network, tmp_path):
    torch.save(publish(network.state_dict()), tmp_path / "hrnet.pth")
    loaded = load_hrnet(str(tmp_path / "hrnet.pth"))
    assert same(loaded, network)
    assert (loaded.layout.name, loaded.card, len(loaded.sha256)) == ("coco17", None, 64)


def test_halved_weights_are_widened(network, tmp_path):
    torch.save(
        {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}, tmp_path / "h.pth"
    )
    assert {p.dtype for p in load_hrnet(str(tmp_path / "h.pth")).network.parameters()} == {torch.float32}


def test_checkpoints_of_train_detector_are_read_with_their_card(network, tmp_path):
    save_detector(str(tmp_path / "ours.pt"), network, CARD)
    loaded = load_hrnet(str(tmp_path / "ours.pt"))
    assert same(loaded, network)
    assert loaded.card == CARD


def test_a_network_that_predicts_from_all_branches_is_known_by_its_weights(tmp_path):
    torch.manual_seed(0)
    wide = HrnetNetwork(4, 17, all_branches=True).eval()
    torch.save(wide.state_dict(), tmp_path / "wide.pth")
    loaded = load_hrnet(str(tmp_path / "wide.pth"))
    assert loaded.network.all_branches
    assert same(loaded, wide)
    crops = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        maps = loaded.network.eval()(crops)
    assert maps.shape == (2, 17, 16, 24)
    # Four branches of 4, 8, 16 and 32 channels.
    assert loaded.network.final_layer.weight.shape == (17, 60, 1, 1)


def test_weights_are_read_from_a_uri(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "hrnet.pth")
    assert same(load_hrnet(f"file://{tmp_path}/hrnet.pth"), network)


def test_sixteen_joints_are_those_of_mpii(tmp_path):
    torch.save(HrnetNetwork(4, 16).state_dict(), tmp_path / "mpii.pth")
    assert load_hrnet(str(tmp_path / "mpii.pth")).layout.name == "mpii16"


def test_random_weights_are_the_same_for_a_seed():
    first, again, other = load_hrnet("random:3", 4), load_hrnet("random:3", 4), load_hrnet("random:4", 4)
    assert same(first, again.network)
    assert not same(first, other.network)
    assert first.sha256 == again.sha256 != other.sha256
    maps = first.network.eval()(torch.randn(1, 3, 64, 64))
    assert 0.2 < maps.mean() < 0.8


def refuse(uri, *parts, **options):
    """Loading fails with one line that has all these parts."""
    with pytest.raises(UserError) as error:
        load_hrnet(uri, **options)
    assert "\n" not in str(error.value)
    assert all(part in str(error.value) for part in parts), error.value


def test_a_missing_file_is_an_error(tmp_path):
    refuse(f"{tmp_path}/none.pth", "none.pth: cannot be read: No such file", "give the path of a checkpoint of HRNet")
    refuse("random:x", "random:x: the seed is no whole number")


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.99])
def test_a_truncated_file_is_an_error(kept, network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "hrnet.pth")
    data = (tmp_path / "hrnet.pth").read_bytes()
    (tmp_path / "hrnet.pth").write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    refuse(str(tmp_path / "hrnet.pth"), "hrnet.pth: is damaged or no checkpoint; copy it again")


def test_a_file_that_is_no_checkpoint_is_an_error(tmp_path):
    (tmp_path / "hrnet.pth").write_bytes(random.Random(0).randbytes(1000))
    refuse(str(tmp_path / "hrnet.pth"), "is damaged or no checkpoint")


def test_checkpoints_of_other_networks_are_refused(network, tmp_path):
    uri = str(tmp_path / "other.pth")
    torch.save({"fc.weight": torch.zeros(3, 3)}, uri)
    refuse(uri, "is no HRNet for keypoints (keys: fc.weight, …); expected conv1.weight to final_layer.weight")
    torch.save(network.state_dict(), uri)
    refuse(uri, "another architecture; expected transition1.0.0.weight 32×256×3×3, found 4×256×3×3", channels=32)
    refuse(uri, "expected final_layer.weight 16×4×1×1, found 17×4×1×1", layout_name="mpii16")
    torch.save(HrnetNetwork(4, 14).state_dict(), uri)
    refuse(uri, "final_layer.weight has 14 joints", "detector.layout")
    save_detector(uri, network, CARD.model_copy(update={"detector": "stacked_hourglass"}))
    refuse(uri, "is a checkpoint for detector=stacked_hourglass, not for detector=hrnet")
    torch.save({"format": "raylift.lifter/1", "card": "{}", "weights": {}}, uri)
    refuse(uri, "format is 'raylift.lifter/1', expected 'raylift.detector/1'")
    torch.save({"format": "raylift.detector/1", "card": "{", "weights": {}}, uri)
    refuse(uri, "the card is damaged")
    for changes in ({"input_size": "99999x99999"}, {"input_size": "x"}, {"sigma": float("nan")}, {"channels": 10**12}):
        save_detector(uri, network, CARD.model_copy(update=changes))
        refuse(uri, "the card is damaged")
    torch.save({"state_dict": [1, 2]}, uri)
    refuse(uri, "state_dict is a list, not a dictionary of weights")


class Evil:
    def __reduce__(self):
        return (print, ("code of the checkpoint ran",))


def test_nothing_is_unpickled(tmp_path, capsys):
    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    refuse(str(tmp_path / "evil.pth"), "holds pickled objects besides dense tensors")
    assert capsys.readouterr().out == ""
