"""What is logged, and what never is.

One line a request from the dispatcher (method, path without its query, status, duration, request id). Libraries that print codes or
tokens at DEBUG are pinned above it, whatever an operator sets the root logger to. Nothing that strangers send begins a line of its own or
steers a terminal.
"""

import asyncio
import contextlib
import copy
import logging
import textwrap
import time
from types import TracebackType
from typing import Any, ClassVar, TextIO

# oauthlib prints refresh tokens at DEBUG, django-oauth-toolkit the success URL with its code, the database backend a query's parameters.
PINNED = ("oauthlib", "oauth2_provider", "django.db.backends", "urllib3", "requests", "httptools", "asyncio", "uvicorn")

_GATHERED_SECONDS = 0.1
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)  # C0, DEL and C1; what Unicode calls a line or paragraph separator
_ESCAPED = {code: chr(code).encode("unicode_escape").decode() for code in _CONTROLS}
_ESCAPED_IN_TRACEBACKS = {code: text for code, text in _ESCAPED.items() if chr(code) not in "\n\t"}
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class LineFormatter(logging.Formatter):
    """A record is one line, its control characters escaped; a traceback's lines follow, indented so that none passes for a record."""

    _stamp = (0, "")  # the latest second that was written, and how

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record, Line):
            return _escaped(f"{self.formatTime(record)} INFO {record.name} {record.msg}")
        if record.exc_text is not None:
            record = copy.copy(record)
            record.exc_text = None  # it is what another handler's formatter made of it
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (the library's name)
        return _escaped(super().formatMessage(record))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """As the library's, whose half of the work is the same for all lines of one second."""
        if datefmt is not None:
            return super().formatTime(record, datefmt)
        second, stamp = self._stamp
        if int(record.created) != second:
            stamp = time.strftime(self.default_time_format, self.converter(record.created))
            self._stamp = (int(record.created), stamp)
        return f"{stamp},{int(record.msecs):03d}"

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _indented(super().formatStack(stack_info))


class GatheringHandler(logging.StreamHandler[TextIO]):
    """Writes what a running event loop logs in one piece each tenth of a second, everything else at once.

    A system call a line was a tenth of what a call through the gateway costs.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Under the handler's lock, as the library calls it."""
        try:
            self._lines.append(self.format(record))
            if record.levelno >= logging.WARNING:
                return self.flush()
            if len(self._lines) > 1:
                return None
            asyncio.get_running_loop().call_later(_GATHERED_SECONDS, self.flush)
        except RuntimeError:  # no loop runs in this thread
            self.flush()

    def flush(self) -> None:
        """Writes what was gathered; at the process's end `logging.shutdown` calls it."""
        with self.lock or contextlib.nullcontext():
            lines, self._lines = self._lines, []
            if lines and not self.stream.closed:
                self.stream.write(self.terminator.join([*lines, ""]))
            super().flush()


class Line(logging.LogRecord):
    """A record at INFO for what is written with each request: without what the library finds out about its caller, and nobody prints."""

    _TEMPLATE: ClassVar[dict[str, Any]] = dict(vars(logging.LogRecord("", logging.INFO, "", 0, "", (), None)))

    def __init__(self, name: str, message: str) -> None:
        now = time.time()
        self.__dict__ = {**self._TEMPLATE, "name": name, "msg": message, "created": now, "msecs": now % 1 * 1000}

    def getMessage(self) -> str:  # noqa: N802  (the library's name)
        return self.msg


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
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "line"},
            "gathered": {"()": GatheringHandler, "formatter": "line"},
        },
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {
            **{name: {"level": "INFO"} for name in PINNED},
            "django": {"handlers": [], "level": "INFO"},  # its own console handler under DEBUG would print each line twice
            "gateway.access": {"handlers": ["gathered"], "propagate": False},
            "uvicorn.access": {"level": "WARNING", "propagate": False},  # it prints queries, and with them codes
            "django.server": {"level": "WARNING", "handlers": ["console"], "propagate": False},
        },
    }
