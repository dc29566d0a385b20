"""Liveness and readiness, with a database that is there, half migrated, and gone."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.cache import cache
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client as Browser
from jwt.algorithms import RSAAlgorithm

from gatewaysite import health
from oauthgw.guard.conf import WorkOS, gateway
from oauthgw.guard.secret import Secret
from oauthgw.identity import jwks, workos


@pytest.fixture
def probe() -> Browser:
    return Browser(HTTP_HOST="localhost:9000")


@pytest.fixture
def migrated(db: None) -> MigrationRecorder:
    """The record of what is applied: everything, in a test database."""
    return MigrationRecorder(connection)


@dataclass
class KeyServer:
    """A provider that publishes one key and counts who asks."""

    base: str
    asked: int = 0


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    published = {**RSAAlgorithm.to_jwk(private.public_key(), as_dict=True), "kid": "k1", "use": "sig"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked += 1
            body = json.dumps({"keys": [published]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = KeyServer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def no_database(tmp_path: Path) -> Iterator[None]:
    """The default connection leads to a port where nobody listens, or into a directory that is not there."""
    original = connections["default"]
    broken = original.copy()
    elsewhere: dict[str, Any] = {"NAME": str(tmp_path / "gone" / "db.sqlite3")}
    if connection.vendor == "postgresql":
        elsewhere = {"HOST": "127.0.0.1", "PORT": "1", "OPTIONS": {"connect_timeout": 1}}
    broken.settings_dict = {**broken.settings_dict, **elsewhere}
    connections["default"] = broken
    yield
    broken.close()
    connections["default"] = original


def test_alive_needs_no_database(probe: Browser) -> None:  # no `db`: pytest-django would refuse a query
    answer = probe.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
    assert "no-store" in answer["Cache-Control"]


def test_ready_when_the_database_answers_and_is_migrated(probe: Browser, migrated: MigrationRecorder) -> None:
    answer = probe.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "database": "ok", "migrations": "ok", "cache": "ok", "jwks": "not configured"}
    assert "no-store" in answer["Cache-Control"]
    assert answer["Content-Type"] == "application/json"


def test_not_ready_while_one_migration_is_missing(probe: Browser, migrated: MigrationRecorder) -> None:
    app, name = min(health._latest_migrations())
    migrated.record_unapplied(app, name)
    answer = probe.get("/readyz")
    assert (answer.status_code, answer.json()["database"], answer.json()["migrations"]) == (503, "ok", "pending")


def test_not_ready_without_a_database_and_still_alive(probe: Browser, no_database: None, django_db_blocker: Any, tmp_path: Path) -> None:
    with django_db_blocker.unblock():
        answer, alive = probe.get("/readyz"), probe.get("/healthz")
    assert (answer.status_code, alive.status_code) == (503, 200)
    assert (answer.json()["database"], answer.json()["migrations"]) == ("down", "unknown")
    assert "no-store" in answer["Cache-Control"]
    assert str(tmp_path) not in answer.content.decode()


def test_a_cache_that_is_down_is_told_and_does_not_decide(probe: Browser, migrated: MigrationRecorder, settings: Any) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"},
    }
    answer = probe.get("/readyz")
    assert (answer.status_code, answer.json()["cache"]) == (200, "down")


def test_signing_keys_are_told_from_what_is_held_and_never_fetched(
    probe: Browser, migrated: MigrationRecorder, settings: Any, key_server: KeyServer
) -> None:
    settings.GATEWAY = replace(gateway(), workos=WorkOS("client_x", Secret("sk_x"), key_server.base))
    cache.clear()
    assert probe.get("/readyz").json()["jwks"] == "not fetched yet"
    assert key_server.asked == 0
    jwks.fetch_key(workos.endpoints("client_x", key_server.base).jwks, "k1")
    answer = probe.get("/readyz")
    assert (answer.status_code, answer.json()["jwks"]) == (200, "cached")
    assert key_server.asked == 1


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_only_reads(probe: Browser, path: str) -> None:
    assert probe.post(path).status_code == 405


def test_a_probe_may_ask_for_the_headers_alone(probe: Browser) -> None:
    assert probe.head("/healthz").status_code == 200
