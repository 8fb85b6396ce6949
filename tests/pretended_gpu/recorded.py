"""Counts of what a pretended GPU was asked to do, and of what made the host wait for it."""

import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

# Lines of these count as those that cause a wait.
OURS = ("/pipelines/", "/tests/pretended_gpu/scenarios")
# What launches no kernel.
VIEWS = {"view", "detach", "alias", "t", "transpose", "permute", "slice", "select", "unsqueeze", "squeeze", "expand"}
VIEWS |= {"as_strided", "unbind", "split", "split_with_sizes", "_unsafe_view", "_reshape_alias", "unfold", "lift_fresh"}
VIEWS |= {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided"}


@dataclass
class Recorded:
    """What has happened on the device.

    Attributes:
        waits: How often the host waited, by what for and by the line that did it.
        operators: How often each operator ran.
        exchanges: How often workers sent each other something, by the line that did it.
    """

    waits: Counter[tuple[str, str]] = field(default_factory=Counter)
    operators: Counter[str] = field(default_factory=Counter)
    exchanges: Counter[str] = field(default_factory=Counter)

    def wait(self, what: str) -> None:
        """Count a wait for the line of the project that causes it."""
        self.waits[what, _line()] += 1

    def exchange(self) -> None:
        """Count a message of all workers to all for the line of the project that causes it."""
        self.exchanges[_line()] += 1

    def summary(self, steps: int = 1) -> dict[str, Any]:
        """Waits, operators, and the lines that wait, for each step; then counting begins anew."""
        lines = {f"{what} {line}": count / steps for (what, line), count in self.waits.most_common()}
        kernels = sum(count for name, count in self.operators.items() if name not in VIEWS)
        exchanges = {line: count / steps for line, count in self.exchanges.most_common()}
        summary = {"waits": sum(lines.values()), "operators": kernels / steps, "lines": lines, "exchanges": exchanges}
        for counted in (self.waits, self.operators, self.exchanges):
            counted.clear()
        return summary


def _line() -> str:
    frame = sys._getframe(2)
    while frame and not any(part in frame.f_code.co_filename for part in OURS):
        frame = frame.f_back
    line = f"{frame.f_code.co_filename.rpartition('/tests/')[2]}:{frame.f_lineno}" if frame else "?"
    return line.rpartition("/pipelines/")[2]
