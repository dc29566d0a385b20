"""`manage.py cleanup`: removes what has ended.

A thin printer: each app knows what of its own has ended. Run it once a day, on any node or on all of them.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from oauthgw import cleanup
from oauthgw.guard.batches import Chore
from oauthgw.journal import retention


def chores() -> list[Chore]:
    """Every app's own, in an order in which what holds others goes after them."""
    return [*cleanup.chores(), *retention.chores()]


class Command(BaseCommand):
    help = "Removes what has ended: expired codes and tokens, old connections, clients that nobody uses, old journal events."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say what would be removed, and remove nothing")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        for chore in chores():
            self.stdout.write(f"{chore.name}: {chore.count()} to remove" if dry_run else f"{chore.name}: {chore.run()} removed")
