"""What a browser session may be, re-judged each time Django loads its user.

Django stores with each session the backend that made it, and asks that one for the user: so what holds for one session and not for the
user's others is decided here. Named in `AUTHENTICATION_BACKENDS`, after Django's own.
"""

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest

from oauthgw.identity import dev


class _SessionOnly(ModelBackend):
    """Loads users, signs nobody in: a password is for Django's own backend alone."""

    def authenticate(self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: object) -> None:
        return None


class Impersonated(_SessionOnly):
    """Someone else sits at the browser: never an admin, whatever the user's own sessions may do."""

    def get_user(self, user_id: int) -> User | None:
        user = super().get_user(user_id)
        if user is not None:
            user.is_staff = user.is_superuser = False
        return user


class Demo(_SessionOnly):
    """A demo user, while the gateway runs on a laptop: the session ends when DEBUG goes off or a provider is configured."""

    def get_user(self, user_id: int) -> User | None:
        return super().get_user(user_id) if dev.exist() else None
