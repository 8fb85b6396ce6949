"""Schedules as functions of the epoch, so that a resumed training follows them as if it had not been interrupted.

See docs/method.md, schedules.
"""


def bn_momentum(epoch: int, epochs: int) -> float:
    """Weight of the newest batch in batch norm's running statistics during an epoch.

    Decays exponentially from 0.1 to 0.001, as in Pavllo et al. 2019: 0.1 · exp(-(epoch / epochs) · ln 100).

    Args:
        epoch: Counted from 0.
        epochs: Number of epochs of the training.
    """
    return 0.1 * 0.01 ** (epoch / epochs)


def rise(step: int, steps: float) -> float:
    """The share of the learning rate in a step: it rises linearly over the first `steps` steps, then it is all of it.

    Args:
        step: Counted from 0 over the whole training.
        steps: Steps of the rise; 0: none.
    """
    return min(1.0, (step + 1) / steps) if steps else 1.0


def learning_rate(epoch: int, first: float, decay: float) -> float:
    """The learning rate during an epoch: `first`, times `decay` after every epoch.

    Args:
        epoch: Counted from 0.
        first: Learning rate of epoch 0.
        decay: Factor per epoch; the paper's is 0.95.
    """
    return first * decay**epoch
