"""Asking before an action is done: a page that says what will happen.

Knows the admin's list actions; knows nothing of what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core import signing
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

from oauthgw.guard.sealed import digest

SHOWN = 50
_SALT = "oauthgw.admin.confirm"


@dataclass(frozen=True, slots=True)
class Question:
    """What the page says: a title that ends with a question mark, what will happen, and the button's verb."""

    title: str
    consequences: Sequence[str]
    button: str


def ask(
    admin: ModelAdmin[Any], request: HttpRequest, queryset: QuerySet[Any], question: Question, show: Callable[[Any], str] = str
) -> TemplateResponse | None:
    """The page to answer with; None once the operator has confirmed it. `show` says which words stand for a row.

    What was shown is signed and comes back with the confirmation, for `is_as_shown`.
    """
    if request.POST.get("confirmed") == "yes":
        return None
    across = request.POST.get("select_across", "0") == "1"
    selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
    count = queryset.count()
    shown = {str(item.pk): show(item) for item in queryset[:SHOWN]}
    context = {
        **admin.admin_site.each_context(request),
        "title": question.title,
        "opts": admin.opts,
        "question": question,
        "action": request.POST.getlist("action")[0],
        "checkbox": ACTION_CHECKBOX_NAME,
        # "All on every page" is asked for again as such: naming each row would exceed the limit of form fields.
        "selected": selected[:1] if across else selected,
        "select_across": "1" if across else "0",
        "items": list(shown.values()),
        "unlisted": max(0, count - SHOWN),
        "seen": signing.dumps({key: digest(words) for key, words in shown.items()}, salt=_SALT),
    }
    return TemplateResponse(request, "admin/confirm_action.html", context)


def is_as_shown(request: HttpRequest, show: Callable[[Any], str]) -> Callable[[Any], bool]:
    """Which rows still are in the words that stood on the page which the operator confirmed; rows that were not listed there are not.

    For decisions that vouch for what was read: a row may have changed, or come, between the page and its confirmation.
    """
    try:
        seen: dict[str, str] = signing.loads(request.POST.get("seen", ""), salt=_SALT, max_age=3600)
    except signing.BadSignature:
        seen = {}
    return lambda row: seen.get(str(row.pk)) == digest(show(row))


def plural(count: int, noun: str) -> str:
    """`1 client`, `2 clients`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
