"""`manage.py doctor [--url ORIGIN]`: what is wrong with this installation, in one line each, and how to mend it.

A thin printer: each room examines what is its own. Nothing is changed, here or elsewhere.
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError

from gatewaysite import diagnosis, outside
from mcp_routes.models import McpRoute
from mcp_routes.probing import Upstream, probe
from oauthgw.guard.conf import gateway
from oauthgw.guard.finding import Finding, Verdict, skipped
from oauthgw.identity import diagnosis as of_provider

_STYLES = {Verdict.OK: "SUCCESS", Verdict.WARNING: "WARNING", Verdict.PROBLEM: "ERROR", Verdict.SKIPPED: "NOTICE"}


class Command(BaseCommand):
    help = "Says what is wrong with settings, database, cache, WorkOS, upstreams and the public address, and how to mend it."
    requires_system_checks = ()  # their sentences are among the findings

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", metavar="ORIGIN", default="", help="where clients reach the gateway (default: GATEWAY_ORIGIN)")

    def handle(self, *args: Any, url: str, **options: Any) -> None:
        problems = 0
        for finding in self._findings(url.rstrip("/")):
            style = getattr(self.style, _STYLES[finding.verdict])
            self.stdout.write(style(str(finding)))
            problems += finding.verdict is Verdict.PROBLEM
        if problems:
            raise CommandError("1 problem was found." if problems == 1 else f"{problems} problems were found.")

    def _findings(self, url: str) -> Iterator[Finding]:
        origin = gateway().origin or url
        yield from diagnosis.of_settings()
        yield from diagnosis.of_database()
        yield from diagnosis.of_cache()
        yield from of_provider.findings(f"{origin}/oauth/callback" if origin else "")
        try:
            routes = list(McpRoute.objects.filter(enabled=True))
        except (DatabaseError, InterfaceError):
            yield skipped("routes", "the database does not serve us.")
            return
        yield from self._of_routes(routes)
        if origin:
            yield from outside.findings(url or origin, origin, [route.slug for route in routes], asked_for=bool(url))
        else:
            yield skipped("public address", "GATEWAY_ORIGIN is not set: with the gateway running, add --url http://localhost:9000")

    def _of_routes(self, routes: list[McpRoute]) -> Iterator[Finding]:
        if not routes:
            yield skipped("routes", "there is none yet: python manage.py mcproute add SLUG URL")
            return
        with ThreadPoolExecutor(max_workers=8) as pool:
            yield from pool.map(probe, [Upstream.of(route) for route in routes])
