"""The fuzzed gateways: one as in production, one as on a laptop, over one database; with strangers for everything that they ask themselves.

Knows how a request is sent and what is known of the rows that are there; what must hold of an answer is in `properties`.
"""

import contextlib
import json
import re
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from tests.fuzz.stranger import Stranger, stranger
from tests.fuzz.wire import Connection, Request
from tests.support import databases, webhooks
from tests.support.gateway import Gateway, configuration, manage, serve
from tests.support.upstream import demo_upstream

API_KEY = "sk_canary_of_the_fuzzing"


@dataclass
class Log:
    """A gateway's log, read as it grows."""

    path: Path
    read: int = 0

    def errors(self, failing: bool) -> str:
        """What was written since the last look, if it tells of an error; else nothing.

        Django's own line for an answer of 500 and above is none where the answer may be `failing`.
        """
        with self.path.open("rb") as file:
            file.seek(self.read)
            new = file.read()
        self.read += len(new)
        return new.decode(errors="replace") if _ERROR.search(_ANSWERED.sub(b"", new) if failing else new) else ""


@dataclass
class Door:
    """One of the gateways, with a client's connection to it."""

    gateway: Gateway
    connection: Connection
    log: Log


@dataclass
class House:
    """What a grammar may know. `known` is what the seed printed; `seen` counts the answers by endpoint and status."""

    production: Door
    laptop: Door
    stranger: Stranger
    known: dict[str, Any]
    secrets: tuple[bytes, ...]
    learnt: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    seen: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def origin(self) -> str:
        return self.production.gateway.url

    def learn(self, name: str, value: str) -> None:
        """Keeps what an answer has given, for the requests that name it by `blank`."""
        self.learnt[name] = [*self.learnt[name][-20:], value]

    def filled(self, request: Request) -> Request:
        """The request with its blanks filled by what was learnt last; what can be used once is used up."""

        def fill(blank: re.Match[bytes]) -> bytes:
            name, at = blank[1].decode(), int(blank[2] or 0)
            held = self.learnt[name]
            value = held[-1] if held else "x" * 43
            if held and (name, at) in _ONCE:
                held.pop()
            return (value.split("|")[min(at, value.count("|"))] if "|" in value else value).encode()

        target, body = _BLANK.sub(fill, request.target), _BLANK.sub(fill, request.body)
        headers = tuple((name, _BLANK.sub(fill, value)) for name, value in request.headers)
        return replace(request, target=target, headers=headers, body=body)

    def door(self, laptop: bool) -> Door:
        return self.laptop if laptop else self.production

    def counted(self) -> dict[str, int]:
        """The rows of each table."""
        printed = self.production.gateway.manage("shell", "-v0", "-c", "from tests.fuzz import seed; seed.count()")
        return dict(json.loads(printed.splitlines()[-1]))

    def cookies(self, session: str) -> tuple[bytes, bytes]:
        """A signed-in browser's, which can also post forms."""
        return b"Cookie", f"{self.known['cookie']}={session}; gateway_csrf={CSRF}; gateway_browser={blank('browser')}".encode()


CSRF = "c" * 32
_BLANK = re.compile(rb"ZZ([a-z]+)([0-9]?)ZZ")
_ANSWERED = re.compile(rb"^.* ERROR django\.request .*\n", re.MULTILINE)  # each answer of 500 and above
_ERROR = re.compile(rb"^\S+ \S+ (?:ERROR|CRITICAL) |^Traceback ", re.MULTILINE)  # the second: past every formatter
_ONCE = {("consent", 0), ("code", 0), ("signin", 1), ("client", 1)}  # the last part that a request names


def blank(name: str, part: int | None = None) -> str:
    """Stands in a drawn request for what an earlier answer gave: what is drawn must not depend on it, or it could not be drawn again.

    Of a value with several parts, `|` between them, one is meant.
    """
    return f"ZZ{name}{'' if part is None else part}ZZ"


@contextlib.contextmanager
def house(folder: Path) -> Iterator[House]:
    """Everything runs until the block ends, over a database of its own of this run's kind."""
    with contextlib.ExitStack() as parts:
        url = parts.enter_context(databases.fresh(folder))
        outside = parts.enter_context(stranger())
        demo = parts.enter_context(demo_upstream(folder))
        keys = {"SECRET_KEY": secrets.token_urlsafe(50), "TOKEN_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
        told = {
            **keys,
            "RATE_LIMIT_SCALE": "0",  # one address asks thousands of times
            "FETCH_TRUSTED_HOSTS": f"127.0.0.1:{outside.port}",
            "ACCESS_TOKEN_TTL_SECONDS": "28800",  # longer than the fuzzing
            "MCP_UPSTREAM_TIMEOUT_SECONDS": "5",
            "MCP_MAX_BODY_BYTES": "100000",
        }
        workos = {
            "WORKOS_CLIENT_ID": "client_fuzzed",
            "WORKOS_CLIENT_SECRET": API_KEY,
            "WORKOS_API_BASE_URL": outside.url,
            "WORKOS_WEBHOOK_SECRET": webhooks.SECRET,
        }
        manage(configuration(url, 9000, **told, **workos), "migrate", "--verbosity", "0")
        production, laptop = (
            parts.enter_context(serve(folder, url, **settings))
            for settings in ({**told, **workos}, {**told, "DEBUG": "true", "GATEWAY_ORIGIN": "", "SIGN_IN_ALLOW": ""})
        )
        script = f"from tests.fuzz import seed; seed.sow({outside.url!r}, {demo.url!r}, {production.url!r})"
        known = json.loads(production.manage("shell", "-v0", "-c", script).splitlines()[-1])
        doors = [Door(gateway, Connection(gateway.port), Log(gateway.log_path)) for gateway in (production, laptop)]
        hidden = [*keys.values(), API_KEY, webhooks.SECRET, known["token"], known["secret"][1], known["root"], "canary-header-value"]
        yield House(doors[0], doors[1], outside, known, tuple(secret.encode() for secret in hidden))
