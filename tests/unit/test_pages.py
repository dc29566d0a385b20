"""What people see: every page as a browser would read it, with the contexts that views give and with hostile ones."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpResponse
from django.template.loader import render_to_string
from django.test import Client as Browser
from django.test import RequestFactory

from mcp_routes.models import McpRoute
from mcp_routes.snippets import snippets
from oauthgw.journal.recorder import Caller, caller
from oauthgw.resources import ProtectedResource
from oauthgw.views import pages
from oauthgw.views.pages import Problem
from tests.unit.conftest import Person

ROOT = Path(django_settings.BASE_DIR)
TEMPLATES = sorted(str(path.relative_to(ROOT / "templates")) for path in (ROOT / "templates").rglob("*.html"))
DEMO = ProtectedResource(1, "/mcp/demo", "Demo", "Echoes and adds.")
OTHER = ProtectedResource(2, "/mcp/other", "Other")
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;\u05d0\u05d1{{ 7 }}" + "W" * 180

_VOID = ("meta", "link", "img", "input", "br")


@dataclass
class Element:
    """`text` is what stands directly in it, not in its children."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """A page as its elements and its text, as a browser sees them."""

    source: str
    elements: list[Element] = field(default_factory=list)
    text: str = ""
    _open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self._open.append(self.elements[-1])

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open:
            self._open[-1].text += data

    def all(self, *tags: str) -> list[Element]:
        return [element for element in self.elements if element.tag in tags]

    def named(self, name: str) -> list[Element]:
        return [element for element in self.elements if element.attributes.get("name") == name]

    def refresh_target(self) -> str:
        """Where the page sends the browser by itself: HTML's "shared declarative refresh steps" for a delay of zero."""
        (meta,) = [element for element in self.all("meta") if element.attributes.get("http-equiv") == "refresh"]
        found = re.fullmatch(r"\s*0[\s;,]\s*(?:url\s*=\s*)?(.*)", meta.attributes["content"], re.IGNORECASE | re.DOTALL)
        assert found, meta
        target = found[1]
        return target[1:].partition(target[0])[0] if target[:1] in ("'", '"') else target


def show(template: str, context: dict[str, Any] | None = None, *, user: User | None = None) -> Page:
    request = RequestFactory().get("/", HTTP_HOST="localhost:9000")
    request.user = user or AnonymousUser()
    return Page(render_to_string(template, context, request=request))


def consent(**changed: Any) -> dict[str, Any]:
    return {
        "client_name": "Editor",
        "verified": False,
        "client_host": "editor.example",
        "redirect_host": "127.0.0.1:33418",
        "redirect_kind": "loopback",
        "resource": DEMO,
        "routes": [],
        "abilities": ("Use its tools",),
        "user_label": "alice@example.com",
        "switch_url": "/oauth/login?next=/",
        "signed": "signed-value",
        "action": "/oauth/authorize",
        **changed,
    }


def forward(**changed: Any) -> dict[str, Any]:
    return {
        "target": "https://app.example.com/cb?code=1",
        "client_name": "App",
        "redirect_host": "app.example.com",
        "approved": True,
        **changed,
    }


# The content security policy allows scripts and styles from files of our own only.


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_has_nothing_that_the_content_security_policy_would_block(template: str) -> None:
    source = (ROOT / "templates" / template).read_text()
    for element in Page(source).elements:
        assert element.tag not in ("style", "iframe", "object", "embed", "base"), element
        assert not [name for name in element.attributes if name == "style" or re.fullmatch(r"on[a-z]+", name)], element
        if element.tag == "script":
            assert element.attributes.get("src") and not element.text.strip(), element
        if element.tag in ("script", "link", "img"):
            asset = element.attributes.get("src") or element.attributes["href"]
            assert asset.startswith("{% static "), element
    assert "javascript:" not in source


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_never_switches_escaping_off(template: str) -> None:
    source = (ROOT / "templates" / template).read_text()
    assert not re.search(r"\|\s*(safe|safeseq)\b|autoescape\s+off", source)


def test_the_stylesheet_loads_nothing_else() -> None:
    assert not re.search(r"@import|url\(", (ROOT / "static" / "gateway.css").read_text())


# Consent


def test_the_consent_form_has_only_its_three_fields() -> None:
    page = show("consent.html", consent())
    (form,) = page.all("form")
    fields = [element.attributes["name"] for element in page.all("input", "button", "select", "textarea")]
    assert (form.attributes["method"], form.attributes["action"]) == ("post", "/oauth/authorize")
    assert sorted(fields) == ["consent", "csrfmiddlewaretoken", "decision", "decision"]
    assert page.named("consent")[0].attributes["value"] == "signed-value"


def test_without_a_resource_it_also_asks_for_the_route_and_suggests_none() -> None:
    page = show("consent.html", consent(resource=None, routes=[DEMO, OTHER]))
    choices = [choice.attributes for choice in page.named("route")]
    assert [(choice["type"], choice["value"]) for choice in choices] == [("radio", "/mcp/demo"), ("radio", "/mcp/other")]
    assert all("required" in choice and "checked" not in choice for choice in choices)


