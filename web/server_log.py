"""Events as lines of JSON, and gunicorn's own.

gunicorn's first process imports this module when it starts and hands what it has imported on to every web process, also to those
that a reload begins with a later release. So nothing is imported here that a release may change.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger

ROOT = Path(__file__).parent.parent
FRAMES = 12  # the innermost of a trace


class Line(logging.Formatter):
    """An event as JSON. Of an error its types and where it was raised, never its words: they may quote what somebody wrote."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": at, "level": record.levelname.lower(), **self.where()}
        line |= getattr(record, "fields", {"said": record.getMessage()})
        if record.exc_info and record.exc_info[1]:
            line |= {"error": kinds(record.exc_info[1]), "trace": places(record.exc_info[1])}
        return json.dumps(line)

    def where(self) -> dict[str, str]:
        """What else the line says of where it happened."""
        return {}


def kinds(error: BaseException) -> list[str]:
    """The type of an error, then of what caused it."""
    found: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(found) < FRAMES:
        found.append(f"{type(cause).__module__}.{type(cause).__qualname__}")
        cause = cause.__cause__ or cause.__context__
    return found


def places(error: BaseException) -> list[str]:
    """file:line of the innermost frames, the innermost last."""
    return [f"{place(frame.filename)}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-FRAMES:]]


def place(file: str) -> str:
    """From the folder of the portal, or of the library, on."""
    path = Path(file)
    if path.is_relative_to(ROOT) and ".venv" not in path.parts:
        return path.relative_to(ROOT).as_posix()
    return file.rpartition("site-packages/")[2] if "site-packages/" in file else path.name


class ServerLogger(Logger):
    """What gunicorn itself has to say, in the same form."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(Line())
        sys.modules.pop(__name__, None)  # a web process of a later release imports that release's
