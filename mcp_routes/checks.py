"""System checks of the routes' own settings."""

from typing import Any
from urllib.parse import urlsplit

from django.core import checks
from django.core.checks import CheckMessage, register

from oauthgw.guard import origin
from oauthgw.guard.conf import gateway


@register
def check_allowed_origins(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A page fetched over plain http is whatever the network makes of it, and these origins may call /mcp from a browser."""
    return [
        checks.Warning(
            f"ALLOWED_ORIGINS holds {entry}, which is plain http: anyone on the way can speak as that page. Use its https origin.",
            id="mcp_routes.W001",
        )
        for entry in gateway().allowed_origins
        if entry.startswith("http://") and not origin.is_loopback_host(urlsplit(entry).netloc)
    ]
