"""`raylift <job> …` and `python -m jobs.<job> …`: read the config, run the job, turn its end into an exit code.

Exit codes: 0 done; 1 the job ended with failures; 2 the command was wrong; 130 interrupted (Ctrl-C, SIGTERM); 141 the
reader of the output closed it.
"""

import difflib
import importlib
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from jobs.command_line.arguments import read_config
from jobs.command_line.durability import require_durable_if_submitted
from jobs.command_line.help import help_text
from jobs.command_line.job_list import config_class, job_names, summary
from jobs.command_line.kept_log import keep_log
from jobs.command_line.ordered_version import require_ordered_version
from jobs.command_line.recipes import recipe_job, recipe_names, recipe_summary
from jobs.command_line.submit_arguments import read_submit_config
from jobs.command_line.tracebacks import print_traceback
from pipelines.io.secrets import printable, redact, shown
from pipelines.ray_cluster.logs import JsonFormatter, json_requested
from schemas import __version__
from schemas.errors import RunFailed, UserError
from schemas.job_config import JobConfig

_LONGEST_LINE, _MOST_LINES = 1200, 40


def main() -> int:
    """Entry point of the console script."""
    _replace_what_cannot_be_shown()
    names = job_names()
    if len(sys.argv) > 1 and sys.argv[1] in names:
        return run_job(sys.argv[1], sys.argv[2:])
    try:
        code = _tell(names)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader, such as head, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _tell(names: Sequence[str]) -> int:
    """Print what needs no job to run, such as help; returns the exit code."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("usage: raylift <job> [recipe ...] [field=value ...]\n       raylift recipes")
        print("\njobs (raylift <job> --help):")
        for name in names:
            print(f"  {name:<18}{summary(name)}")
        return 0 if len(sys.argv) > 1 else 2
    if sys.argv[1] == "--version":
        print(f"raylift {__version__}")
        return 0
    if sys.argv[1] == "recipes":
        for name in recipe_names():
            print(f"{name:<26}{recipe_job(name):<19}{recipe_summary(name)}")
        return 0
    if sys.argv[1] == "complete":
        from jobs.command_line.completion import completions

        line = os.environ.get("COMP_LINE", "")
        print("\n".join(completions(line[: int(os.environ.get("COMP_POINT") or len(line))])))
        return 0
    near = difflib.get_close_matches(sys.argv[1], names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"jobs: {', '.join(names)}"
    print(f"raylift: there is no job {sys.argv[1]!r}; {hint}", file=sys.stderr)
    return 2


def run_job(name: str, arguments: Sequence[str] | None = None) -> int:
    """Run `main(config)` of `jobs.<name>`; the job is imported only once its command line is known to be right.

    Args:
        name: The job.
        arguments: Its command line; those of this process if not given.
    """
    _replace_what_cannot_be_shown()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    model = config_class(name)
    formatter = JsonFormatter() if json_requested() else logging.Formatter("%(levelname)s %(name)s: %(message)s")
    handler = _StandardError()
    handler.setFormatter(formatter)
    logging.basicConfig(level="WARNING", handlers=[handler])
    sys.excepthook = print_traceback
    return _exit_code(name, lambda: _read_and_run(name, model, arguments))


def _read_and_run(name: str, model: type[JobConfig], arguments: list[str]) -> int:
    if any(argument in ("-h", "--help") for argument in arguments):
        print(help_text(name, summary(name), model, arguments), flush=True)
        return 0
    _require_working_directory()
    config = _read(name, model, arguments)
    _terminate_as_interrupted()
    with keep_log(name, config):
        # The module is imported by name, because this process may have been started as `python -m jobs.<name>`. Ray's
        # workers must be able to import the module that defines the job's classes, and they cannot import `__main__`.
        return _exit_code(name, lambda: importlib.import_module(f"jobs.{name}").main(config))


def _exit_code(name: str, work: Callable[[], int]) -> int:
    """Do some work of a job; its expected failures become a line and an exit code."""
    try:
        return work()
    except UserError as error:
        lines = str(error).splitlines()
        for line in lines[:_MOST_LINES]:
            print(f"{name}: {shown(_short(line))}", file=sys.stderr)
        if len(lines) > _MOST_LINES:
            print(f"{name}: … and {len(lines) - _MOST_LINES:,} more", file=sys.stderr)
        return 2
    except RunFailed as error:
        print(f"{name}: {shown(_short(str(error)))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: interrupted; run the same command again", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader, such as `| head`, has closed the output. Without this, Python would report it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _short(line: str) -> str:
    """The line without the middle of a value that fills many screens: the end says what to do."""
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE // 2]} … {line[-_LONGEST_LINE // 4 :]}"


def _replace_what_cannot_be_shown() -> None:
    """Print ? for characters that the output's encoding lacks (ASCII lacks …), instead of failing."""
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.encoding.lower().startswith("utf"):
        sys.stdout.reconfigure(errors="replace")


def _require_working_directory() -> None:
    """Check the working directory, which relative addresses and Ray's processes need.

    Raises:
        UserError: The working directory was removed.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise UserError(f"the working directory is not there: {error.strerror}; change to another (cd)") from error


def _terminate_as_interrupted() -> None:
    """Let SIGTERM end a job as Ctrl-C does: its processes end, and what is finished is kept."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _read(name: str, model: type[JobConfig], arguments: list[str]) -> JobConfig:
    if name == "submit":
        return read_submit_config(arguments)
    # A bare first word is the value of the job's first field where the job allows that: `fetch_weights blazepose`.
    if model.BARE_FIELD and arguments and "=" not in arguments[0] and not arguments[0].startswith("-"):
        arguments[0] = f"{model.BARE_FIELD}={arguments[0]}"
    require_ordered_version()
    require_durable_if_submitted(model, arguments)
    return read_config(model, arguments)


class _StandardError(logging.Handler):
    """Logs to what `sys.stderr` is at the time: jobs may run one after another in one process."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line, or those of a traceback; control characters in file names are escaped."""
        for line in redact(self.format(record)).splitlines():
            print(_short(printable(line)), file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
