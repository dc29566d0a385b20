"""What is logged, and what never is.

One line a request from the dispatcher (method, path without its query, status, duration, request id). Libraries that print codes or
tokens at DEBUG are pinned above it, whatever an operator sets the root logger to. Nothing that strangers send begins a line of its own or
steers a terminal.
"""

import asyncio
import copy
import logging
import textwrap
import time
from types import TracebackType
from typing import Any

# oauthlib prints refresh tokens at DEBUG, django-oauth-toolkit the success URL with its code, the database backend a query's parameters.
PINNED = ("oauthlib", "oauth2_provider", "django.db.backends", "urllib3", "requests", "httptools", "asyncio", "uvicorn")

_GATHERED_SECONDS = 0.1
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)  # C0, DEL and C1; what Unicode calls a line or paragraph separator
_ESCAPED = {code: chr(code).encode("unicode_escape").decode() for code in _CONTROLS}
_ESCAPED_IN_TRACEBACKS = {code: text for code, text in _ESCAPED.items() if chr(code) not in "\n\t"}
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class LineFormatter(logging.Formatter):
    """A record is one line, its control characters escaped; a traceback's lines follow, indented so that none passes for a record."""

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record, _Lines):
            return str(record.msg)
        if record.exc_text is not None:
            record = copy.copy(record)
            record.exc_text = None  # it is what another handler's formatter made of it
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (the library's name)
        return _escaped(super().formatMessage(record))

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _indented(super().formatStack(stack_info))


class AccessLog:
    """A line a request, given to the logger ten times a second, many in one record.

    A record and a system call a line were a fifth of what a call through the gateway costs. Belongs to the event loop.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lines: list[str] = []
        self._since = 0.0  # when the oldest of them was added
        self._stamp = (0, "")

    def add(self, line: str) -> None:
        """At INFO."""
        if not self._logger.isEnabledFor(logging.INFO):
            return
        now = time.time()
        second, stamp = self._stamp
        if int(now) != second:
            stamp = time.strftime(logging.Formatter.default_time_format, time.localtime(now))
            self._stamp = (int(now), stamp)
        self._lines.append(f"{stamp},{int(now % 1 * 1000):03d} INFO {self._logger.name} {line}")
        if len(self._lines) == 1:
            self._since = now
            asyncio.get_running_loop().call_later(_GATHERED_SECONDS, self.flush)
        elif now - self._since > 1:  # the loop that was to write them has ended
            self.flush()

    def flush(self) -> None:
        """Gives the logger what was gathered. For the process's end, too."""
        lines, self._lines = self._lines, []
        if lines:
            self._logger.handle(_Lines(self._logger.name, lines))


class _Lines(logging.LogRecord):
    """Lines that need no formatter any more; what steers a terminal is escaped here, by whoever writes them all at once."""

    def __init__(self, name: str, lines: list[str]) -> None:
        super().__init__(name, logging.INFO, "", 0, "\n".join(map(_escaped, lines)), (), None)


def _escaped(line: str) -> str:
    return line if line.isprintable() else line.translate(_ESCAPED)


def _indented(text: str) -> str:
    return textwrap.indent(text.translate(_ESCAPED_IN_TRACEBACKS), "  ")


def config() -> dict[str, Any]:
    """Django's LOGGING: everything to standard error, one line each."""
    logging.logThreads = logging.logMultiprocessing = False  # looked up for each record, and never printed
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": LineFormatter, "fmt": "{asctime} {levelname} {name} {message}", "style": "{"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {
            **{name: {"level": "INFO"} for name in PINNED},
            "django": {"handlers": [], "level": "INFO"},  # its own console handler under DEBUG would print each line twice
            "uvicorn.access": {"level": "WARNING", "propagate": False},  # it prints queries, and with them codes
            "django.server": {"level": "WARNING", "handlers": ["console"], "propagate": False},
        },
    }
