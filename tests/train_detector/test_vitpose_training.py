"""A ViTPose is fine-tuned: from its weights, with a new last layer, at another resolution, slower in earlier layers."""

import numpy as np
import pytest
import torch
import transformers
from train_detector.people_samples import LAYOUT, canvases

from pipelines.detectors.card import DetectorCard, save_detector
from pipelines.detectors.vitpose.detector import Vitpose, VitposeConfig
from pipelines.detectors.vitpose.network import load_vitpose
from pipelines.train_detector.batches import Batches
from pipelines.train_detector.initial_weights import begin_with, make_network, read_start
from pipelines.train_detector.loop import DetectorData, DetectorTraining
from pipelines.train_detector.plan import CanvasShape, NetPlan
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train_detector import TrainDetectorConfig
from schemas.errors import UserError
from schemas.job_config import build

CPU = WorkerGroup(torch.device("cpu"))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder of transformers with a ViTPose of two layers, trained on crops of 256 x 192 px with COCO's joints."""
    torch.manual_seed(0)
    fields = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "out_indices": [2]}
    backbone = transformers.VitPoseBackboneConfig(**fields)
    config = transformers.VitPoseConfig(backbone_config=backbone, num_labels=17, use_simple_decoder=True)  # pyright: ignore[reportCallIssue]
    folder = tmp_path_factory.mktemp("vitpose")
    transformers.VitPoseForPoseEstimation(config).save_pretrained(folder)
    return str(folder)


def planned(published, size="96x64") -> NetPlan:
    start = read_start(published, "vitpose")
    height, width = map(int, size.split("x"))
    shape = CanvasShape.for_net(LAYOUT.name, (width, height), 1.35)
    return NetPlan("vitpose", shape, size, start.channels, False, 2.0, published, start.vitpose)


def training(folder, net: NetPlan, **optimization) -> DetectorTraining:
    values = {"epochs": 4, "batch_size": 3, "learning_rate": 2e-3, **optimization}
    config = TrainDetectorConfig.model_validate(
        {
            "data": {"name": "x"},
            "output": str(folder),
            "detector": "vitpose",
            "weights": net.weights,
            "optimization": values,
        }
    )
    data = DetectorData(*(Batches(canvases(folder), CPU, 1, net.udp) for _ in range(2)))
    return DetectorTraining(config, net, data, CPU)


def test_all_weights_but_those_of_other_joints_are_taken_and_the_last_layer_begins_with_zeros(published):
    net, start = planned(published, "256x192"), read_start(published, "vitpose")
    network = make_network(net)
    begin_with(network, LAYOUT.name, start)  # not coco17
    weights = network.state_dict()
    assert not weights["head.weight"].any()
    assert not weights["head.bias"].any()
    taken = [
        name for name in weights if "head.conv" not in name and not name.startswith("head.") and "num_" not in name
    ]
    assert all(torch.equal(weights[name], start.weights[name]) for name in taken)
    begin_with(network, "coco17", start)
    assert torch.equal(network.state_dict()["head.weight"], start.weights["head.weight"])


def test_position_embeddings_are_interpolated_for_other_sizes(published):
    start = read_start(published, "vitpose", (64, 96))
    assert start.weights["model.backbone.embeddings.position_embeddings"].shape == (1, 1 + 6 * 4, 32)
    network = make_network(planned(published))
    begin_with(network, LAYOUT.name, start)
    assert network(torch.zeros(1, 3, 96, 64)).shape == (1, 17, 24, 16)


def test_earlier_layers_learn_more_slowly_and_only_matrices_decay(published, tmp_path):
    loop = training(tmp_path, planned(published), layer_decay=0.5, weight_decay=0.2)
    loop.run_epoch()
    groups = loop._optimizer.param_groups
    assert sorted({group["lr"] for group in groups}) == pytest.approx([2e-3 * 0.5**n for n in (3, 2, 1, 0)])
    weights = {id(weight): name for name, weight in loop.network.named_parameters()}
    for group in groups:
        names = [weights[id(weight)] for weight in group["params"]]
        assert {any(part in name for part in ("bias", "norm", "position")) for name in names} == {
            group["weight_decay"] == 0
        }
    assert sum(len(group["params"]) for group in groups) == len(weights)


