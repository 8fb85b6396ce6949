"""The joints in which predictions are compared with labels of another layout: those that both can provide."""

from collections.abc import Iterable

from pipelines.lifters.checkpoint import LifterCard
from pipelines.pose.middles import joints_from
from schemas.errors import UserError
from schemas.layouts import JointLayout, layout


def compared_layout(card: LifterCard, labels: Iterable[str | None]) -> JointLayout:
    """The labels' joints if they can be computed from the lifter's; else the lifter's if they can from the labels'.

    All layouts of motion capture have limbs14, in which several cameras label.

    Args:
        card: Of the lifter.
        labels: Layout of the labels of each track, the same for all that have some; None: it has none.

    Raises:
        UserError: The layouts cannot be compared.
    """
    predicted = layout(card.output_layout)
    positions = next((name for name in labels if name is not None), None)
    if positions is None or positions == predicted.name:
        return predicted
    labeled = layout(positions)
    if joints_from(predicted, labeled) is not None:
        return labeled
    if joints_from(labeled, predicted) is not None:
        return predicted
    raise UserError(
        f"layout: the positions are {positions}, the lifter predicts {card.output_layout}; "
        f"give tracks labeled in {card.output_layout}, or take a lifter that predicts {positions}"
    )
