"""The grammar of the admin: every address of it, asked by an operator and by somebody who is not signed in."""

import re

from hypothesis import strategies as st

from tests.fuzz import words
from tests.fuzz.house import CSRF, House
from tests.fuzz.wire import Request
from tests.fuzz.words import Asked, Pair

_FILTERS = (
    *(
        "q",
        "p",
        "o",
        "all",
        "_facets",
        "_popup",
        "_to_field",
        "e",
        "state",
        "twins",
        "is_active__exact",
        "is_superuser__exact",
        "kind__exact",
    ),
    *("at__gte", "at__lt", "at__year", "at__month", "at__day", "issued_at__gte", "given_at__year", "expires__gte", "expires_at__lt"),
    *(
        "client_type__exact",
        "registration_source__exact",
        "may_introspect__exact",
        "enabled__exact",
        "auth_mode__exact",
        "client__id__exact",
    ),
    *("user__id__exact", "application__id__exact", "grant__id__exact", "user__password__startswith", "client_secret__startswith", "id__in"),
    *(
        "user",
        "client",
        "resource_id",
        "client_id",
        "grant",
        "pk__in",
        "_changelist_filters",
        "app_label",
        "model_name",
        "field_name",
        "term",
    ),
)
_VALUES = (
    "1",
    "0",
    "True",
    "-1",
    "2026",
    "13",
    "99999",
    "1.2.-3",
    "2026-11-01",
    "2026-11-01 00:00:00+00:00",
    "alice",
    "name=1&x=%00",
    "no",
    "-0.-1",
)
_FIELDS = (
    *("slug", "name", "upstream_url", "auth_mode", "enabled", "headers", "access_token_ttl", "client_name", "redirect_uris", "next"),
    *(
        "token_endpoint_auth_method",
        "username",
        "password",
        "email",
        "is_staff",
        "groups",
        "user_permissions",
        "_save",
        "_continue",
        "_saveasnew",
    ),
    *(
        "old_password",
        "new_password1",
        "new_password2",
        "former_slugs-TOTAL_FORMS",
        "form-TOTAL_FORMS",
        "form-INITIAL_FORMS",
        "post",
        "index",
    ),
)


def _value() -> st.SearchStrategy[str]:
    return st.sampled_from(_VALUES) | words.odd_text


@st.composite
def admin(draw: st.DrawFn, house: House, endpoint: str) -> Asked:
    """A page of the admin, a list under odd filters, a form or an action. Rows that must be there at the end are never named."""
    right: tuple[words.Header, ...] = (house.cookies(house.known["root"]),) if draw(st.integers(0, 5)) else ()
    posts = draw(st.integers(0, 2)) == 0
    path = draw(_path(house, endpoint, posts))
    query = [(draw(st.sampled_from(_FILTERS)), draw(_value())) for _ in range(draw(words.few(4)))]
    if not posts or endpoint == "admin/logout/":
        asked = draw(words.sent(endpoint, ("/",), ("GET",), right, query))
        verb = asked.request.method if asked.request.method != "POST" else "GET"
        asked = Asked(endpoint, Request(verb, asked.request.target, asked.request.headers, asked.request.body))
    else:
        asked = draw(words.posted(endpoint, ("/",), draw(_form(house, endpoint)), right))
    return asked.at(path + asked.request.target[1:])


@st.composite
def _path(draw: st.DrawFn, house: House, endpoint: str, posts: bool) -> bytes:
    users, clients, _ = house.known["prey"]
    keys = [str(users[0])] if "/user/" in endpoint else [str(clients[0])] if "/client/" in endpoint else []
    if not posts:
        keys += ["1", "2"]
    filled = endpoint.replace("^(?P<app_label>oauthgw|auth|journal|mcp_routes)/$", draw(st.sampled_from(("oauthgw/", "auth/", "journal/"))))
    filled = filled.replace("(?P<url>.*)$", "nothing/here")
    path = b"/" + filled.encode()
    for parameter in re.findall(rb"<path:\w+>", path):
        mine = bool(keys) and draw(st.integers(0, 2)) > 0
        key = draw(st.sampled_from(keys)) if mine else draw(_value().filter(lambda odd: not _names_a_row(odd)))
        path = path.replace(parameter, words.quoted(key)[:3_000] or b"_", 1)
    return path


def _names_a_row(text: str) -> bool:
    """Django reads a key as int() does: white space around it and underscores within are nothing, and any script's digits are digits."""
    try:
        int(text)
    except ValueError:
        return False
    return True


@st.composite
def _form(draw: st.DrawFn, house: House, endpoint: str) -> list[Pair]:
    fields = [("csrfmiddlewaretoken", CSRF)]
    actions = house.known["actions"].get(endpoint.removeprefix("admin/").removesuffix("/"))
    if actions:
        users, clients, _ = house.known["prey"]
        prey = users if "user" in endpoint else clients if "client" in endpoint else [10**9]
        selected = [str(key) for key in prey] + draw(st.lists(st.sampled_from(("-1", "x", "9" * 30, "\x00", "1.5")), max_size=2))
        fields += [("action", draw(st.sampled_from(actions))), *(("_selected_action", key) for key in selected)]
        fields += draw(
            st.sampled_from(([("index", "0")], [("confirmed", "yes"), ("seen", "x:y:z")], [("post", "yes")], [("confirmed", "yes")]))
        )
        return fields
    return fields + [(draw(st.sampled_from(_FIELDS)), draw(_value())) for _ in range(draw(st.integers(0, 8)))]