@pytest.mark.parametrize("size", ["96x64", "144x96"])
def test_the_loss_falls_at_two_resolutions(published, tmp_path, size):
    loop = training(tmp_path, planned(published, size))
    loop.restore(None)
    reports = [loop.run_epoch() for _ in range(4)]
    assert reports[-1].losses["total"] < 0.95 * reports[0].losses["total"]


def test_an_interrupted_fine_tuning_ends_as_one_that_was_not(published, tmp_path):
    whole = training(tmp_path, planned(published))
    whole.restore(None)
    whole.run_epoch()
    torch.save(whole.state(), tmp_path / "state.pt")
    last = whole.run_epoch()
    resumed = training(tmp_path, planned(published))
    resumed.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    assert resumed.run_epoch().losses == last.losses


def test_the_detector_reads_what_the_training_writes(published, tmp_path):
    net = planned(published)
    loop = training(tmp_path, net)
    loop.restore(None)
    loop.run_epoch()
    card = DetectorCard(
        detector="vitpose", channels=32, vitpose=net.vitpose, layout=LAYOUT.name, input_size="96x64", sigma=2
    )
    file = str(tmp_path / "best.pt")
    save_detector(file, loop.network, card)
    loaded = load_vitpose(file, "b", 17, None, 0)
    assert (loaded.card, loaded.network.input_wh) == (card, (64, 96))
    crops = torch.randn(2, 3, 96, 64)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.network.eval()(crops), loop.network.eval()(crops))
    options = {"weights": file, "persons": {"name": "whole_frame"}, "min_person_score": 0}
    detector = Vitpose(VitposeConfig.model_validate(options | {"layout": LAYOUT.name}), 1, "cpu")
    frames = np.random.default_rng(0).integers(0, 256, (1, 90, 120, 3), np.uint8)
    assert detector(frames)[0].keypoints.shape[1:] == (17, 2)
    with pytest.raises(
        UserError, match=f"detector.layout=coco17: the weights were trained on {LAYOUT.name}; give that"
    ):
        Vitpose(VitposeConfig.model_validate(options), 1, "cpu")
    begun = read_start(file, "vitpose")
    assert (begun.layout, begun.input_size, begun.card) == (LAYOUT.name, "96x64", card)


def test_a_checkpoint_of_another_detector_is_refused(published, tmp_path):
    card = DetectorCard(detector="hrnet", channels=2, layout="h36m17", input_size="128x96", sigma=2)
    save_detector(str(tmp_path / "best.pt"), torch.nn.Linear(1, 1), card)
    with pytest.raises(
        UserError, match=r"weights=.*best\.pt: is a checkpoint for detector=hrnet, not for detector=vitpose"
    ):
        read_start(str(tmp_path / "best.pt"), "vitpose")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "weights: is required with detector=vitpose; give those of a trained ViTPose"),
        (
            {"weights": "w", "network": {"channels": 8}},
            "network.channels: detector=vitpose has no such option; leave it out",
        ),
        (
            {"weights": "w", "network": {"input_size": "112x96"}, "detector": "hrnet"},
            "network.input_size=112x96: height and width must be multiples of 32, at least 64",
        ),
        (
            {"detector": "hrnet", "optimization": {"layer_decay": 0.5}},
            "optimization.layer_decay: detector=hrnet has no such option; leave it out",
        ),
    ],
)
def test_options_of_the_other_detector_are_refused(given, line):
    values = {"data": "studio", "output": "out", "detector": "vitpose"} | given
    with pytest.raises(UserError) as error:
        build(TrainDetectorConfig, values, lambda table, name: TrainDetectorConfig)
    assert line in str(error.value)


def test_names_of_hugging_face_are_no_paths():
    values = {"data": "studio", "output": "out", "detector": "vitpose", "weights": "usyd-community/vitpose-base-simple"}
    config = TrainDetectorConfig.model_validate(
        values | {"data": {"name": "studio"}}, context={"resolve": lambda path: f"/here/{path}"}
    )
    assert (config.weights, config.output) == ("usyd-community/vitpose-base-simple", "/here/out")
