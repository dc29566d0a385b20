"""Every page of the admin: it opens, it shows no secret, and its address cannot be used to guess one."""

from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client as Browser
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw.journal.models import Event
from oauthgw.models import AuthorizationCode, Client, DeviceGrant, IDToken, SignIn
from tests.unit.admin.conftest import Operator, Scene

SHOWN = {
    "auth/user",
    "journal/event",
    "mcp_routes/mcproute",
    "oauthgw/accesstoken",
    "oauthgw/client",
    "oauthgw/consent",
    "oauthgw/grant",
    "oauthgw/refreshtoken",
}
READ_ONLY = SHOWN - {"mcp_routes/mcproute"}


def paths() -> dict[str, Any]:
    return {f"{model._meta.app_label}/{model._meta.model_name}": model for model in admin.site._registry}


def stored_passwords() -> set[str]:
    return {user.password for user in User.objects.all()}


def test_what_is_shown_is_what_operators_need() -> None:
    assert set(paths()) == SHOWN
    assert not {AuthorizationCode, IDToken, DeviceGrant, SignIn} & set(admin.site._registry)


@pytest.mark.parametrize("path", sorted(SHOWN))
def test_lists_and_pages_open_and_hold_no_secret(operator: Operator, scene: Scene, path: str) -> None:
    rows = list(paths()[path].objects.all())
    assert rows, "the scene leaves no list empty"
    pages = [f"{path}/", *(f"{path}/{row.pk}/{page}" for row in rows for page in ("change/", "history/"))]
    for page in pages:
        text = operator.text(page)
        assert not [secret for secret in scene.secrets | stored_passwords() if secret in text], page


@pytest.mark.parametrize("path", sorted(SHOWN))
def test_every_list_can_be_searched(operator: Operator, scene: Scene, path: str) -> None:
    assert "0 results" in operator.text(f"{path}/", q="nobody-has-this") or "0 total" in operator.text(f"{path}/", q="nobody-has-this")


@pytest.mark.parametrize("path", sorted(READ_ONLY))
def test_nothing_is_made_edited_or_deleted_by_hand(operator: Operator, scene: Scene, path: str) -> None:
    key = paths()[path].objects.first().pk
    assert operator.browser.get(f"/admin/{path}/add/").status_code == (200 if path == "oauthgw/client" else 403)
    assert operator.browser.post(f"/admin/{path}/{key}/delete/", {"post": "yes"}).status_code == 403
    assert operator.browser.post(f"/admin/{path}/{key}/change/", {}).status_code == 403
    assert "delete_selected" not in operator.text(f"{path}/")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("oauthgw/client/", "client_secret__startswith"),
        ("oauthgw/accesstoken/", "token_checksum__startswith"),
        ("oauthgw/accesstoken/", "application__client_secret__startswith"),
        ("oauthgw/accesstoken/", "grant__client__client_secret__startswith"),
        ("oauthgw/refreshtoken/", "nonce__startswith"),
        ("oauthgw/consent/", "client__client_secret__startswith"),
        ("oauthgw/consent/", "client__client_secret__regex"),
        ("oauthgw/grant/", "user__password__startswith"),
        ("oauthgw/grant/", "code__code__startswith"),
        ("auth/user/", "password__startswith"),
        ("mcp_routes/mcproute/", "sealed_headers__startswith"),
        ("mcp_routes/mcproute/", "sealed_headers__contains"),
    ],
)
def test_an_address_cannot_ask_for_a_stored_secret_letter_by_letter(operator: Operator, scene: Scene, path: str, query: str) -> None:
    assert operator.browser.get(f"/admin/{path}", {query: "a"}).status_code == 400


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("oauthgw/client/", {"state": "active", "registration_source__exact": "dcr", "client_type__exact": "confidential"}),
        ("oauthgw/consent/", {"state": "standing"}),
        ("oauthgw/grant/", {"state": "live"}),
        ("oauthgw/grant/", {"user__id__exact": "{alice}"}),
        ("oauthgw/grant/", {"client__id__exact": "{client}"}),
        ("oauthgw/grant/", {"resource_id__exact": "{route}"}),
        ("oauthgw/accesstoken/", {"grant__id__exact": "{grant}"}),
        ("auth/user/", {"is_active__exact": "1", "is_superuser__exact": "0"}),
        ("mcp_routes/mcproute/", {"auth_mode__exact": "headers"}),
        ("journal/event/", {"kind__exact": "grant_issued"}),
    ],
)
def test_what_the_page_offers_can_be_filtered_by(operator: Operator, scene: Scene, path: str, query: dict[str, str]) -> None:
    names = {"alice": scene.alice.pk, "client": scene.client.pk, "route": scene.route.pk, "grant": scene.grant.pk}
    page = operator.page(path, **{key: value.format(**names) for key, value in query.items()})
    assert page.context["cl"].result_count >= 1


@pytest.mark.parametrize("state", ["revoked", "ended by age"])
def test_a_live_connection_is_in_no_other_state(operator: Operator, scene: Scene, state: str) -> None:
    assert operator.page("oauthgw/grant/", state=state).context["cl"].result_count == 0


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("oauthgw/client/", "app.example.com"),
        ("oauthgw/client/", "Website"),
        ("oauthgw/grant/", "alice@example.com"),
        ("oauthgw/accesstoken/", "/mcp/demo"),
        ("auth/user/", "org_1"),
        ("mcp_routes/mcproute/", "upstream.example.com"),
    ],
)
def test_search_finds_by_what_an_operator_has_in_hand(operator: Operator, scene: Scene, path: str, query: str) -> None:
    assert operator.page(path, q=query).context["cl"].result_count >= 1