def test_the_enter_key_cancels_and_nothing_puts_the_focus_on_approve() -> None:
    page = show("consent.html", consent(resource=None, routes=[DEMO]))
    buttons = page.named("decision")
    assert [button.attributes["value"] for button in buttons] == ["cancel", "approve"]
    assert "formnovalidate" in buttons[0].attributes
    assert not [element for element in page.elements if "autofocus" in element.attributes]


def test_nothing_can_be_approved_where_there_is_nothing_to_choose() -> None:
    page = show("consent.html", consent(resource=None, routes=[]))
    assert [button.attributes["value"] for button in page.named("decision")] == ["cancel"]


@pytest.mark.parametrize(("verified", "word"), [(True, "verified"), (False, "unverified")])
def test_the_page_says_whether_the_client_is_verified(verified: bool, word: str) -> None:
    badges = [
        element.text for element in show("consent.html", consent(verified=verified)).all("span") if "badge" in element.attributes["class"]
    ]
    assert badges == [word]


@pytest.mark.parametrize(
    ("kind", "words"), [("web", "a website"), ("loopback", "a program on this computer"), ("app", "an app on this computer")]
)
def test_the_page_names_the_redirect_host_and_what_it_is(kind: str, words: str) -> None:
    page = show("consent.html", consent(redirect_kind=kind, redirect_host="exact.example:8443"))
    assert "exact.example:8443" in page.text
    assert f"This is {words}" in page.text


# Hostile names


@pytest.mark.parametrize(
    ("template", "context"),
    [
        pytest.param(
            "consent.html",
            consent(
                client_name=HOSTILE, client_host=HOSTILE, redirect_host=HOSTILE, user_label=HOSTILE, switch_url=HOSTILE, signed=HOSTILE
            ),
            id="consent",
        ),
        pytest.param(
            "consent.html", consent(resource=None, routes=[replace(DEMO, path=HOSTILE, name=HOSTILE, description=HOSTILE)]), id="choice"
        ),
        pytest.param("forward.html", forward(target=HOSTILE, redirect_host=HOSTILE), id="forward"),
        pytest.param(
            "problem.html",
            {"problem": Problem(400, HOSTILE, HOSTILE, HOSTILE, (HOSTILE,), HOSTILE, HOSTILE, HOSTILE), "request_id": HOSTILE},
            id="problem",
        ),
        pytest.param(
            "dev_login.html",
            {"users": [SimpleNamespace(key=HOSTILE, name=HOSTILE, email=HOSTILE, note=HOSTILE)], "next": HOSTILE},
            id="dev-login",
        ),
        pytest.param("logout.html", {"user_label": HOSTILE, "provider_logout": True}, id="logout"),
        pytest.param(
            "landing.html",
            {"routes": [(replace(DEMO, name=HOSTILE, description=HOSTILE), HOSTILE, snippets("demo", "http://localhost/mcp/demo"))]},
            id="landing",
        ),
    ],
)
def test_markup_in_names_is_shown_and_not_obeyed(template: str, context: dict[str, Any]) -> None:
    page = show(template, context)
    assert HOSTILE in page.text or HOSTILE in [value for element in page.elements for value in element.attributes.values()]
    assert not [element for element in page.elements if "onerror" in element.attributes]
    assert not [element for element in page.all("script") if not element.attributes.get("src", "").startswith("/static/")]


def test_a_banner_marks_an_impersonated_session_and_no_other() -> None:
    context = {"problem": Problem(400, "Title", "What")}
    user = User(username="user_alice", email="alice@example.com")
    marked = show("problem.html", context | {"impersonated": True, "impersonator": "support@example.com"}, user=user)
    assert "Impersonated session" in marked.text
    assert "support@example.com" in marked.text and "alice@example.com" in marked.text
    assert "Impersonated session" not in show("problem.html", context, user=user).text


# Forwarding


@pytest.mark.parametrize(
    "target",
    [
        "https://app.example.com/cb?code=1&state=2",
        "cursor://anysphere.cursor-mcp/oauth/callback?code=1&state=a%22b",
        "http://127.0.0.1:3/cb?state='quoted';url=https://evil.example&amp;x=\"y\"",
        "http://[::1]:3/cb?state=a,b;c=d",
    ],
)
@pytest.mark.parametrize("template", ["forward.html", "signed_out.html"])
def test_the_browser_is_sent_to_exactly_the_target_by_itself_and_by_the_link(template: str, target: str) -> None:
    page = show(template, forward(target=target))
    assert page.refresh_target() == target
    assert target in [link.attributes["href"] for link in page.all("a")]


def test_signing_out_without_a_provider_forwards_nowhere() -> None:
    page = show("signed_out.html", {"target": ""})
    assert not [meta for meta in page.all("meta") if "http-equiv" in meta.attributes]


