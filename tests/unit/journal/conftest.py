"""The gateway in use that the admin's tests look at, for what it leaves in the journal."""

from tests.unit.admin.conftest import operator, scene

__all__ = ["operator", "scene"]
