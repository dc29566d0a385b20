"""What is logged, and what never is.

One line a request from the dispatcher (method, path without its query, status, duration, request id). Libraries that print codes or
tokens at DEBUG are pinned above it, whatever an operator sets the root logger to.
"""

from typing import Any

# oauthlib prints refresh tokens at DEBUG, django-oauth-toolkit the success URL with its code, the database backend a query's parameters.
PINNED = ("oauthlib", "oauth2_provider", "django.db.backends", "urllib3", "requests", "aiohttp", "httptools", "asyncio", "uvicorn")


def config() -> dict[str, Any]:
    """Django's LOGGING: everything to standard error, one line each."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {
            **{name: {"level": "INFO"} for name in PINNED},
            "django": {"handlers": [], "level": "INFO"},  # its own console handler under DEBUG would print each line twice
            "uvicorn.access": {"level": "WARNING", "propagate": False},  # it prints queries, and with them codes
            "django.server": {"level": "WARNING", "handlers": ["console"], "propagate": False},
        },
    }
