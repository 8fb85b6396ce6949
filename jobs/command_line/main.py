"""`raylift <job> …` and `python -m jobs.<job> …`: read the config, run the job, turn its end into an exit code.

Exit codes: 0 done; 1 the job ended with failures; 2 the command was wrong; 130 interrupted; 141 nobody listens.
"""

import ast
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_type_hints

from jobs.command_line.arguments import help_text, read_config
from jobs.command_line.submitted import require_durable
from pipelines.io.secrets import printable, redact
from pipelines.ray_cluster.logs import JsonFormatter, json_wanted
from schemas.errors import RunFailed, UserError

JOBS = Path(__file__).parents[1]


def main() -> int:
    """Entry point of the console script."""
    names = job_names()
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print("usage: raylift <job> [recipe.yaml ...] [field=value ...]\n\njobs (raylift <job> --help):")
        for name in names:
            print(f"  {name:<18}{_summary(name)}")
        return 0 if len(sys.argv) > 1 else 2
    if sys.argv[1] not in names:
        print(f"raylift: there is no job {sys.argv[1]!r}; jobs: {', '.join(names)}", file=sys.stderr)
        return 2
    return run_job(sys.argv[1], sys.argv[2:])


def job_names() -> list[str]:
    """Every job: each module that lies directly in `jobs/`."""
    return sorted(path.stem for path in JOBS.glob("*.py") if path.stem != "__init__")


def run_job(name: str, arguments: Sequence[str] | None = None) -> int:
    """Run `main(config)` of `jobs.<name>`, whose annotation names the config class.

    A job whose module has `FIRST` takes its first argument as that field: `fetch_weights blazepose`. One that has
    `read` reads its command line itself.

    Args:
        name: The job.
        arguments: Its command line; those of this process if not given.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # Imported by name, not taken from __main__: Ray's workers must find what a job defines.
    job = importlib.import_module(f"jobs.{name}")
    if hasattr(job, "FIRST") and arguments and "=" not in arguments[0] and not arguments[0].startswith("-"):
        arguments[0] = f"{job.FIRST}={arguments[0]}"
    model = get_type_hints(job.main)["config"]
    formatter = JsonFormatter() if json_wanted() else logging.Formatter("%(levelname)s %(name)s: %(message)s")
    handler = _StandardError()
    handler.setFormatter(formatter)
    logging.basicConfig(level="WARNING", handlers=[handler])
    try:
        if any(argument in ("-h", "--help") for argument in arguments):
            print(help_text(name, _summary(name), model, arguments), flush=True)
            return 0
        config = job.read(arguments) if hasattr(job, "read") else read_config(model, arguments)
        require_durable(config)
        return job.main(config)
    except UserError as error:
        for line in str(error).splitlines():
            print(f"{name}: {printable(redact(line))}", file=sys.stderr)
        return 2
    except RunFailed as error:
        print(f"{name}: {printable(redact(str(error)))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: interrupted; run the same command again", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Who reads us (`| head`) has enough; Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


class _StandardError(logging.Handler):
    """Logs to what standard error is at the time: jobs may run one after another in one process."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line."""
        print(redact(self.format(record)), file=sys.stderr)


def _summary(name: str) -> str:
    # Read, not imported: a list of jobs should not take the seconds that Ray and MLflow take to load.
    module = ast.parse((JOBS / f"{name}.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(module) or "").partition("\n")[0]


if __name__ == "__main__":
    raise SystemExit(main())
