"""The recipes that are installed with the jobs; a command line gives them by name, wherever the package lies."""

import re
from pathlib import Path

RECIPES = Path(__file__).parents[1] / "recipes"


def recipe_names() -> list[str]:
    """Every recipe."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def recipe_path(name: str) -> Path:
    """The file of a recipe."""
    return RECIPES / f"{name}.yaml"


def recipe_job(name: str) -> str:
    """The job that a recipe is for: that of the command in its header which names the recipe."""
    match = re.search(rf"raylift (\w+) (?:\w+ )*{re.escape(name)}\b", _header(name))
    return match[1] if match else ""


def recipe_summary(name: str) -> str:
    """The first sentence of a recipe's header."""
    paragraph = _header(name).partition("\n\n")[0]
    return re.split(r"(?<!et al)\. ", " ".join(paragraph.split()))[0].removesuffix(".")


def _header(name: str) -> str:
    """The comment at the top of a recipe."""
    lines = recipe_path(name).read_text(encoding="utf-8").splitlines()
    return "\n".join(line.lstrip("# ") for line in lines if line.startswith("#"))
