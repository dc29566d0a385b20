"""The operators' pages: what an address can ask for, who may press which button (OWASP ASVS 4.0, V4.1 and V5.1; CWE-863, CWE-601)."""

from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client as Browser

from mcp_routes.models import McpRoute
from tests.unit.conftest import Party, Person


@pytest.mark.parametrize(
    "page",
    [
        "oauthgw/client",
        "oauthgw/grant",
        "oauthgw/consent",
        "oauthgw/accesstoken",
        "oauthgw/refreshtoken",
        "auth/user",
        "journal/event",
        "mcp_routes/mcproute",
    ],
)
@pytest.mark.parametrize(
    "query",
    [
        "q=%00",
        "p=99999999999999999999",
        "o=99999999999999999999",
        "user__id__exact=99999999999999999999999",
        "client__id__exact=x",
        "resource_id__exact=%00",
        "grant__id__exact=9e9",
        "grant=9223372036854775808",
        "user=9223372036854775808",
        "client=9223372036854775808",
        "client_id__exact=%00",
        "client_id=%00",
        "state=%00",
        "e=1",
        "all=",
        "_popup=1",
        "_to_field=password",
        "issued_at__gte=%00",
        "at__gte=x",
    ],
)
def test_no_address_of_a_list_is_a_crash(alice: Person, page: str, query: str) -> None:
    User.objects.update(is_staff=True, is_superuser=True)
    assert alice.browser.get(f"/admin/{page}/?{query}").status_code < 500


@pytest.mark.parametrize("key", ["99999999999999999999999", "-1", "x", "%00", "_3B", "1/../2"])
def test_no_key_of_a_page_is_a_crash(alice: Person, key: str) -> None:
    User.objects.update(is_staff=True, is_superuser=True)
    for page in ("oauthgw/client", "auth/user", "mcp_routes/mcproute", "journal/event"):
        assert alice.browser.get(f"/admin/{page}/{key}/change/").status_code < 500


@pytest.mark.parametrize("query", ["_to_field=", "_to_field=password", "_popup=%00", "_changelist_filters=%00"])
@pytest.mark.parametrize("page", ["change", "delete", "history"])
def test_no_address_of_a_row_is_a_crash(alice: Person, query: str, page: str) -> None:
    route = McpRoute.objects.create(slug="found", upstream_url="https://upstream.example/mcp")
    User.objects.update(is_staff=True, is_superuser=True)
    for row in (f"mcp_routes/mcproute/{route.pk}", f"auth/user/{alice.user.pk}"):
        assert alice.browser.get(f"/admin/{row}/{page}/?{query}").status_code < 500


def test_somebody_who_is_staff_but_was_given_nothing_sees_and_does_nothing(alice: Person, editor: Party) -> None:
    User.objects.update(is_staff=True)
    for page in ("oauthgw/client", "oauthgw/grant", "auth/user", "mcp_routes/mcproute", "journal/event", "oauthgw/accesstoken"):
        assert alice.browser.get(f"/admin/{page}/").status_code == 403
        assert alice.browser.post(f"/admin/{page}/", {"action": "disable", "_selected_action": "1", "confirmed": "yes"}).status_code == 403


def test_somebody_who_may_look_may_not_act(alice: Person, editor: Party) -> None:
    User.objects.update(is_staff=True)
    alice.user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    assert alice.browser.get("/admin/oauthgw/client/").status_code == 200
    alice.browser.post("/admin/oauthgw/client/", {"action": "disable", "_selected_action": str(editor.client.pk), "confirmed": "yes"})
    editor.client.refresh_from_db()
    assert editor.client.disabled_at is None
    assert alice.browser.post(f"/admin/oauthgw/client/{editor.client.pk}/change/", {"name": "x"}).status_code == 403
    assert alice.browser.post(f"/admin/oauthgw/client/{editor.client.pk}/delete/", {"post": "yes"}).status_code == 403


def test_no_page_of_the_library_is_reachable(http: Browser, alice: Person) -> None:
    User.objects.update(is_staff=True, is_superuser=True)
    for path in (
        "/o/applications/",
        "/oauth/applications/",
        "/oauth/device-authorization/",
        "/oauth/userinfo",
        "/oauth/authorized_tokens/",
        "/o/token/",
    ):
        assert alice.browser.get(path).status_code == 404 and alice.browser.post(path).status_code == 404


def test_the_sign_in_link_of_the_admin_leads_back_to_this_site_only(http: Browser, db: None) -> None:
    page = http.get("/admin/login/?" + urlencode({"next": 'https://evil.example/"><script>'})).content.decode()
    assert "<script>" not in page.replace("<script src=", "")
    assert http.get("/oauth/login?" + urlencode({"next": "https://evil.example/"}))["Location"].endswith("next=%2F")
