"""What jobs print on a terminal: names from data can neither control the terminal nor show secrets."""

from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pipelines.io.secrets import shown

_LIMITLESS = 10_000


def files_in(folder: str, *names: str) -> str:
    """The addresses of what a job has written into its output, each of which can be copied as it stands."""
    return ", ".join(f"{folder}/{name}" for name in names)


class Terminal(Console):
    """A console of plain lines: names from data neither style, move the cursor, nor open what they address.

    Args:
        stderr: Whether it writes to standard error.
        width: Columns that tables may take; if not given, those of the terminal.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False, width=width)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print a line; a line break within it is shown as its escape, because it may come from the name of a file.

        A table is printed as wide as it is: terminals wrap long lines, whereas rich would cut the cells off.
        """
        limitless = self.options.update(width=_LIMITLESS)
        widths = [Measurement.get(self, limitless, o).maximum for o in objects if isinstance(o, Table)]
        if max(widths, default=0) > self.width:
            Terminal(stderr=self.stderr, width=max(widths)).print(*objects, **options)
            return
        super().print(*(shown(o) if isinstance(o, str) else o for o in objects), **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Make a text of whatever is printed: a line, and every cell, header and title of a table."""
        return super().render_str(shown(text), **options)

    def print_lines(self, *lines: str) -> None:
        """Print several lines."""
        for line in lines:
            self.print(line)
