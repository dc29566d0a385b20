"""`python -m bench.lists [DATABASE_URL] [--divide N]`: every list of the admin over 100,000 clients and a million tokens, as Markdown.

Fills an empty database (a throw-away SQLite file unless one is named; filling takes some minutes) and opens, signed in as an operator, each
list as an operator would: first page, last page, each filter, each date, each sorting, a search that finds and one that does not. Wall
time of the whole request in this process, the least of three; nothing here passes or fails.
"""

import argparse
import os
import platform
import secrets
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from bench.walks import ORIGIN

SEARCHES = ("person1234@example.com", "Cursor 9001", "client-00004242", "client2420.example", "route-7", "nothing-like-this")


@dataclass(frozen=True, slots=True)
class Opened:
    """One page and what it cost: the least wall milliseconds of the turns, and the statements."""

    model: str
    what: str
    milliseconds: float
    statements: int
    slowest_statement: float


def pages(admin_class: Any, request: Any) -> dict[str, str]:
    """The queries with which an operator opens this list, by what they are."""
    from django.db import OperationalError

    found = {"first page": ""}
    found |= {f"search {word!r}": urlencode({"q": word}) for word in SEARCHES if admin_class.get_search_fields(request)}
    try:
        changelist = admin_class.get_changelist_instance(request)
    except OperationalError:  # takes longer than any statement may
        return found
    found["last page"] = urlencode({"p": changelist.paginator.num_pages})
    for spec in changelist.filter_specs:
        for choice in list(spec.choices(changelist))[1:6]:
            found[f"{spec.title}: {choice['display']}"] = str(choice["query_string"]).lstrip("?")
    for number, name in enumerate(changelist.list_display):
        if changelist.get_ordering_field(name):
            found[f"sorted by {name}"] = urlencode({"o": number})
            found[f"sorted by {name}, newest or last first"] = urlencode({"o": -number})
    if field := admin_class.date_hierarchy:
        found["one month"] = urlencode({f"{field}__year": time.gmtime().tm_year, f"{field}__month": 3})
    return found


def measure(turns: int) -> list[Opened]:
    from django.contrib import admin
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client, RequestFactory
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    operator = User.objects.filter(username="operator").first() or User.objects.create_superuser("operator", "", secrets.token_urlsafe(16))
    browser = Client(headers={"host": ORIGIN.partition("://")[2]})
    browser.force_login(operator)
    opened = []
    for model, admin_class in admin.site._registry.items():
        path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        request = RequestFactory().get(path)
        request.user = operator
        wanted = {what: f"{path}?{query}" for what, query in pages(admin_class, request).items()}
        newest = model._default_manager.order_by("-pk").first()
        if newest is not None:
            wanted["one row's page"] = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[newest.pk])
        for what, url in wanted.items():
            best = float("inf")
            for _ in range(turns):
                with CaptureQueriesContext(connection) as queries:
                    began = time.perf_counter()
                    answer = browser.get(url)
                    best = min(best, (time.perf_counter() - began) * 1000)
                if answer.status_code != 200:
                    print(f"{url} answered {answer.status_code}", file=sys.stderr)
                if answer.status_code != 200 or best > 3000:
                    break
            slowest = max((float(query["time"]) for query in queries.captured_queries), default=0.0)
            opened.append(Opened(str(model._meta.verbose_name_plural), what, best, len(queries), slowest * 1000))
            if best > 1000:
                worst = max(queries.captured_queries, key=lambda query: float(query["time"]))
                print(f"slow: {url}: {best:.0f} ms\n  {worst['time']} s: {worst['sql'][:1500]}", file=sys.stderr)
    return opened


def report(opened: list[Opened], database: str) -> None:
    print(f"{database}; Python {platform.python_version()}; {platform.machine()}, {os.cpu_count()} cores\n")
    print("| list | pages opened | median ms | slowest ms | which |\n| --- | ---: | ---: | ---: | --- |")
    for model in dict.fromkeys(page.model for page in opened):
        mine = sorted((page for page in opened if page.model == model), key=lambda page: page.milliseconds)
        worst = mine[-1]
        print(f"| {model} | {len(mine)} | {mine[len(mine) // 2].milliseconds:.0f} | {worst.milliseconds:.0f} | {worst.what} |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.lists")
    parser.add_argument("database", nargs="?", default="")
    parser.add_argument("--divide", type=int, default=1, help="the size by this, for a quick look")
    parser.add_argument("--turns", type=int, default=3, help="how often each page is opened; the quickest counts")
    parser.add_argument("--filled", action="store_true", help="the database is filled already")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        keys = {"SECRET_KEY": secrets.token_urlsafe(50), "TOKEN_ENCRYPTION_KEYS": urlsafe_b64encode(secrets.token_bytes(32)).decode()}
        provider = {"WORKOS_CLIENT_ID": "client_bench", "WORKOS_CLIENT_SECRET": "sk_bench", "SIGN_IN_ALLOW": "*"}  # nobody signs in
        os.environ.update(keys, **provider, DEBUG="false", GATEWAY_ORIGIN=ORIGIN, ENV_FILE=os.devnull)
        os.environ["DATABASE_URL"] = asked.database or f"sqlite:///{folder}/lists.sqlite3"
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gatewaysite.settings")
        import logging

        import django

        django.setup()
        logging.disable(logging.INFO)
        from django.core.management import call_command
        from django.db import connection

        from bench.lists.crowd import Size, fill

        if not asked.filled:
            call_command("migrate", verbosity=0)
            fill(Size().divided(asked.divide) if asked.divide > 1 else Size(), lambda text: print(text, file=sys.stderr, flush=True))
        report(measure(asked.turns), "PostgreSQL" if connection.vendor == "postgresql" else "SQLite")


if __name__ == "__main__":
    main()