@pytest.mark.parametrize("path", ["oauthgw/accesstoken/", "oauthgw/grant/", "oauthgw/client/"])
def test_search_never_finds_by_token(operator: Operator, scene: Scene, path: str) -> None:
    assert operator.page(path, q=scene.access_token).context["cl"].result_count == 0


def test_an_event_is_found_by_its_request_id(operator: Operator, scene: Scene) -> None:
    Event.objects.create(kind=Event.Kind.SIGNED_OUT, user=scene.alice, request_id="req-77")
    assert operator.page("journal/event/", q="req-77").context["cl"].result_count == 1


def test_the_list_of_clients_answers_in_one_line(operator: Operator, scene: Scene) -> None:
    text = operator.text("oauthgw/client/")
    for shown in ("Website", "Dynamic Client Registration", "app.example.com", "cursor://anysphere.cursor-mcp", "active"):
        assert shown in text


def test_a_connection_is_linked_from_its_client_user_and_route(operator: Operator, scene: Scene) -> None:
    for path, query in (
        (f"oauthgw/client/{scene.client.pk}/change/", f"client__id__exact={scene.client.pk}"),
        (f"auth/user/{scene.alice.pk}/change/", f"user__id__exact={scene.alice.pk}"),
        (f"mcp_routes/mcproute/{scene.route.pk}/change/", f"resource_id__exact={scene.route.pk}"),
    ):
        assert f"/admin/oauthgw/grant/?{query}" in operator.text(path)


def test_a_users_identity_is_shown(operator: Operator, scene: Scene) -> None:
    assert "org_1" in operator.text(f"auth/user/{scene.alice.pk}/change/")


def test_an_ordinary_user_is_shown_no_page(scene: Scene) -> None:
    browser = Browser(HTTP_HOST="localhost:9000")
    browser.force_login(scene.alice)
    for path in sorted(SHOWN):
        assert browser.get(f"/admin/{path}/").status_code == 302


def test_the_sign_in_page_offers_the_provider_and_a_local_password(db: None) -> None:
    answer = Browser(HTTP_HOST="localhost:9000").get("/admin/login/", {"next": "/admin/oauthgw/grant/"})
    text = answer.content.decode()
    assert f"/oauth/login?next={quote('/admin/oauthgw/grant/', safe='')}" in text
    assert 'type="password"' in text


def test_a_client_without_a_name_and_a_route_without_headers_are_shown(operator: Operator, db: None) -> None:
    client = Client.objects.create(client_id="https://app.example.com/client.json", client_type="public", client_secret="")
    route = McpRoute.objects.create(slug="plain", name="Plain", upstream_url="https://upstream.example.com/mcp")
    assert "https://app.example.com/client.json" in operator.text("oauthgw/client/")
    operator.page(f"oauthgw/client/{client.pk}/change/")
    operator.page(f"mcp_routes/mcproute/{route.pk}/change/")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("oauthgw/client/", "as the start page shows"),
        ("oauthgw/consent/", "approves one on the consent page"),
        ("oauthgw/grant/", "A connection begins when"),
        ("oauthgw/accesstoken/", "No token was issued yet"),
        ("mcp_routes/mcproute/", "Add one"),
        ("journal/event/", "Nothing has happened yet"),
    ],
)
def test_an_empty_list_says_what_to_do_next(operator: Operator, path: str, words: str) -> None:
    assert words in operator.text(path)
    assert "Nothing fits this search" in operator.text(path, q="nobody-at-all")


def test_a_list_with_rows_says_nothing_of_it(operator: Operator, scene: Scene) -> None:
    assert "empty-state" not in operator.text("oauthgw/client/")


@pytest.mark.parametrize(("about", "count"), [("grants", 2), ("clients", 1), ("people", 0), ("ends", 0), ("unheard of", 3)])
def test_events_are_filtered_by_what_they_are_about(operator: Operator, scene: Scene, about: str, count: int) -> None:
    assert operator.page("journal/event/", about=about).context["cl"].result_count == count


def test_an_event_leads_to_its_client_its_connection_and_its_route(operator: Operator, scene: Scene) -> None:
    text = operator.text("journal/event/", about="grants")
    assert f'href="/admin/oauthgw/grant/{scene.grant.pk}/change/"' in text
    assert f'href="/admin/oauthgw/client/?q={scene.client.client_id}"' in text
    assert operator.page("journal/event/", resource=scene.grant.resource).context["cl"].result_count == 2


@pytest.mark.parametrize(("used", "count"), [("lately", 1), ("long-ago", 0), ("never", 0)])
def test_clients_are_filtered_by_when_they_were_last_used(operator: Operator, scene: Scene, used: str, count: int) -> None:
    assert operator.page("oauthgw/client/", used=used).context["cl"].result_count == count


def test_a_client_of_a_document_is_listed_with_the_domain_that_vouches(operator: Operator, scene: Scene) -> None:
    scene.client.__class__.objects.update(client_id="https://app.example.com/oauth/client.json", registration_source="cimd")
    assert "Metadata document of app.example.com" in operator.text("oauthgw/client/")


@pytest.mark.parametrize(
    ("path", "field"),
    [("oauthgw/client/", "created"), ("oauthgw/consent/", "given_at"), ("oauthgw/grant/", "issued_at"), ("journal/event/", "at")],
)
def test_every_date_that_is_offered_can_be_followed(operator: Operator, scene: Scene, path: str, field: str) -> None:
    now = timezone.now()
    found = operator.page(path, **{f"{field}__year": str(now.year), f"{field}__month": str(now.month)})
    assert found.context["cl"].result_count >= 1
