"""From the provider's person to a user of ours: who may come in, who is an admin, and the rows that remember them.

Knows `SIGN_IN_ALLOW` and `GATEWAY_ADMINS`, users and identities; knows no request and no provider.
"""

from django.contrib.auth.models import AbstractBaseUser, User
from django.db import IntegrityError, transaction
from django.utils import timezone

from oauthgw import auditors
from oauthgw.guard.conf import gateway
from oauthgw.identity.provider import Person
from oauthgw.journal.changes import Topic, publish
from oauthgw.journal.recorder import Kind, record
from oauthgw.models import Identity
from oauthgw.models.identity import active_users


class Deactivated(Exception):
    """An operator has switched this user off."""


class NameTaken(Exception):
    """Another account, not made by this provider, already has the name this person would get."""


def may_sign_in(person: Person) -> bool:
    """Whether `SIGN_IN_ALLOW` names this person: `*`, their organisation's id, or `@domain` of their verified e-mail."""
    return any(_allows(entry, person) for entry in gateway().sign_in_allow)


def is_admin(person: Person) -> bool:
    """Whether `GATEWAY_ADMINS` names this person, by verified e-mail or by role. An impersonated session never is."""
    if person.impersonator:
        return False
    return any(_is_email(entry, person) if "@" in entry else entry in person.roles for entry in gateway().admins)


def may_still_act(user: AbstractBaseUser) -> bool:
    """Whether what this user was given still counts."""
    return User.objects.filter(active_users(), pk=user.pk).exists()


def same_address(one: str, other: str) -> bool:
    """Whether two e-mail addresses are one, in whatever case they are written."""
    return _fold(one) == _fold(other)


def admit(provider: str, person: Person, *, admin: bool) -> User:
    """The user for this person, made or brought up to date, with the journal's entry, in one transaction.

    Two first sign-ins at the same moment give one user. Raises Deactivated or NameTaken, and then nothing was written.
    """
    try:
        return _admit(provider, person, admin)
    except IntegrityError:
        pass  # either the other tab of the same person was first, and its rows are there now, or the name is someone else's
    try:
        return _admit(provider, person, admin)
    except IntegrityError as error:
        raise NameTaken(person.subject) from error


def _admit(provider: str, person: Person, admin: bool) -> User:
    with transaction.atomic():
        known = Identity.objects.select_for_update().select_related("user").filter(provider=provider, subject=person.subject).first()
        identity = known or Identity(provider=provider, subject=person.subject, user=_new_user(person))
        user: User = identity.user
        if not user.is_active:
            raise Deactivated(person.subject)
        _update_user(user, person, admin)
        before = _standing_in(identity)
        _update_identity(identity, person)
        record(Kind.SIGNED_IN, user=user, reason=f"{provider}, impersonated by {person.impersonator}" if person.impersonator else provider)
        if known is not None and _standing_in(identity) != before:
            publish(Topic.USER, user.pk)
        return user


def _new_user(person: Person) -> User:
    user = User(username=person.subject)
    user.set_unusable_password()
    user.save(force_insert=True)
    return user


def _update_user(user: User, person: Person, admin: bool) -> None:
    user.email, user.first_name, user.last_name = person.email, person.first_name, person.last_name
    if not person.impersonator:  # the row is the person's own; what an impersonated session may do is settled by its backend
        user.is_superuser = admin
        user.is_staff = admin or auditors.includes(user)
    user.save(update_fields=["email", "first_name", "last_name", "is_staff", "is_superuser"])


def _update_identity(identity: Identity, person: Person) -> None:
    identity.email, identity.email_verified = person.email, person.email_verified
    if not person.impersonator or identity.pk is None:  # an impersonator's session may be in another organisation than the person's own
        identity.organization_id, identity.role, identity.permissions = person.organization_id, person.role, list(person.permissions)
    identity.signed_in_at = identity.asked_at = timezone.now()  # whoever signs in is known there
    identity.unanswered_since = None
    identity.save()


def _standing_in(identity: Identity) -> tuple[str, str, list[str]]:
    """What is also known of the owner of each token (`principals`)."""
    return identity.organization_id, identity.role, identity.permissions


def _allows(entry: str, person: Person) -> bool:
    if entry == "*":
        return True
    if entry.startswith("@"):
        name, _, domain = person.email.partition("@")  # exactly one: what a second would mean depends on the reader
        return person.email_verified and bool(name) and bool(domain) and _fold(domain) == _fold(entry[1:])
    return bool(person.organization_id) and entry == person.organization_id


def _is_email(entry: str, person: Person) -> bool:
    return person.email_verified and same_address(entry, person.email)


def _fold(text: str) -> str:
    """Lower case, for ASCII only: `str.lower` makes a plain k of the Kelvin sign, and with it two addresses one."""
    return text.lower() if text.isascii() else text
