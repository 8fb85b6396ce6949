"""What workers and drivers log of single pieces of work: a line each, with what it takes to find them again.

Lines go where Python's logging goes: on workers into Ray's log files. `RAY_LOGGING_CONFIG_ENCODING=JSON`, which is
Ray's, makes each a JSON object with the fields `job`, `stage`, `video`, `reason` and `clip_id` or `track_id`.
"""

import json
import logging
import os

from pipelines.io.secrets import printable, redact

_log = logging.getLogger("raylift")


def log_failure(job: str, stage: str, video: str, reason: str, **ids: str) -> None:
    """Warn that a piece of work failed; the secrets of addresses are left out.

    Args:
        job: "label" or "lift".
        stage: Where in the job.
        video: Its URI.
        reason: Why.
        **ids: Which piece of the video: `clip_id` or `track_id`.
    """
    said = {"job": job, "stage": stage, "video": redact(video), **ids, "reason": redact(reason)}
    # For who reads text: the fields are in the JSON alone. A name with a line break must not begin a line.
    text = " ".join(f"{name}={printable(value)}" for name, value in said.items())
    _log.warning("failed: %s", text, extra=said)


def json_requested() -> bool:
    """Whether logs are to be JSON, a line an object."""
    return os.environ.get("RAY_LOGGING_CONFIG_ENCODING", "").upper() == "JSON"


class JsonFormatter(logging.Formatter):
    """The driver's lines, like those that Ray writes for workers; secrets are left out of each field."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        said = {
            "asctime": self.formatTime(record),
            "levelname": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["exc_text"] = self.formatException(record.exc_info)
        said |= {name: value for name, value in vars(record).items() if name in _FIELDS}
        return json.dumps({name: redact(str(value)) for name, value in said.items()})


_FIELDS = frozenset(["job", "stage", "video", "clip_id", "track_id", "reason"])
