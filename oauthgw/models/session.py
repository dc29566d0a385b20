"""Browser sessions as rows: who is signed in where. `oauthgw.identity.session_store` is the only writer of what they hold."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils import timezone

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.contrib.sessions.backends.base import SessionBase


class BrowserSessionManager(models.Manager["BrowserSession"]):
    """Takes the place of Django's, whose `save` would store a key in clear."""

    def live(self, user: AbstractBaseUser) -> models.QuerySet[BrowserSession]:
        """The sessions in which this user is signed in, the last seen first."""
        return self.filter(user_id=user.pk, expire_date__gt=timezone.now()).order_by("-last_seen_at", "-pk")


class BrowserSession(AbstractBaseSession):
    """Django's session, found by the SHA-256 of its cookie's value: who reads this table can sign in as nobody.

    What stands beside the data is taken from it or from the last visit, so that sessions can be listed and ended from outside.
    """

    session_key = models.CharField("digest of the cookie's value", max_length=64, unique=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+", help_text="Empty until signed in."
    )
    sid = models.CharField("session at the provider", max_length=255, blank=True, db_index=True)
    impersonated = models.BooleanField(default=False, help_text="Whether somebody else acts for the user.")
    created_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(default=timezone.now, help_text="To a few minutes.")
    address = models.GenericIPAddressField(null=True, blank=True, help_text="At the last visit.")
    user_agent = models.CharField(max_length=300, blank=True, help_text="At the last visit; the browser's own word.")

    objects = BrowserSessionManager()  # type: ignore[assignment, misc]  # another manager than the abstract model's, on purpose

    class Meta:
        verbose_name = "browser session"

    def __str__(self) -> str:
        return f"Browser session {self.pk}"

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        store: type[SessionBase] = import_module(settings.SESSION_ENGINE).SessionStore
        return store
