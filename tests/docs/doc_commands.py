"""The commands of the documentation, and what can be checked of one without running it."""

import importlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from jobs.command_line.arguments import plugin_config, read_config
from jobs.command_line.job_list import config_class

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), ROOT / "cluster" / "README.md"]
)
# What a line begins with that is a command.
PROGRAMS = (
    *("raylift", "python", "pip", "make", "mlflow", "ray", "pre-commit", "export", "mkdir", "ls"),
    *("docker", "kind", "kubectl", "helm", "aws", "gcloud"),
)
_COMMAND = re.compile(rf"(?:[A-Z_]+=\S* )*(?:\.venv/bin/)?(?:{'|'.join(PROGRAMS)}) ")


@dataclass(frozen=True)
class Command:
    """A command as a page has it, in one line.

    Attributes:
        page: The page, relative to the repository.
        text: The command, without what precedes its program: variables and the folder of the environment.
    """

    page: str
    text: str

    @property
    def words(self) -> list[str]:
        """The command as a shell splits it."""
        return shlex.split(self.text)


def commands(page: Path) -> list[Command]:
    """The commands of a page in their order: the lines of its blocks of code, and those within its sentences."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = text.replace("\\\n", " ")
    found = re.finditer(r"^ {4,}(?P<line>\S.*)$|`(?P<inline>[^`]+)`", text, re.MULTILINE)
    spoken = (" ".join((match["line"] or match["inline"]).split()) for match in found)
    written = (re.sub(r"\s#\s.*", "", line) for line in spoken)
    return [
        Command(page.relative_to(ROOT).as_posix(), re.sub(r"^(?:[A-Z_]+=\S* )*(?:\.venv/bin/)?", "", line))
        for line in written
        if _COMMAND.match(line)
    ]


def check(words: list[str]) -> None:
    """Do what a job does before it computes: its command line, its config, its inputs and its output are checked."""
    job, *arguments = words
    config = read_config(config_class(job), arguments)
    run = importlib.import_module(f"pipelines.{job}.run")
    prepared = run.prepare(config, plugin_config) if job == "tune" else run.prepare(config)
    run.survey(prepared)


def job_commands(text: str) -> list[list[str]]:
    """The commands `python -m jobs.NAME …` or `raylift NAME …` that begin a line of a docstring or a recipe's header.

    Returns:
        The words of each from the name of the job on, without fields in brackets, which may be left out.
    """
    joined = re.sub(r"\\\n(?:#\s*)?", " ", text)
    found = re.findall(r"^#?\s*(?:python -m jobs\.|raylift )(\w+(?: .+)?)$", joined, re.MULTILINE)
    return [shlex.split(re.sub(r" \[[^\]]*\]", "", line)) for line in found]
