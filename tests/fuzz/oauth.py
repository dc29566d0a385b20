"""Grammars of the machines' endpoints: discovery, registration, tokens, revocation, introspection, and the webhook."""

import json
import time
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.fuzz import words
from tests.fuzz.house import House, blank
from tests.fuzz.wire import Answer, Request
from tests.fuzz.words import JSON, Asked, Pair
from tests.support import webhooks

VERIFIER = "v" * 43
WEB = "https://app.example.com/cb"
LOOPBACK = "http://127.0.0.1:33418/callback"
MEMBERS = (
    *("redirect_uris", "token_endpoint_auth_method", "grant_types", "response_types", "client_name", "client_uri", "logo_uri", "scope"),
    *("contacts", "tos_uri", "policy_uri", "jwks_uri", "jwks", "software_id", "software_version", "software_statement", "application_type"),
    *("client_name#de", "client_id", "client_secret", "client_secret_expires_at", "client_id_issued_at", "registration_access_token"),
    *("registration_client_uri", "token_endpoint_auth_signing_alg", "default_max_age", "require_auth_time", "dpop_bound_access_tokens"),
)
_MANAGE = r"^oauth/register/(?P<client_id>[^/]+)/?$"
_KEY = {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}


def metadata(endpoint: str, *paths: str) -> SearchStrategy[Asked]:
    """Documents that anybody may read."""
    return words.sent(endpoint, paths, ("GET", "HEAD", "OPTIONS"))


_registration: SearchStrategy[dict[str, Any]] = st.sampled_from(
    (
        {"client_name": "A", "redirect_uris": [LOOPBACK]},
        {
            "client_name": "B",
            "redirect_uris": [WEB, "cursor://a/b"],
            "token_endpoint_auth_method": "client_secret_basic",
            "scope": "mcp:tools",
        },
        {"redirect_uris": [WEB], "token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [_KEY]}, "contacts": ["a@example.com"]},
        {
            "redirect_uris": [WEB],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "logo_uri": "https://a/b",
        },
    )
)


def registration(members: SearchStrategy[dict[str, Any]] = _registration) -> SearchStrategy[bytes]:
    """The body of a registration."""
    return members.flatmap(lambda right: words.members(right, MEMBERS)).map(words.written)


def register(house: House, endpoint: str, path: str) -> SearchStrategy[Asked]:
    """RFC 7591."""
    return words.sent(endpoint, (path,), ("POST",), (JSON,), (), registration(), _remember_client)


def _remember_client(house: House, answer: Answer) -> None:
    if answer.status == 201:
        made = json.loads(answer.body)
        house.learn("client", f"{made['client_id']}|{made['registration_access_token']}")


@st.composite
def manage(draw: st.DrawFn, house: House) -> Asked:
    """RFC 7592: the seeded client is read and changed, others are removed."""
    client_id, token = house.known["managed"]
    verb = draw(words.methods("GET", "PUT", "PUT", "DELETE"))
    if verb == "DELETE":
        client_id, token = blank("client", 0), blank("client", 1)
    path = f"/oauth/register/{client_id if draw(st.integers(0, 9)) else 'nobody%00%ff'}"
    right = {"client_id": client_id, "client_name": "Managed", "redirect_uris": [WEB]}
    bearer = (b"Authorization", f"Bearer {token}".encode())
    return draw(words.sent(_MANAGE, (path,), (verb,), (JSON, bearer), (), registration(st.just(right))))


def _clients(house: House) -> SearchStrategy[tuple[list[Pair], list[words.Header]]]:
    """How a client may say who it is."""
    client_id, secret = house.known["secret"]
    assertion = [("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), ("client_assertion", "e30.e30.x")]
    ways: list[tuple[list[Pair], list[words.Header]]] = [
        ([("client_id", house.known["public"])], []),
        ([("client_id", client_id), ("client_secret", secret)], []),
        ([], [(b"Authorization", words.basic(client_id, secret))]),
        ([*assertion, ("client_id", client_id)], []),
        ([], [(b"Authorization", words.basic(client_id, "\ud800\x00"))]),
        ([("client_id", f"{house.stranger.url}/client.json")], []),
    ]
    return st.sampled_from(ways) | st.sampled_from(ways[:3])


@st.composite
def token(draw: st.DrawFn, house: House, endpoint: str, path: str) -> Asked:
    """RFC 6749 §4.1.3 and §6, with the codes and refresh tokens that other requests have got."""
    resource = ("resource", f"{house.origin}/mcp/told")
    if draw(st.booleans()):
        who: list[Pair] = [("client_id", house.known["public"])]
        right: list[words.Header] = []
        fields = [
            ("grant_type", "authorization_code"),
            ("code", blank("code")),
            ("redirect_uri", LOOPBACK),
            ("code_verifier", VERIFIER),
            resource,
        ]
    else:
        who, right = draw(_clients(house)) if draw(st.integers(0, 2)) == 0 else ([("client_id", house.known["public"])], [])
        fields = [("grant_type", "refresh_token"), ("refresh_token", blank("refresh")), resource, ("scope", "mcp:tools")]
    return draw(words.posted(endpoint, (path,), [*fields, *who], right, _remember_refresh))


def _remember_refresh(house: House, answer: Answer) -> None:
    if answer.status == 200 and "refresh_token" in (told := json.loads(answer.body)):
        house.learn("refresh", told["refresh_token"])
        house.learn("access", told["access_token"])  # used it must be, or its user is taken for one whose sign-in goes round in circles


@st.composite
def about_token(draw: st.DrawFn, house: House, endpoint: str, path: str) -> Asked:
    """RFC 7009 and 7662."""
    who, right = draw(_clients(house))
    held = [value for pair in house.known["to_revoke"] for value in pair] if path == "/oauth/revoke" else [house.known["token"]]
    value = draw(st.sampled_from((*held, blank("refresh"), "mcpat_x", "x")))
    hint = draw(st.sampled_from(("access_token", "refresh_token", "x")))
    return draw(words.posted(endpoint, (path,), [("token", value), ("token_type_hint", hint), *who], right))


@st.composite
def webhook(draw: st.DrawFn, house: House) -> Asked:
    """Deliveries of WorkOS, well signed for the most part, of events that are not what they should be."""
    name = draw(
        st.sampled_from(
            (
                *("user.deleted", "organization_membership.deleted", "organization_membership.updated", "dsync.user.deleted"),
                *("dsync.user.updated", "session.revoked", "user.created"),
            )
        )
    )
    data = draw(
        words.members(
            {"id": "user_victim", "user_id": "user_victim", "organization_id": "org_2", "role": {"slug": "member"}, "status": "active"},
            ("email", "state", "roles", "emails", "created_at", "updated_at", "object", "permissions"),
        )
    )
    event = {
        "id": "event_1",
        "event": name,
        "data": data,
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "object": "event",
    }
    body = draw(words.members(event, ("context", "environment_id")).map(words.written) | words.odd_bytes)
    signed = (b"WorkOS-Signature", webhooks.signature(body).encode())
    return Asked(r"^webhooks/workos/?$", Request(draw(words.methods("POST")), b"/webhooks/workos", draw(words.headers(signed, JSON)), body))
