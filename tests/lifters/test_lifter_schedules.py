import pytest

from pipelines.lifters.schedules import bn_momentum, learning_rate, rise


@pytest.mark.parametrize(
    ("epoch", "momentum"),
    [(0, 0.1), (1, 0.09440608762859234), (10, 0.05623413251903491), (40, 0.01), (80, 0.001)],
)
def test_bn_momentum_falls_from_a_tenth_to_a_thousandth(epoch, momentum):
    assert bn_momentum(epoch, 80) == pytest.approx(momentum, rel=1e-12)


def test_learning_rate_decays_after_every_epoch():
    assert learning_rate(0, 1e-3, 0.95) == 1e-3
    assert learning_rate(60, 1e-3, 0.95) == pytest.approx(4.6e-5, rel=0.01)
    assert learning_rate(80, 1e-3, 0.95) == pytest.approx(1.65e-5, rel=0.01)


def test_the_learning_rate_rises_over_the_first_steps():
    assert [rise(step, 4.0) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert rise(0, 0.0) == 1
