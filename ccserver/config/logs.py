"""Log lines as journald reads them: priority, padded level, place, message. Source: spec/operations.md 13."""

from __future__ import annotations

import logging
import sys
import time

LEVELS = {
    "debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING,
    "err": logging.ERROR, "fatal": logging.ERROR, "crit": logging.CRITICAL,
}  # fmt: skip
_PREFIXES = {
    logging.DEBUG: "<7>[DEBUG]    ", logging.INFO: "<6>[INFO]     ", logging.WARNING: "<4>[WARNING]  ",
    logging.ERROR: "<3>[ERROR]    ", logging.CRITICAL: "<2>[CRITICAL] ",
}  # fmt: skip


class JournalFormatter(logging.Formatter):
    """One line per message: line breaks in it are escaped, a traceback follows only at level debug."""

    def __init__(self, with_date: bool, with_traceback: bool) -> None:
        super().__init__()
        self._with_date = with_date
        self._with_traceback = with_traceback

    def format(self, record: logging.LogRecord) -> str:
        date = time.strftime("%Y/%m/%d %H:%M:%S ", time.localtime(record.created)) if self._with_date else ""
        place = ""
        if record.levelno >= logging.ERROR:
            place = f"{record.pathname}:{record.lineno}: "
        elif record.levelno >= logging.INFO:
            place = f"{record.filename}:{record.lineno}: "
        message = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            message += f": {type(error).__name__}: {error}"
        line = message.replace("\n", "\\n").replace("\r", "\\r")
        text = _PREFIXES.get(record.levelno, "<6>[INFO]     ") + date + place + line
        if self._with_traceback and record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


def set_up_logging(level: str, with_date: bool) -> None:
    """Send everything from `level` on to stderr; an unknown level is reported and means debug."""
    threshold = LEVELS.get(level)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JournalFormatter(with_date, with_traceback=True))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.DEBUG if threshold is None else threshold)
    # Libraries that talk at debug about every await or every compiled line would bury our own messages.
    for name in ("numba", "asyncio", "hpack", "aiosqlite"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if threshold is None:
        logging.getLogger(__name__).error("-loglevel %r is none of %s", level, ", ".join(LEVELS))
