"""`manage.py rotate_keys`: re-seals what is stored under the first of TOKEN_ENCRYPTION_KEYS, and says whether the others can go.

A thin printer: each app knows what of its own is sealed.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mcp_routes import rotation as of_routes
from oauthgw import rotation
from oauthgw.guard.conf import gateway


class Command(BaseCommand):
    help = "Re-seals stored values under the first of TOKEN_ENCRYPTION_KEYS, and says whether the other keys are still needed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say what would be re-sealed, and change nothing")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        lost: list[str] = []
        for column in (*of_routes.columns(), *rotation.columns()):
            outcome = column.run(dry=dry_run)
            lost += outcome.lost
            self.stdout.write(f"{outcome.name}: {outcome.count} {'to re-seal' if dry_run else 're-sealed'}")
        if lost:
            named = "\n".join(f"- {row}" for row in lost)
            raise CommandError(f"No configured key opens these; add the key they were sealed with, or enter them again:\n{named}")
        if not dry_run:
            self.stdout.write(self._about_old_keys())

    def _about_old_keys(self) -> str:
        if len(gateway().encryption_keys) == 1:
            return "There is one key, and everything is under it."
        waiting = rotation.waiting_on_old_keys().count()
        if not waiting:
            return "Nothing stored needs the keys behind the first: once every node runs with the first key in front, remove them."
        connections = "1 connection has" if waiting == 1 else f"{waiting} connections have"
        return (
            f"Keep the keys behind the first for now: {connections} an answer under way that only an old key can repeat. That is over with "
            "the next refresh of each, so run this again later. Removed now, whose answer was really lost has to sign in again."
        )
