"""`manage.py mcproute`: routes from the command line.

A thin printer over the route's own rules. Header values may come from the environment or a file, so that they stay out of the process
list; none is ever printed.
"""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from mcp_routes import removal, upstream
from mcp_routes.models import FormerSlug, McpRoute
from oauthgw.guard.conf import gateway


class Command(BaseCommand):
    help = "Adds, lists and removes routes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True, metavar="add | list | remove")
        add = commands.add_parser("add", help="add a route: /mcp/SLUG leads to URL")
        add.add_argument("slug", metavar="SLUG")
        add.add_argument("url", metavar="URL", help="the upstream's MCP endpoint")
        add.add_argument("--name", help="shown on the consent page; made from the slug if left out")
        add.add_argument("--auth", choices=McpRoute.AuthMode.values, help="default: headers if any is given, else none")
        add.add_argument(
            "--header",
            action="append",
            default=[],
            metavar="'K: V'",
            help="sent to the upstream, stored encrypted; 'K: env:NAME' and 'K: @file' keep the value out of the process list",
        )
        commands.add_parser("list", help="list the routes")
        remove = commands.add_parser("remove", help="remove a route and end its connections")
        remove.add_argument("slug", metavar="SLUG")

    def handle(self, *args: Any, command: str, **options: Any) -> None:
        if command == "add":
            self._add(**{key: options[key] for key in ("slug", "url", "name", "auth", "header")})
        elif command == "remove":
            self._remove(options["slug"])
        else:
            self._list()

    def _add(self, slug: str, url: str, name: str | None, auth: str | None, header: list[str]) -> None:
        headers = _headers(header)
        mode = auth or (McpRoute.AuthMode.HEADERS if headers else McpRoute.AuthMode.NONE)
        route = McpRoute(slug=slug, name=name or _spoken(slug), upstream_url=url, auth_mode=mode)
        route.set_headers(headers)
        try:
            with transaction.atomic():
                route.full_clean()
                route.save()
        except ValidationError as error:
            raise CommandError(_sentences(error)) from error
        self.stdout.write(
            self.style.SUCCESS(f"Added: {gateway().origin or 'http://localhost:9000'}{route.path} leads to {upstream.shown(url)}")
        )

    def _list(self) -> None:
        rows = [
            (
                route.slug,
                route.name,
                "enabled" if route.enabled else "disabled",
                route.auth_mode,
                str(removal.connections(route).count()),
                upstream.shown(route.upstream_url),
            )
            for route in McpRoute.objects.all()
        ]
        if not rows:
            self.stdout.write("There are no routes yet. Add one: manage.py mcproute add SLUG URL")
            return
        table = [("SLUG", "NAME", "STATE", "AUTH", "CONNECTIONS", "UPSTREAM"), *rows]
        widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
        for row in table:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def _remove(self, slug: str) -> None:
        route = McpRoute.objects.filter(slug=slug).first()
        if route is None:
            former = FormerSlug.objects.select_related("route").filter(slug=slug).exclude(route=None).first()
            if former is not None:
                raise CommandError(f"{slug} is a former slug of the route {former.route}: remove that one.")
            raise CommandError(f"There is no route {slug}. See: manage.py mcproute list")
        ended = removal.remove(route)
        connections = "1 connection" if ended == 1 else f"{ended} connections"
        self.stdout.write(self.style.SUCCESS(f"Removed {slug}; {connections} ended. The slug stays reserved."))


def _headers(given: list[str]) -> dict[str, str]:
    """The headers of the command line, with values from the environment and files read. Raises CommandError; never shows a value."""
    try:
        written = upstream.parse_headers(given)
        headers = {name: _value(name, value) for name, value in written.items()}
        upstream.validate_headers(headers)
    except ValidationError as error:
        raise CommandError(_sentences(error).replace("Line ", "--header ")) from error
    return headers


def _value(name: str, written: str) -> str:
    if written.startswith("env:"):
        variable = written.removeprefix("env:")
        if not os.environ.get(variable):
            raise CommandError(f"The header {name} is to come from the environment variable {variable}, which is not set.")
        return os.environ[variable]
    if written.startswith("@"):
        try:
            return Path(written.removeprefix("@")).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise CommandError(f"The header {name} is to come from the file {written.removeprefix('@')}: {reason}.") from error
    return written


def _sentences(error: ValidationError) -> str:
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return " ".join(
        message if field == "__all__" else f"{field.replace('_', ' ')}: {message}"
        for field, messages in error.message_dict.items()
        for message in messages
    )


def _spoken(slug: str) -> str:
    return slug.replace("-", " ").strip().capitalize()
