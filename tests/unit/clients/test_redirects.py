"""Redirect URIs: which may be registered, which a request may use."""

import pytest
from django.core.exceptions import ValidationError

from oauthgw.clients import redirects

REGISTRABLE = [
    "https://claude.ai/api/mcp/auth_callback",
    "https://app.example.com:8443/cb?tenant=1",
    "http://127.0.0.1:33418/callback",
    "http://127.0.0.1/callback",
    "http://localhost:6274/oauth/callback/debug",
    "http://[::1]:8080/",
    "http://localhost",
    "cursor://anysphere.cursor-mcp/oauth/callback",
    "vscode://vscode.github-authentication/did-authenticate",
    "zed://oauth",
]

OF_THIS_MACHINE = [
    "https://localhost/cb",
    "https://LOCALHOST/cb",
    "https://localhost./cb",
    "https://app.localhost/cb",
    "https://127.0.0.1/cb",
    "https://127.0.0.2/cb",
    "https://127.1/cb",
    "https://2130706433/cb",
    "https://0x7f000001/cb",
    "https://0/cb",
    "https://[::1]/cb",
    "https://[0:0:0:0:0:0:0:1]/cb",
    "https://[::ffff:127.0.0.1]/cb",
    "http://127.0.0.1/cb",
    "cursor://anysphere.cursor-mcp/oauth/callback",
]

REFUSED = [
    ("http://example.com/cb", "plain http"),
    ("http://127.0.0.1.evil.example/cb", "plain http"),
    ("http://127.1/cb", "plain http"),
    ("https:///cb", "names no host"),
    ("https:example.com/cb", "names no host"),
    ("https://user:pw@example.com/cb", "user information"),
    ("https://example.com@evil.example/cb", "user information"),
    ("https://example.com/cb#frag", "fragment"),
    ("https://example.com/cb#", "fragment"),
    ("https://*.example.com/cb", "wildcard"),
    ("https://example.com/c b", "printable ASCII"),
    ("https://example.com/cb\n", "printable ASCII"),
    ("https://exämple.com/cb", "printable ASCII"),
    ("https://example.com\\@evil.example/cb", "backslash"),
    ("https://example.com:0/cb", "port"),
    ("https://example.com:/cb", "port"),
    ("https://example.com:99999/cb", "not a valid URI"),
    ("https://example.com/cb?code=1", "'code'"),
    ("https://example.com/cb?state=", "'state'"),
    ("https://example.com/cb?a=b&iss=x", "'iss'"),
    ("https://example.com/cb?error=x", "'error'"),
    ("javascript://example.com/%0aalert(1)", "cannot be a client's own"),
    ("JavaScript:alert(1)", "cannot be a client's own"),
    ("data:text/html,x", "cannot be a client's own"),
    ("file:///etc/passwd", "cannot be a client's own"),
    ("redis://localhost/0", "cannot be a client's own"),
    ("bitcoin://cb", "cannot be a client's own"),
    ("chrome-extension://abcdefghijklmnop/cb", "cannot be a client's own"),
    ("microsoft-edge://cb", "cannot be a client's own"),
    ("urn:ietf:wg:oauth:2.0:oob", "cannot be a client's own"),
    ("com.example.app:/cb", "cannot be a client's own"),
    ("//example.com/cb", "cannot be a client's own"),
    ("/cb", "cannot be a client's own"),
    ("", "printable ASCII"),
    ("https://example.com/" + "a" * 2000, "longer than"),
]


@pytest.mark.parametrize("uri", REGISTRABLE)
def test_what_real_clients_register_is_accepted(uri: str) -> None:
    redirects.validate(uri)


@pytest.mark.parametrize(("uri", "reason"), REFUSED, ids=[uri[:40] for uri, _ in REFUSED])
def test_an_unsafe_redirect_uri_is_refused_with_its_reason(uri: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        redirects.validate(uri)


def test_an_unlisted_private_scheme_is_told_apart_so_that_a_mixed_set_survives() -> None:
    assert redirects.kept(["strange://app/cb", "https://a.example/cb"]) == ["https://a.example/cb"]


def test_a_set_of_only_unlisted_schemes_is_refused_with_what_would_be_accepted() -> None:
    with pytest.raises(ValidationError, match=r"strange://app/cb.*Accepted are https.*cursor://"):
        redirects.kept(["strange://app/cb"])


def test_a_dangerous_uri_is_not_dropped_but_refuses_the_set() -> None:
    with pytest.raises(ValidationError, match="javascript"):
        redirects.kept(["https://a.example/cb", "javascript://x/"])


def test_fifty_redirect_uris_are_kept_and_fifty_one_refused() -> None:
    uris = [f"https://a.example/{number}" for number in range(51)]
    assert len(redirects.kept(uris[:50])) == 50
    with pytest.raises(ValidationError, match="at most 50"):
        redirects.kept(uris)


@pytest.mark.parametrize(
    ("requested", "registered", "allowed"),
    [
        ("https://a.example/cb", "https://a.example/cb", True),
        ("https://a.example/cb/", "https://a.example/cb", False),
        ("https://A.example/cb", "https://a.example/cb", False),
        ("https://a.example:443/cb", "https://a.example/cb", False),
        ("https://a.example/cb?x=1", "https://a.example/cb", False),
        ("http://127.0.0.1:5000/cb", "http://127.0.0.1/cb", True),
        ("http://127.0.0.1:5000/cb", "http://127.0.0.1:6000/cb", True),
        ("http://localhost:5000/cb", "http://localhost/cb", True),
        ("http://[::1]:5000/cb", "http://[::1]/cb", True),
        ("http://localhost:5000/cb", "http://127.0.0.1/cb", False),
        ("http://127.0.0.1:5000/other", "http://127.0.0.1/cb", False),
        ("http://127.0.0.1:5000/cb?x=1", "http://127.0.0.1/cb", False),
        ("http://127.0.0.1:5000/cb#", "http://127.0.0.1/cb", False),
        ("http://x@127.0.0.1:5000/cb", "http://127.0.0.1/cb", False),
        ("https://127.0.0.1:5000/cb", "http://127.0.0.1/cb", False),
        ("cursor://anysphere.cursor-mcp/cb", "cursor://anysphere.cursor-mcp/cb", True),
        ("cursor://evil/cb", "cursor://anysphere.cursor-mcp/cb", False),
    ],
)
def test_redirect_uris_are_compared_as_strings_with_only_the_loopback_port_free(requested: str, registered: str, allowed: bool) -> None:
    assert redirects.matches(requested, registered) is allowed


@pytest.mark.parametrize("uri", OF_THIS_MACHINE)
def test_what_another_program_of_this_machine_could_answer_is_no_website(uri: str) -> None:
    assert not redirects.is_website(uri)


@pytest.mark.parametrize("uri", ["https://claude.ai/cb", "https://localhost.example.com/cb", "https://127.example.com/cb", "https://x1/cb"])
def test_a_named_host_is_a_website(uri: str) -> None:
    assert redirects.is_website(uri)
