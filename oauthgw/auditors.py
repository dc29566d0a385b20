"""Auditors: people who may look at everything in the admin, and touch nothing.

A group with every view permission and no other. Operators put people into it; whoever loses access altogether leaves it. Knows the group;
knows no page.
"""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, Group, Permission, User
from django.db import transaction
from django.db.models import Q, QuerySet

from oauthgw.journal import recorder as journal
from oauthgw.journal.recorder import Kind, record

NAME = "Auditors"
_OURS = ("oauthgw", "journal", "mcp_routes")


def provide_group(sender: Any, using: str = "default", **kwargs: Any) -> None:
    """The group with its permissions, after each `migrate`: those of new models come with it, and what was added by hand goes."""
    if sender.label not in (*_OURS, "auth"):
        return
    ours = Q(content_type__app_label__in=_OURS, codename__startswith="view_") | Q(content_type__app_label="auth", codename="view_user")
    Group.objects.using(using).get_or_create(name=NAME)[0].permissions.set(Permission.objects.using(using).filter(ours))


def includes(user: AbstractBaseUser) -> bool:
    """Whether this user is an auditor. A user who is not stored yet is none."""
    return user.pk is not None and Group.objects.filter(name=NAME, user=user.pk).exists()


@transaction.atomic
def add(users: QuerySet[User], by: AbstractBaseUser) -> list[User]:
    """Makes auditors of those who are none yet; returns whom."""
    group = Group.objects.get_or_create(name=NAME)[0]
    added = list(users.exclude(groups=group))
    group.user_set.add(*added)
    User.objects.filter(pk__in=[user.pk for user in added]).update(is_staff=True)
    for user in added:
        record(Kind.AUDITOR_MADE, user=user, reason=journal.by("", by))
    return added


@transaction.atomic
def remove(users: QuerySet[User], why: str) -> list[User]:
    """Takes it from those who are; returns whom. Operators stay what they are."""
    removed = list(users.filter(groups__name=NAME))
    for user in removed:
        user.groups.remove(*user.groups.filter(name=NAME))
        record(Kind.AUDITOR_UNMADE, user=user, reason=why)
    User.objects.filter(pk__in=[user.pk for user in removed], is_superuser=False).update(is_staff=False)
    return removed
