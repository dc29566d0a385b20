"""Django's session engine (`SESSION_ENGINE`), over rows that know a cookie's value only by its digest.

Whoever reads the database, or a backup of it, finds nothing to sign in with. A session ends `SESSION_TTL_SECONDS` after its sign-in,
whatever is done in it, and at the next request wherever its row is gone. Knows the row and what it repeats of the session's data.
"""

from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.db import IntegrityError, transaction
from django.utils import timezone

from oauthgw.guard.sealed import digest
from oauthgw.identity.sessions import IMPERSONATOR, SID
from oauthgw.models import BrowserSession


class SessionStore(db.SessionStore):
    """One browser's session. Only here does a key become a digest; everything else goes through these methods.

    `noted_at` is when the row was last told of a visit: None for a row that this request has made.
    """

    noted_at: datetime | None = None
    _ends_at: datetime | None = None

    @classmethod
    def get_model_class(cls) -> type[BrowserSession]:
        return BrowserSession

    def exists(self, session_key: str) -> bool:
        return super().exists(digest(session_key))

    def load(self) -> dict[str, Any]:
        row = self._row()
        if row is None:
            self._session_key = None  # a key that was not made here, or has ended, is never used for a session (fixation)
            return {}
        self.noted_at, self._ends_at = row.last_seen_at, row.expire_date
        return self.decode(row.session_data)

    def save(self, must_create: bool = False) -> None:
        """Makes the row or brings it up to date; one that has ended meanwhile is not made again. Raises CreateError, UpdateError."""
        if self.session_key is None:
            return self.create()
        data = self._get_session(no_load=must_create)  # type: ignore[attr-defined]  # Django's own, which its stubs leave out
        if must_create:
            return self._insert(data)
        repeated = {"session_data": self.encode(data), **_repeated(data)}
        if not BrowserSession.objects.filter(session_key=digest(self.session_key)).update(**repeated):
            raise UpdateError

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            super().delete(digest(key))

    def create_model_instance(self, data: dict[str, Any]) -> BrowserSession:
        key = self._get_or_create_session_key()  # type: ignore[attr-defined]  # as above
        return BrowserSession(
            session_key=digest(key), session_data=self.encode(data), expire_date=self.get_expiry_date(), **_repeated(data)
        )

    def get_session_cookie_age(self) -> int:
        """Seconds until this session ends: what is changed in it later does not prolong it."""
        if self._ends_at is None:
            return super().get_session_cookie_age()
        return max(1, round((self._ends_at - timezone.now()).total_seconds()))

    def _row(self) -> BrowserSession | None:
        if self.session_key is None:
            return None
        return BrowserSession.objects.filter(session_key=digest(self.session_key), expire_date__gt=timezone.now()).first()

    def _insert(self, data: dict[str, Any]) -> None:
        self.noted_at = self._ends_at = None  # under a new key a new session begins
        row = self.create_model_instance(data)
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError as error:
            if self.exists(str(self.session_key)):
                raise CreateError from error
            raise  # its user was removed this very moment; another key would not help
        self._ends_at = row.expire_date

    # Each by way of its blocking twin, as SessionBase has it: the database backend's own would store keys, and look for them, in clear.
    aload, aexists, acreate = SessionBase.aload, SessionBase.aexists, SessionBase.acreate
    asave, adelete = SessionBase.asave, SessionBase.adelete

    async def acreate_model_instance(self, data: dict[str, Any]) -> BrowserSession:
        return await sync_to_async(self.create_model_instance)(data)


def _repeated(data: dict[str, Any]) -> dict[str, Any]:
    """What a row repeats of its data, so that sessions are found by user and by the provider's session."""
    user_id = data.get(SESSION_KEY)
    return {
        "user_id": None if user_id is None else int(user_id),
        "sid": str(data.get(SID, "")),
        "impersonated": bool(data.get(IMPERSONATOR)),
    }
