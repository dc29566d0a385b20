"""What is logged, and what never is.

One line a request from the dispatcher (method, path without its query, status, duration, request id). Libraries that print codes or
tokens at DEBUG are pinned above it, whatever an operator sets the root logger to. Nothing that strangers send begins a line of its own or
steers a terminal.
"""

import copy
import logging
import textwrap
from types import TracebackType
from typing import Any

# oauthlib prints refresh tokens at DEBUG, django-oauth-toolkit the success URL with its code, the database backend a query's parameters.
PINNED = ("oauthlib", "oauth2_provider", "django.db.backends", "urllib3", "requests", "aiohttp", "httptools", "asyncio", "uvicorn")

_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)  # C0, DEL and C1; what Unicode calls a line or paragraph separator
_ESCAPED = {code: chr(code).encode("unicode_escape").decode() for code in _CONTROLS}
_ESCAPED_IN_TRACEBACKS = {code: text for code, text in _ESCAPED.items() if chr(code) not in "\n\t"}
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class LineFormatter(logging.Formatter):
    """A record is one line, its control characters escaped; a traceback's lines follow, indented so that none passes for a record."""

    def format(self, record: logging.LogRecord) -> str:
        fresh = copy.copy(record)
        fresh.exc_text = None  # else it is what another handler's formatter made of it
        return super().format(fresh)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (the library's name)
        return super().formatMessage(record).translate(_ESCAPED)

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _indented(super().formatStack(stack_info))


def _indented(text: str) -> str:
    return textwrap.indent(text.translate(_ESCAPED_IN_TRACEBACKS), "  ")


def config() -> dict[str, Any]:
    """Django's LOGGING: everything to standard error, one line each."""
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
