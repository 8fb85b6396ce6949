import pytest
import torch
from torch import nn

from pipelines.detectors.heatmaps import FastNet, fold_batch_norms, resolve_precision
from pipelines.detectors.hrnet.checkpoint import load_hrnet
from schemas.errors import UserError
from schemas.layouts import layout


def trained():
    """A network whose batch norms do something."""
    network = load_hrnet("random:0", 4).network.eval()
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.1)
            nn.init.normal_(module.bias, 0, 0.1)
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    return network


def fast(**options):
    network = trained()
    fields = {"device": "cpu", "precision": "float32", "channels_last": True, "compiled": "none", **options}
    return FastNet(network, network.final_layer, layout("coco17"), (96, 128), **fields)


@torch.inference_mode()
def test_folding_changes_nothing():
    network, crops = trained(), torch.randn(2, 3, 64, 96)
    expected = network(crops)
    fold_batch_norms(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(network(crops), expected, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("channels_last", [False, True])
def test_layout_in_memory_changes_nothing(channels_last):
    crops = torch.randn(3, 3, 128, 96)
    torch.testing.assert_close(fast(channels_last=channels_last)(crops), trained()(crops), atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_half_precision_answers_in_float32_and_nearly_the_same():
    crops = torch.randn(3, 3, 128, 96)
    try:
        net = fast(precision="bf16")
    except UserError as error:
        pytest.skip(str(error))
    maps, expected = net(crops), trained()(crops)
    assert maps.dtype == torch.float32
    assert (maps - expected).abs().max() < 0.05 * expected.abs().max()


@torch.inference_mode()
def test_a_transposed_convolution_is_folded_too():
    module = nn.Sequential(nn.ConvTranspose2d(3, 5, 4, 2, 1, bias=False), nn.BatchNorm2d(5)).eval()
    nn.init.normal_(module.get_buffer("1.running_mean"))
    crops = torch.randn(1, 3, 8, 8)
    expected = module(crops)
    fold_batch_norms(module)
    torch.testing.assert_close(module(crops), expected, atol=1e-5, rtol=1e-5)


def test_what_a_device_lacks_is_refused():
    with pytest.raises(UserError, match=r"detector\.precision=fp16: this cpu would only emulate it"):
        resolve_precision("fp16", "cpu")
    assert resolve_precision("float32", "cpu") == torch.float32
    assert resolve_precision("auto", "cpu") in (torch.float32, torch.bfloat16)
    with pytest.raises(UserError, match=r"detector\.compile=cuda_graphs: the detector runs on a CPU"):
        fast(compiled="cuda_graphs")
