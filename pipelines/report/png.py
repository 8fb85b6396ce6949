"""Charts as PNG files, for places that show no pages, such as MLflow's of a run."""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipelines.io.secrets import printable

MARK, OTHER = "#1f7ae0", "#9a9a9a"
_SIZE_INCHES, _DOTS_PER_INCH = (7.0, 3.6), 110
# Of charts whose texts beside the axes are numbers and a label.
_MARGINS = {"left": 0.1, "right": 0.98, "top": 0.91, "bottom": 0.15}
# Inches of a chart of bars: of each bar, and of title and axis.
_BAR_INCHES, _AROUND_INCHES = 0.2, 1.0
# Bars that can be told apart on a screen.
_MOST_BARS = 40
# Letters of a name.
_LONGEST_NAME = 60


def drawn(draw: Callable[[Axes], None], height_inches: float = _SIZE_INCHES[1], *, fitted: bool = True) -> bytes:
    """A PNG of one chart.

    Args:
        draw: Draws into its axes.
        height_inches: Its height.
        fitted: Whether margins follow from the texts beside the axes; that takes as long as all the rest.
    """
    figure = Figure(figsize=(_SIZE_INCHES[0], height_inches), layout="constrained" if fitted else None)
    axes = figure.add_subplot()
    if not fitted:
        figure.subplots_adjust(**_MARGINS)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    draw(axes)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DOTS_PER_INCH)
    return content.getvalue()


def literal(text: str) -> str:
    """A name as charts show it letter by letter: matplotlib would read what is between two $ as a formula."""
    shown = printable(text)
    return (shown if len(shown) <= _LONGEST_NAME else f"{shown[: _LONGEST_NAME - 1]}…").replace("$", r"\$")


def bars(rows: Iterable[tuple[str, float]], title: str, label: str) -> bytes:
    """A chart with a bar for each row, the largest first; of many the largest.

    Args:
        rows: Names and values.
        title: Of the chart.
        label: What the values are, with their unit.
    """
    by_size = sorted(rows, key=lambda row: -row[1])
    shown = by_size[:_MOST_BARS]
    more = f", the largest {len(shown)} of {len(by_size)}" if len(by_size) > len(shown) else ""

    def draw(axes: Axes) -> None:
        axes.barh(
            range(len(shown)),
            [value for _, value in shown],
            tick_label=[literal(name) for name, _ in shown],
            color=MARK,
        )
        axes.invert_yaxis()
        axes.tick_params(axis="y", labelsize=8)
        axes.set(xlabel=label, title=f"{title}{more}")

    return drawn(draw, _AROUND_INCHES + _BAR_INCHES * len(shown))


def curves(
    epochs: Sequence[int],
    lines: Mapping[str, Sequence[float | None]],
    title: str,
    label: str,
    *,
    best: int | None = None,
    log: bool = False,
) -> bytes:
    """A chart with a line for each name over epochs.

    Args:
        epochs: Their numbers.
        lines: The values of each name; None where there is none.
        title: Of the chart.
        label: What the values are, with their unit.
        best: The epoch that is marked; None: none is.
        log: Whether the axis of values is logarithmic.
    """

    def draw(axes: Axes) -> None:
        for name, values in lines.items():
            axes.plot(
                epochs,
                [float("nan") if v is None else v for v in values],
                marker=".",
                linewidth=1.6,
                label=literal(name),
            )
        if best is not None:
            axes.axvline(best, color=OTHER, linestyle="--", linewidth=1, label=f"best: epoch {best}")
        axes.set(xlabel="epoch", ylabel=label, title=title, yscale="log" if log else "linear")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, fontsize=8)

    return drawn(draw, fitted=False)
