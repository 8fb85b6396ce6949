"""Ranges of numbers in configs, written as [least, greatest]."""

from typing import Annotated

from pydantic import AfterValidator, Field


def _ascending(values: tuple[float, float]) -> tuple[float, float]:
    if values[0] > values[1]:
        raise ValueError("must be least and greatest")
    return values


ASCENDING = AfterValidator(_ascending)
"""Of a pair of numbers: the first is not above the second."""

_Positive = Annotated[float, Field(gt=0)]
PositiveRange = Annotated[tuple[_Positive, _Positive], ASCENDING]
"""A range of numbers above 0."""

_Studio = Annotated[float, Field(gt=0, le=100)]
StudioRange = Annotated[tuple[_Studio, _Studio], ASCENDING]
"""A range of lengths in a studio, m: above 0, and so small that millimetres are not taken for metres."""
