"""The jobs, and what is known of each without importing it: importing some of them takes seconds."""

import ast
import importlib
from pathlib import Path

from schemas.job_config import JobConfig

JOBS = Path(__file__).parents[1]
CONFIGS = JOBS.parent / "schemas" / "configs"


def job_names() -> list[str]:
    """Every job: each module directly in `jobs/` that has a config of its name; other files there are no jobs."""
    return sorted(path.stem for path in JOBS.glob("*.py") if path.stem != "__init__" and (CONFIGS / path.name).exists())


def config_class(job: str) -> type[JobConfig]:
    """The class of a job's config, found by its name: `FetchWeightsConfig` of `schemas.configs.fetch_weights`."""
    module = importlib.import_module(f"schemas.configs.{job}")
    return getattr(module, "".join(word.title() for word in job.split("_")) + "Config")


def summary(job: str) -> str:
    """The first line of a job's docstring."""
    module = ast.parse((JOBS / f"{job}.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(module) or "").partition("\n")[0]
