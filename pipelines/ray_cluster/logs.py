"""Log lines about single pieces of work that failed, each with the fields that identify the piece.

Lines go where Python's logging goes; on workers that is Ray's log files. With Ray's variable
`RAY_LOGGING_CONFIG_ENCODING=JSON` each line is a JSON object with the fields `job`, `stage`, `video`, `reason` and
`clip_id` or `track_id`.
"""

import json
import logging
import os

from pipelines.io.secrets import printable, redact

_log = logging.getLogger("raylift")


def log_failure(job: str, stage: str, video: str, reason: str, **ids: str) -> None:
    """Log a warning that a piece of work failed; secrets in addresses are left out.

    Args:
        job: "label" or "lift".
        stage: Stage of the job.
        video: URI of the video.
        reason: Why it failed.
        **ids: `clip_id` or `track_id` of the piece.
    """
    fields = {"job": job, "stage": stage, "video": redact(video), **ids, "reason": redact(reason)}
    # The text repeats the fields, because only JSON lines contain `extra`. `printable` keeps it on one line, whatever
    # the names of files contain.
    text = " ".join(f"{name}={printable(value)}" for name, value in fields.items())
    _log.warning("failed: %s", text, extra=fields)


def json_requested() -> bool:
    """Whether each log line is to be a JSON object."""
    return os.environ.get("RAY_LOGGING_CONFIG_ENCODING", "").upper() == "JSON"


class JsonFormatter(logging.Formatter):
    """Formats the driver's log lines as Ray formats those of workers; secrets are left out."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        fields = {
            "asctime": self.formatTime(record),
            "levelname": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exc_text"] = self.formatException(record.exc_info)
        fields |= {name: value for name, value in vars(record).items() if name in _FIELDS}
        return json.dumps({name: redact(str(value)) for name, value in fields.items()})


_FIELDS = frozenset(["job", "stage", "video", "clip_id", "track_id", "reason"])
