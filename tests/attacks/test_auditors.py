"""Auditors look at everything and touch nothing (least privilege: RFC 9700 §2.3; OWASP ASVS 4.0, V4.1.3)."""

import json
import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core import serializers
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, get_resolver

from mcp_routes.models import McpRoute
from oauthgw import auditors
from oauthgw.identity import people
from oauthgw.identity.provider import Person as Signed
from oauthgw.journal.models import Event
from oauthgw.models import Client, Consent, Grant, Identity
from tests.unit.admin.conftest import Operator, Scene, operator, scene

__all__ = ["operator", "scene"]

REGISTRY = sorted(admin.site._registry.items(), key=lambda entry: str(entry[0]))


@pytest.fixture
def auditor(db: None, operator: Operator) -> Browser:
    user = User.objects.create_user("user_audrey", email="audrey@example.com")
    auditors.add(User.objects.filter(pk=user.pk), operator.user)
    browser = Browser(HTTP_HOST="localhost:9000")
    browser.force_login(User.objects.get(pk=user.pk))
    return browser


def everything() -> str:
    """Each row that an operator could change."""
    rows: list[Any] = []
    for model in (Client, Consent, Grant, McpRoute, User, Identity):
        rows += json.loads(serializers.serialize("json", model._base_manager.order_by("pk")))
    for row in rows:
        row["fields"].pop("last_login", None)
    return json.dumps(rows)


def path_of(model: Any) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def patterns(resolver: Any = None, prefix: str = "") -> list[str]:
    """Every pattern below /admin/, as text."""
    found: list[str] = []
    for entry in (resolver or get_resolver()).url_patterns:
        text = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            found += patterns(entry, text)
        elif isinstance(entry, URLPattern) and text.startswith("admin/"):
            found.append(text)
    return found


@pytest.mark.parametrize(("model", "page"), REGISTRY, ids=lambda entry: str(getattr(entry, "__name__", "")))
def test_every_list_and_page_can_be_looked_at(auditor: Browser, scene: Scene, model: Any, page: Any) -> None:
    assert auditor.get(path_of(model)).status_code == 200
    row = model._base_manager.first()
    if row is not None:
        text = auditor.get(f"{path_of(model)}{row.pk}/change/").content.decode()
        assert "page-actions" not in text and 'type="submit"' not in text.replace('<button type="submit">Log out', "")
        assert not [secret for secret in scene.secrets if secret in text]


@pytest.mark.parametrize(("model", "page"), REGISTRY, ids=lambda entry: str(getattr(entry, "__name__", "")))
def test_no_action_does_anything_however_it_is_posted(auditor: Browser, scene: Scene, model: Any, page: Any) -> None:
    names = [name for name, *_ in page._get_base_actions()]
    row = model._base_manager.first()
    before = everything()
    for name in [*names, "delete_selected"]:
        for extra in ({"index": "0"}, {"confirmed": "yes", "seen": ""}, {"post": "yes"}):
            form = {"action": name, "_selected_action": str(row.pk if row else 1), "select_across": "0", **extra}
            auditor.post(path_of(model), form)
            auditor.post(path_of(model), {**form, "select_across": "1"})
    assert everything() == before


def test_no_address_of_the_admin_takes_a_write(auditor: Browser, scene: Scene) -> None:
    before = everything()
    for pattern in patterns():
        path = "/" + re.sub(r"<[^>]+>", str(scene.client.pk), pattern)
        if "logout" in path or "password_change" in path or "(?P" in path:
            continue
        auditor.post(path, {"post": "yes", "name": "changed", "slug": "changed", "_save": "Save", "username": "changed"})
    assert everything() == before


def test_an_upstream_addresss_query_is_not_shown(auditor: Browser, scene: Scene) -> None:
    """Some upstreams take a key there (RFC 6750 §5.3 says why they should not)."""
    McpRoute.objects.update(upstream_url="https://upstream.example.com/mcp?key=canary-query")
    for page in ("", f"{scene.route.pk}/change/", f"{scene.route.pk}/history/"):
        assert "canary-query" not in auditor.get(f"/admin/mcp_routes/mcproute/{page}").content.decode()


def test_signing_in_anew_keeps_it_and_gives_no_more(auditor: Browser, operator: Operator) -> None:
    Identity.objects.create(user=User.objects.get(username="user_audrey"), provider="workos", subject="user_audrey")
    user = people.admit("workos", Signed("user_audrey", "audrey@example.com", email_verified=True), admin=False)
    assert (user.is_staff, user.is_superuser) == (True, False)


def test_it_is_taken_away_at_once(auditor: Browser, operator: Operator) -> None:
    operator.act("auth/user/", "unmake_auditors", User.objects.get(username="user_audrey").pk)
    assert auditor.get("/admin/").status_code == 302
    reasons = Event.objects.filter(kind__in=("auditor_made", "auditor_unmade")).order_by("id").values_list("kind", "reason")
    assert list(reasons) == [("auditor_made", "(by root)"), ("auditor_unmade", "An operator took it back. (by root)")]


def test_an_operator_makes_one_after_being_asked(operator: Operator, scene: Scene) -> None:
    asked = operator.act("auth/user/", "make_auditors", scene.alice.pk, confirmed=False).content.decode()
    assert "Make auditors of these users?" in asked and not auditors.includes(scene.alice)
    operator.act("auth/user/", "make_auditors", scene.alice.pk)
    assert auditors.includes(scene.alice) and User.objects.get(pk=scene.alice.pk).is_staff
    assert operator.page("auth/user/", auditor="yes").context["cl"].result_count == 1


def test_an_operator_who_is_one_too_stays_an_operator(operator: Operator) -> None:
    auditors.add(User.objects.filter(pk=operator.user.pk), operator.user)
    auditors.remove(User.objects.filter(pk=operator.user.pk), "No more.")
    assert User.objects.get(pk=operator.user.pk).is_staff


def test_a_permission_that_was_added_by_hand_goes_with_the_next_migrate(auditor: Browser) -> None:
    from django.apps import apps
    from django.contrib.auth.models import Group

    group = Group.objects.get(name=auditors.NAME)
    group.permissions.add(Permission.objects.get(codename="change_client"))
    auditors.provide_group(apps.get_app_config("oauthgw"))
    assert set(group.permissions.values_list("codename", flat=True).filter(codename__startswith="change")) == set()
    assert {"view_client", "view_grant", "view_event", "view_user", "view_mcproute"} <= set(
        group.permissions.values_list("codename", flat=True)
    )
