"""The commands and snippets of the documentation, and what can be checked of a command without running it."""

import importlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jobs.command_line.arguments import plugin_config, read_config
from jobs.command_line.job_list import config_class

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), ROOT / "cluster" / "README.md"]
)
# What a line begins with that is a command.
PROGRAMS = (
    *("raylift", "python", "pip", "make", "mlflow", "ray", "pre-commit", "export", "mkdir", "ls"),
    *("docker", "kind", "kubectl", "helm", "aws", "gcloud"),
)
_COMMAND = re.compile(rf"(?:[A-Z_]+=\S* )*(?:\.venv/bin/)?(?:{'|'.join(PROGRAMS)}) ")


# A block of code between fences, a line of an indented block, or code within a sentence.
_PART = re.compile(
    r'^```(?P<kind>\w*)(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)^```$'
    r"|^ {4,}(?P<line>\S[^\n]*)$|`(?P<inline>[^`]+)`",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Snippet:
    """A block of code of a page.

    Attributes:
        kind: The language, such as "python".
        title: The name of the file that it is; empty if it is none.
        code: The lines.
    """

    kind: str
    title: str
    code: str


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
    return [step for step in steps(page) if isinstance(step, Command)]


def steps(page: Path) -> Iterator[Command | Snippet]:
    """The commands of a page and its blocks between fences, in their order."""
    for part in _PART.finditer(page.read_text("utf-8").replace("\\\n", " ")):
        if part["code"] is not None:
            yield Snippet(part["kind"], part["title"] or "", part["code"])
            continue
        line = re.sub(r"\s#\s.*", "", " ".join((part["line"] or part["inline"]).split()))
        if _COMMAND.match(line):
            text = re.sub(r"^(?:[A-Z_]+=\S* )*(?:\.venv/bin/)?", "", line)
            yield Command(page.relative_to(ROOT).as_posix(), text)


def check(words: list[str]) -> None:
    """Do what a job does before it computes: its command line, its config, its inputs and its output are checked."""
    job, *arguments = words
    config = read_config(config_class(job), arguments)
    run = importlib.import_module(f"pipelines.{job}.run")
    prepared = run.prepare(config, plugin_config) if job == "tune" else run.prepare(config)
    run.survey(prepared)


def job_commands(text: str) -> list[list[str]]:
    """The commands `raylift NAME …` that begin a line of a docstring or a recipe's header.

    Returns:
        The words of each from the name of the job on, without fields in brackets, which may be left out.
    """
    joined = re.sub(r"\\\n(?:#\s*)?", " ", text)
    lines = re.findall(r"^#?\s*raylift (\w+(?: .+)?)$", joined, re.MULTILINE)
    return [shlex.split(re.sub(r" \[[^\]]*\]", "", line)) for line in lines]
