"""WorkOS as its own emulator plays it, with the people of the tests."""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT, answers, free_port, running

NODE_FOLDER = ROOT / "tests" / "node"
PEOPLE: tuple[dict[str, Any], ...] = (
    {"email": "alice@example.com", "first_name": "Alice", "last_name": "Ng", "email_verified": True},
    {"email": "bob@example.com", "first_name": "Bob", "last_name": "Iyer", "email_verified": True},
    {"email": "carol@outside.example", "first_name": "Carol", "last_name": "Diaz", "email_verified": True},
)


@dataclass(frozen=True, slots=True)
class Emulator:
    """An emulated WorkOS environment. `url` is its base URL, and the issuer of its tokens."""

    url: str
    client_id: str = "client_emulated"
    api_key: str = "sk_test_default"

    @property
    def settings(self) -> dict[str, str]:
        """What a gateway is told, so that it signs people in here."""
        return {"WORKOS_CLIENT_ID": self.client_id, "WORKOS_CLIENT_SECRET": self.api_key, "WORKOS_API_BASE_URL": self.url}


@contextlib.contextmanager
def emulate(folder: Path, people: Sequence[dict[str, Any]] = PEOPLE) -> Iterator[Emulator]:
    """Runs an emulator until the block ends. Whoever gives no `login_hint` is the first of the people."""
    assert (NODE_FOLDER / "node_modules" / "workos").is_dir(), "The WorkOS emulator is missing. Install it with: make node"
    port = free_port()
    seed = folder / f"workos-{port}.json"
    seed.write_text(json.dumps({"users": [{"password": "unused", **person} for person in people]}))
    command = [os.environ.get("NODE", "node"), str(NODE_FOLDER / "emulate.mjs"), str(port), str(seed)]
    with running(command, lambda: answers(f"http://localhost:{port}/health"), folder / f"workos-{port}.log"):
        yield Emulator(f"http://localhost:{port}")
