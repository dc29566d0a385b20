"""The actors of the unit tests, for people who mean harm."""

from tests.unit.conftest import (
    add_encryption_key,
    alice,
    bob,
    chatbot,
    demo,
    demo_admin,
    editor,
    http,
    new_person,
    register,
    replace_encryption_key,
    website,
)
from tests.unit.guard.conftest import documents, patience, resolve, trust
from tests.unit.identity.conftest import configure, signing_keys, standin, with_workos, without_workos

__all__ = [
    "add_encryption_key",
    "alice",
    "bob",
    "chatbot",
    "configure",
    "demo",
    "demo_admin",
    "documents",
    "editor",
    "http",
    "new_person",
    "patience",
    "register",
    "replace_encryption_key",
    "resolve",
    "signing_keys",
    "standin",
    "trust",
    "website",
    "with_workos",
    "without_workos",
]
