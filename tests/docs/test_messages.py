"""docs/messages.md: every message that it explains is one of the sources'."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "messages.md").read_text("utf-8")
MESSAGES = re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)
# Literals that lie side by side are one text.
SOURCES = re.sub(
    r"[\"']\s+f?[\"']",
    "",
    "\n".join(
        f.read_text("utf-8") for top in ("schemas", "pipelines", "jobs", "raylift") for f in (ROOT / top).rglob("*.py")
    ),
)


@pytest.mark.parametrize("message", MESSAGES)
def test_the_parts_of_a_message_that_are_always_the_same_are_in_the_sources(message):
    parts = [part.strip(" :;,=") for part in message.split("…")]
    assert [part for part in parts if part not in SOURCES] == []
