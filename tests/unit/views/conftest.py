"""Web servers that publish client ID metadata documents, for the pages that speak of them."""

from tests.unit.guard.conftest import documents, resolve, trust

__all__ = ["documents", "resolve", "trust"]
