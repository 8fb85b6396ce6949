"""The lineage in cards of checkpoints: texts by name, some of which are lists of texts as JSON."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator

from pipelines.io import json_documents

# The entries that are lists: names of people that a network was trained on, and hashes of annotations' files.
SUBJECTS, ANNOTATIONS = "subjects", "annotations"


def texts_of(lineage: Mapping[str, str], name: str) -> list[str]:
    """A list of a lineage; empty if there is none.

    Raises:
        ValueError: The entry is no list of texts.
    """
    texts = json_documents.parse(lineage.get(name, "[]"))
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{name} is no list of texts")
    return texts


def _checked(lineage: dict[str, str]) -> dict[str, str]:
    for name in (SUBJECTS, ANNOTATIONS):
        texts_of(lineage, name)
    return lineage


Lineage = Annotated[dict[str, str], AfterValidator(_checked)]
"""The lineage of a card, whose lists have been read once."""
