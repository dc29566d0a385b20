"""Deliveries as WorkOS sends them."""

import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any

SECRET = "whsec_of_the_tests"
PATH = "/webhooks/workos"


def event(name: str, at: datetime | None = None, **data: Any) -> bytes:
    """The body of an event that happened at this moment, or now."""
    moment = (at or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"id": "event_01", "event": name, "data": data, "created_at": moment, "object": "event"}).encode()


def mac(body: bytes, timestamp: object, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def signature(body: bytes, at: float | None = None, secret: str = SECRET) -> str:
    """The header's value; `at` in Unix seconds, written in milliseconds."""
    timestamp = int((time.time() if at is None else at) * 1000)
    return f"t={timestamp}, v1={mac(body, timestamp, secret)}"
