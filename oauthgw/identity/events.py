"""What WorkOS tells of people who have signed in here: who was removed, whose role changed, which of its sessions ended.

An event takes away and never gives: access, an operator's rights and permissions come with a sign-in alone. Each may arrive twice, late
and in any order, so each rule does no more the second time, and what is older than what is known changes nothing. Knows WorkOS's events
and our rows; knows no signature and no request. The page of each event: https://workos.com/docs/events
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.dateparse import parse_datetime

from oauthgw import auditors
from oauthgw.ending import end_grants
from oauthgw.identity import people, signed_in
from oauthgw.identity.deliveries import TOLERANCE_SECONDS
from oauthgw.identity.provider import Person
from oauthgw.identity.workos import ID_LENGTH, NAME_LENGTH, WorkOSProvider, email_of, text_of
from oauthgw.journal.changes import Topic, publish
from oauthgw.journal.recorder import Kind, record
from oauthgw.models import Identity

CLOCKS_DIFFER = timedelta(seconds=TOLERANCE_SECONDS)
"""An event counts although it seems this much older than the sign-in: its moment is WorkOS's, the sign-in's is ours."""
_INSTANT = timedelta(milliseconds=1)  # WorkOS's times are no finer


class Unreadable(Exception):
    """The body is no event."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `at` is when it happened at WorkOS, which is not when it arrives."""

    name: str
    data: dict[str, Any]
    at: datetime

    def id_at(self, key: str) -> str:
        """An id or a name in the event's data; empty when there is none that could be stored."""
        return _id(self.data.get(key))


def read(body: bytes) -> Event:
    """The event in a delivery's body. Raises Unreadable."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unreadable("not JSON") from error
    return told_as(told)


def told_as(told: Any) -> Event:
    """The event in WorkOS's own form, which deliveries and the Events API share. Raises Unreadable."""
    try:
        name, data, at = told["event"], told["data"], parse_datetime(told["created_at"])
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable("not an event in JSON") from error
    if not isinstance(name, str) or not isinstance(data, dict) or at is None or at.tzinfo is None:
        raise Unreadable("not an event")
    return Event(name, data, at)


@transaction.atomic
def apply(event: Event) -> None:
    """Makes true here what the event tells. One of another kind, or about somebody who never signed in, changes nothing."""
    rule = _RULES.get(event.name)
    if rule is not None:
        rule(event)


def _user_deleted(event: Event) -> None:
    """Gone for good: WorkOS gives no id twice, so the user is switched off as well."""
    for identity in _known(subject=event.id_at("id")):
        user = identity.user
        was_active = user.is_active
        if was_active:
            User.objects.filter(pk=user.pk).update(is_active=False)
            record(Kind.USER_DEACTIVATED, user=user, reason="Deleted at WorkOS.")
        if _end_everything(user, "The user was deleted at WorkOS.") or was_active:
            publish(Topic.USER, user.pk)


def _user_unknown(event: Event) -> None:
    """WorkOS, asked, knows no such user. Ends what they hold, but switches nobody off: the gateway may be in another environment now."""
    for identity in _known(subject=event.id_at("id")):
        if _end_everything(identity.user, "WorkOS does not know the user any more."):
            publish(Topic.USER, identity.user_id)


def _user_updated(event: Event) -> None:
    """Takes over another e-mail address and name; what rested on the former address ends with it."""
    if not isinstance(event.data.get("email"), str):
        return
    for identity in _known(subject=event.id_at("id")):
        if _before_sign_in(identity, event) or (identity.profile_told_at is not None and event.at < identity.profile_told_at):
            continue
        was_named = people.is_admin(_person(identity, set()))
        identity.email, identity.email_verified = email_of(event.data.get("email")), event.data.get("email_verified") is True
        identity.profile_told_at = event.at
        identity.save(update_fields=["email", "email_verified", "profile_told_at"])
        User.objects.filter(pk=identity.user_id).update(
            email=identity.email,
            first_name=text_of(event.data.get("first_name"), NAME_LENGTH),
            last_name=text_of(event.data.get("last_name"), NAME_LENGTH),
        )
        if was_named:  # by their address: a role still counts
            _judge_operator(identity, {identity.role})
        if not people.may_sign_in(_person(identity)) and _end_everything(identity.user, "The user's e-mail address changed at WorkOS."):
            publish(Topic.USER, identity.user_id)


def _membership_ended(event: Event) -> None:
    for identity in _known(subject=event.id_at("user_id"), organization_id=event.id_at("organization_id")):
        _leave(identity, event, "The user's membership of the organisation ended at WorkOS.")


