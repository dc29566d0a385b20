"""A gateway that hears of no change: the reader of the change log and the watch stand still after their first look.

As after a bug in either, or on a machine that starves them. What such a process holds can end only by itself.
"""

from gatewaysite.asgi import application
from mcp_routes.proxy import watch
from oauthgw.journal import poller

poller.EVERY_SECONDS = 24 * 3600
watch.EVERY_SECONDS = 24 * 3600

__all__ = ["application"]
