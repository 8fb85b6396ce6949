import copy

import jaxtyping
import pytest
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn
from torch.nn import functional

from pipelines.lifters.batch_norm import BatchNormActivation

CHANNELS = 5


def build(dropout=0.0):
    module = BatchNormActivation(CHANNELS, dropout)
    torch.manual_seed(0)
    with torch.no_grad():
        module.weight.normal_()
        module.bias.normal_()
    return module


def run(module, samples):
    """(outputs, input gradients, weight gradients, running statistics) of one step with a made-up loss."""
    inputs = samples.clone().requires_grad_()
    outputs = module(inputs * 1)
    (outputs * torch.arange(1, CHANNELS + 1)).square().sum().backward()
    return outputs.detach(), inputs.grad, module.weight.grad, module.running_mean, module.running_var


def test_equals_pytorchs_own():
    module = build()
    samples = 3 * torch.randn(70, CHANNELS) + torch.arange(CHANNELS)
    outputs, input_grads, weight_grads, mean, var = run(module, samples)
    plain = torch.nn.BatchNorm1d(CHANNELS)
    plain.load_state_dict(build().state_dict(), strict=False)
    inputs = samples.clone().requires_grad_()
    expected = plain(inputs).relu()
    (expected * torch.arange(1, CHANNELS + 1)).square().sum().backward()
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(input_grads, inputs.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(weight_grads, plain.weight.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(module.bias.grad, plain.bias.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close((mean, var), (plain.running_mean, plain.running_var))
    torch.testing.assert_close(module.eval()(samples), plain.eval()(samples).relu())


def test_many_blocks_are_one(monkeypatch):
    samples = torch.randn(70, CHANNELS)
    whole = run(build(), samples)
    monkeypatch.setattr("pipelines.lifters.batch_norm._BLOCK", 4 * CHANNELS)
    torch.testing.assert_close(run(build(), samples), whole, atol=1e-5, rtol=1e-5)


def test_gradients_by_differences_with_dropout():
    module = build(dropout=0.5).double()
    samples, direction = torch.randn(2, 30, CHANNELS, dtype=torch.float64)

    def loss(x):
        torch.manual_seed(3)
        return (module(x * 1) * torch.arange(1, CHANNELS + 1)).square().sum()

    inputs = samples.clone().requires_grad_()
    loss(inputs).backward()
    change = (loss(samples + 1e-6 * direction) - loss(samples - 1e-6 * direction)) / 2e-6
    assert inputs.grad is not None
    torch.testing.assert_close((inputs.grad * direction).sum(), change, atol=0, rtol=1e-6)


@pytest.mark.parametrize("dropout", [0.25, 0.5])
def test_dropout_drops_that_share_and_keeps_the_mean(dropout):
    samples = torch.randn(40_000, CHANNELS)
    kept, dropped = build()(samples * 1), build(dropout)(samples * 1)
    gone = ((kept > 0) & (dropped == 0)).sum() / (kept > 0).sum()
    assert gone == pytest.approx(dropout, abs=0.01)
    alive = dropped > 0
    torch.testing.assert_close(dropped[alive], kept[alive] / (1 - dropout))


def test_momentum_weighs_the_newest_batch():
    module = build()
    module.set_momentum(0.5)
    samples = torch.randn(9, CHANNELS) + 4
    module(samples * 1)
    torch.testing.assert_close(module.running_mean, samples.mean(0) / 2)
    torch.testing.assert_close(module.running_var, 0.5 + samples.var(0) / 2)


def test_one_sample_has_no_variance():
    with pytest.raises(ValueError, match="more than one sample"):
        build()(torch.randn(1, CHANNELS))


def test_a_second_backward_is_refused():
    outputs = build()(torch.randn(8, CHANNELS, requires_grad=True) * 1).sum()
    outputs.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.backward()


def test_compiled_is_the_same_and_compiled_once(monkeypatch):
    from torch._dynamo.testing import CompileCounter  # its import takes seconds

    # The compiler cannot see through the shape checks.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    module = build()
    counter = CompileCounter()
    compiled = copy.deepcopy(module)
    compiled.compile(backend=counter)
    for momentum in (0.1, 0.09, 0.08):
        samples = torch.randn(16, CHANNELS)
        for each in (module, compiled):
            each.set_momentum(momentum)
            each.zero_grad()
        torch.testing.assert_close(run(compiled, samples), run(module, samples), atol=1e-4, rtol=1e-4)
    assert counter.frame_count == 1


def worker(rank, folder):
    """One of two workers with 9 and 4 samples; writes what it has."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    samples = torch.load(f"{folder}/samples.pt")
    module = build()
    results = run(module, samples[:9] if rank == 0 else samples[9:])
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.long
def test_two_workers_are_one(tmp_path):
    samples = 2 * torch.randn(13, CHANNELS) + 1
    # What differs most between the workers is what local statistics would get wrong.
    samples[9:] += 3
    torch.save(samples, tmp_path / "samples.pt")
    spawn(worker, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    outputs, input_grads, weight_grads, mean, var = run(build(), samples)
    torch.testing.assert_close(torch.cat([first[0], second[0]]), outputs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(torch.cat([first[1], second[1]]), input_grads, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(first[2] + second[2], weight_grads, atol=1e-4, rtol=1e-5)
    assert torch.equal(first[3], second[3])
    assert torch.equal(first[4], second[4])
    torch.testing.assert_close((first[3], first[4]), (mean, var), atol=1e-5, rtol=1e-5)
    assert functional.mse_loss(first[3], samples[:9].mean(0) * 0.1) > 1e-3