def _membership_updated(event: Event) -> None:
    """Takes over another role. What it permits is not told: that comes with the next sign-in, and until then nothing of the former."""
    if event.data.get("status") == "inactive":
        _membership_ended(event)
        return
    role, roles = _slug(event.data.get("role")), event.data.get("roles")
    if event.data.get("status") != "active" or not role:
        return
    for identity in _known(subject=event.id_at("user_id"), organization_id=event.id_at("organization_id")):
        if _is_old(identity, event) or event.at == identity.told_at:
            continue
        changed = identity.role != role
        if changed:
            identity.role, identity.permissions = role, []
        identity.told_at = event.at
        identity.save(update_fields=["role", "permissions", "told_at"])
        _judge_operator(identity, {role, *(map(_slug, roles) if isinstance(roles, list) else ())})
        if changed:
            publish(Topic.USER, identity.user_id)


def _directory_user_deleted(event: Event) -> None:
    """A directory knows its people by e-mail address; it speaks for those of its own organisation and for nobody else.

    Whoever is removed there has left: what they were given ends, also where `SIGN_IN_ALLOW` does not ask for the organisation.
    """
    email = event.id_at("email")
    for identity in _known(organization_id=event.id_at("organization_id"), email__iexact=email):
        if people.same_address(identity.email, email):
            _leave(identity, event, "The user was removed from the organisation's directory.", ends_always=True)


def _directory_user_updated(event: Event) -> None:
    if event.data.get("state") in ("inactive", "suspended"):
        _directory_user_deleted(event)


def _session_revoked(event: Event) -> None:
    """Ends that one browser session. What the user's clients were given rests on consent, and stays."""
    session_id = event.id_at("id")
    if session_id:
        signed_in.end_at_provider(session_id, "The session was ended at WorkOS.")


UNKNOWN_USER = "user.unknown"
"""No event of WorkOS's: what it says when it is asked about somebody who is not there."""

_TOLD: dict[str, Callable[[Event], None]] = {
    "user.deleted": _user_deleted,
    "user.updated": _user_updated,
    "organization_membership.deleted": _membership_ended,
    "organization_membership.updated": _membership_updated,
    "dsync.user.deleted": _directory_user_deleted,
    "dsync.user.updated": _directory_user_updated,
    "session.revoked": _session_revoked,
}
_RULES = {**_TOLD, UNKNOWN_USER: _user_unknown}
NAMES = frozenset(_TOLD)
"""The events to select for the webhook endpoint at WorkOS."""


def _known(**about: str) -> list[Identity]:
    """The identities with these values, locked against other events and sign-ins.

    Not their users: a code being redeemed holds its own row and waits for the user's, which is the other way round than `end_grants`.
    """
    if not all(about.values()):
        return []
    known = Identity.objects.filter(provider=WorkOSProvider.name, **about)
    return list(known.select_for_update(of=("self",)).select_related("user").order_by("pk"))


def _is_old(identity: Identity, event: Event) -> bool:
    """Whether something newer is known of this membership: from a later event, or from the sign-in's token."""
    if identity.told_at is not None and event.at < identity.told_at:
        return True
    return _before_sign_in(identity, event)


def _before_sign_in(identity: Identity, event: Event) -> bool:
    return identity.signed_in_at is not None and event.at < identity.signed_in_at - CLOCKS_DIFFER


def _leave(identity: Identity, event: Event, reason: str, *, ends_always: bool = False) -> None:
    """The person is in the organisation no more; ends what they were given if they could not sign in again as they are now.

    They are not switched off: taken in again, they sign in as ever, by the rule that every sign-in is judged by.
    """
    if _is_old(identity, event):
        return
    identity.organization_id, identity.role, identity.permissions = "", "", []
    identity.told_at = event.at + _INSTANT  # so that nothing of the same instant, and no repetition, counts after it
    identity.save(update_fields=["organization_id", "role", "permissions", "told_at"])
    _judge_operator(identity, set())
    if ends_always or not people.may_sign_in(_person(identity)):
        _end_everything(identity.user, reason)
    publish(Topic.USER, identity.user_id)


def _judge_operator(identity: Identity, roles: set[str]) -> None:
    """Takes an operator's rights away when `GATEWAY_ADMINS` no longer names the person."""
    user = identity.user
    if (user.is_staff or user.is_superuser) and not people.is_admin(_person(identity, roles)):
        User.objects.filter(pk=user.pk).update(is_staff=auditors.includes(user), is_superuser=False)


def _person(identity: Identity, roles: set[str] | None = None) -> Person:
    """The identity as a sign-in would bring it now."""
    return Person(
        subject=identity.subject,
        email=identity.email,
        email_verified=identity.email_verified,
        organization_id=identity.organization_id,
        role=identity.role,
        roles=frozenset(roles or ()),
    )


def _end_everything(user: User, reason: str) -> int:
    """Ends sessions first, so that none of them gives a new code; returns how many sessions and grants ended."""
    auditors.remove(User.objects.filter(pk=user.pk), reason)
    return signed_in.end_all(user, reason) + end_grants(reason, user_id=user.pk)


def _slug(role: object) -> str:
    return _id(role.get("slug")) if isinstance(role, dict) else ""


def _id(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() and len(value) <= ID_LENGTH else ""
