"""Whether the site itself is in order: settings, database, cache, and what is sealed. What `manage.py doctor` asks first.

Knows the site's parts; what is wrong with WorkOS or an upstream is said by their own rooms.
"""

import secrets
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.cache import cache
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from mcp_routes import rotation as of_routes
from oauthgw import rotation
from oauthgw.guard.conf import gateway
from oauthgw.guard.finding import Finding, ok, problem, warning
from oauthgw.journal.models import Change


def of_settings() -> Iterator[Finding]:
    """Each system check's sentence; those about deployment too, where it is one."""
    messages = [message for message in checks.run_checks(include_deployment_checks=gateway().secure) if not message.is_silenced()]
    for message in sorted(messages, key=lambda message: str(message.id)):
        judge = problem if message.is_serious() else warning
        yield judge(f"settings ({message.id})", " ".join(str(message.msg).split()), str(message.hint or ""))
    if not any(message.is_serious() for message in messages):
        yield ok("settings", "no setting is missing or contradicts another" + (" (DEBUG is on)." if gateway().debug else "."))


def of_database() -> Iterator[Finding]:
    """Whether it answers, has every migration, and can be written to."""
    vendor = connection.display_name
    try:
        waiting = [f"{migration.app_label}.{migration.name}" for migration, _ in _unapplied()]
        if waiting:
            more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
            yield problem("database", f"{vendor} answers, but lacks the migration {waiting[0]}{more}.", "Run python manage.py migrate.")
            return
        with transaction.atomic():
            Change.objects.create(topic="doctor", key=0)
            transaction.set_rollback(True)
        yield ok("database", f"{vendor} answers, has every migration, and can be written to.")
        yield from of_journal_mode()
        yield from _of_sealed()
    except (DatabaseError, InterfaceError) as error:
        mend = "Check DATABASE_URL, that the server runs, and that its user may write."
        yield problem("database", f"{vendor} does not serve us ({type(error.__cause__ or error).__name__}).", mend)


def of_journal_mode() -> Iterator[Finding]:
    """SQLite's only: without a write-ahead log readers wait for each writer. A database in memory has none, and one process."""
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        mode = str(cursor.fetchone()[0])
    if mode not in ("wal", "memory"):
        mend = "Put the file on a local disk that this user may write to, and start again."
        yield warning("database", f"SQLite is in journal mode {mode!r} and not in WAL, so that readers wait for writers.", mend)


def of_cache() -> Iterator[Finding]:
    """Whether it answers; and that it is shared, where several processes might count."""
    key = f"doctor:{secrets.token_hex(8)}"
    try:
        cache.set(key, "here", 10)
        answers = cache.get(key) == "here"
        cache.delete(key)
    except Exception as error:  # noqa: BLE001  (each kind of cache has its own errors)
        yield problem("cache", f"it does not answer ({type(error).__name__}).", "Check CACHE_URL, and that the server runs.")
        return
    if not answers:
        yield problem("cache", "it does not keep what it is given.", "Check CACHE_URL, and how much memory the server may use.")
    elif settings.CACHES["default"]["BACKEND"].endswith("LocMemCache") and not gateway().debug:
        yield warning("cache", "each process counts for itself.", "For several workers set CACHE_URL to a Redis.")
    else:
        yield ok("cache", "it answers.")


def _of_sealed() -> Iterator[Finding]:
    """Whether the configured keys open all that is stored under keys."""
    outcomes = [column.run(dry=True) for column in (*of_routes.columns(), *rotation.columns())]
    lost = [row for outcome in outcomes for row in outcome.lost]
    for row in lost[:10]:
        yield problem("encryption", f"{row}.", "Add the key it was sealed with to TOKEN_ENCRYPTION_KEYS, or enter the value again.")
    if not lost:
        behind = sum(outcome.count for outcome in outcomes)
        older = f" {behind} of them under an older key: run python manage.py rotate_keys." if behind else ""
        yield ok("encryption", f"the configured keys open everything that is stored.{older}")


def _unapplied() -> list[tuple[Any, bool]]:
    executor = MigrationExecutor(connection)
    return list(executor.migration_plan(executor.loader.graph.leaf_nodes()))
