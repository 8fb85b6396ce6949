"""Texts of a certain form, such as durations: messages say in words what may be given, not as a regular expression."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator


@dataclass(frozen=True)
class TextForm:
    """Validator of a text.

    Attributes:
        pattern: Regular expression that all of it fits.
        words: What may be given, in words.
    """

    pattern: str
    words: str

    def __call__(self, value: str) -> str:
        """Check a text.

        Raises:
            ValueError: It has another form.
        """
        if re.fullmatch(self.pattern, value, re.ASCII) is None:
            raise ValueError(f"give {self.words}")
        return value


Device = Annotated[str, AfterValidator(TextForm(r"auto|cpu|cuda(:\d+)?", "auto, cpu, cuda, or a GPU such as cuda:1"))]
"""Where PyTorch computes."""
Factor = Annotated[str, AfterValidator(TextForm(r".+=\d+(\.\d+)?", "NAME=FACTOR, such as S60=0.5"))]
"""A name or pattern, and a number by which something of that name is multiplied."""