@pytest.mark.parametrize(("approved", "title"), [(True, "Approved"), (False, "Cancelled")])
def test_the_forwarding_page_says_what_was_decided(approved: bool, title: str) -> None:
    assert [heading.text for heading in show("forward.html", forward(approved=approved)).all("h1")] == [title]


# The landing page


def test_snippets_arrive_on_the_page_unchanged_and_can_be_reached_by_keyboard() -> None:
    known = snippets("demo", "https://mcp.example.com/mcp/demo")
    page = show("landing.html", {"routes": [(DEMO, "https://mcp.example.com/mcp/demo", known)]})
    shown = [element.text for element in page.all("code")]
    assert all(step.code in shown for snippet in known for step in snippet.steps if step.code)
    assert all(element.attributes["tabindex"] == "0" and element.attributes["aria-label"] for element in page.all("pre"))


@pytest.fixture
def production(settings: Any) -> Any:
    """The settings of an installation that is not a laptop and publishes nothing."""
    settings.GATEWAY = replace(settings.GATEWAY, debug=False, public_catalogue=False)
    return settings


def test_routes_are_not_listed_to_strangers(production: Any, http: Browser, demo: McpRoute) -> None:
    page = Page(http.get("/").content.decode())
    assert demo.name not in page.text
    assert "/oauth/login?next=/" in [link.attributes["href"] for link in page.all("a")]


def test_routes_are_listed_to_signed_in_users(production: Any, alice: Person, demo: McpRoute) -> None:
    assert "http://localhost:9000/mcp/demo" in Page(alice.browser.get("/").content.decode()).text


@pytest.mark.parametrize("setting", ["debug", "public_catalogue"])
def test_routes_are_listed_to_all_where_the_operator_says_so(production: Any, http: Browser, demo: McpRoute, setting: str) -> None:
    production.GATEWAY = replace(production.GATEWAY, **{setting: True})
    assert "http://localhost:9000/mcp/demo" in Page(http.get("/").content.decode()).text


def test_a_disabled_route_is_not_listed(alice: Person, demo: McpRoute) -> None:
    McpRoute.objects.filter(pk=demo.pk).update(enabled=False)
    assert demo.name not in Page(alice.browser.get("/").content.decode()).text


def test_a_visitor_gets_no_cookie_and_nobody_keeps_the_page(http: Browser, demo: McpRoute) -> None:
    response = http.get("/")
    assert not response.cookies
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("staff", [True, False])
def test_only_staff_sees_the_way_to_the_administration(alice: Person, staff: bool) -> None:
    User.objects.filter(pk=alice.user.pk).update(is_staff=staff)
    links = [link.attributes["href"] for link in Page(alice.browser.get("/").content.decode()).all("a")]
    assert ("/admin/" in links) is staff
    assert "/oauth/logout" in links


# Pages that Django asks for


@pytest.mark.parametrize(("view", "status"), [(pages.bad_request, 400), (pages.forbidden, 403), (pages.not_found, 404)])
def test_an_error_page_says_what_happened_and_names_the_request(rf: RequestFactory, view: Callable[..., HttpResponse], status: int) -> None:
    request = rf.get("/")
    request.user = AnonymousUser()
    caller.set(Caller("4711"))
    answer = view(request, Exception())
    page = Page(answer.content.decode())
    assert answer.status_code == status
    assert len(page.all("h1")) == 1
    assert "4711" in answer.content.decode()
    assert answer["Cache-Control"] == "no-store"


def test_the_admin_offers_the_provider_beside_the_password(http: Browser, db: None) -> None:
    page = Page(http.get("/admin/login/", {"next": "/admin/oauthgw/client/?q=a&p=1"}).content.decode())
    (link,) = [link.attributes["href"] for link in page.all("a") if link.attributes["href"].startswith("/oauth/login")]
    assert parse_qs(urlsplit(link).query) == {"next": ["/admin/oauthgw/client/?q=a&p=1"]}
    assert page.named("password")


# Colours (WCAG 2.2, 1.4.3 and 1.4.11)


def palettes() -> dict[str, dict[str, str]]:
    light, dark = (ROOT / "static" / "gateway.css").read_text().partition("*, *::before")[0].split("@media (prefers-color-scheme: dark)")
    named = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    return {"light": named, "dark": named | dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark))}


def luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "grounds", "least"),
    [
        ("text", ("ground", "surface", "sunken"), 4.5),
        ("muted", ("ground", "surface", "sunken"), 4.5),
        ("link", ("ground", "surface"), 4.5),
        ("on-primary", ("primary", "primary-hover"), 4.5),
        ("warn-text", ("warn-ground",), 4.5),
        ("good-text", ("good-ground",), 4.5),
        ("edge", ("ground", "surface", "sunken"), 3),
        ("focus", ("ground", "surface"), 3),
    ],
)
def test_colours_keep_their_contrast(scheme: str, ink: str, grounds: tuple[str, ...], least: float) -> None:
    colours = palettes()[scheme]
    for ground in grounds:
        dark, bright = sorted((luminance(colours[ink]), luminance(colours[ground])))
        assert (bright + 0.05) / (dark + 0.05) >= least, ground
