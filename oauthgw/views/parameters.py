"""OAuth parameters as a plain mapping: each at most once, none that a database or a page could choke on.

Sources: RFC 6749 §3.1 and §3.2 ("parameters MUST NOT be included more than once"; without a value is as if omitted), RFC 8707 §2
(`resource` may be repeated).
"""

import re
from collections.abc import Mapping

from django.http import HttpRequest, QueryDict

MAX_LENGTH = 16_000
REPEATABLE = "resource"
_ENCODED = re.compile(r"([^%#]|%[0-9A-Fa-f]{2})*")  # RFC 3986 §2.1; a fragment never leaves the browser


class Malformed(Exception):
    """Parameters that no rule can judge; the text says which and why."""


def of_query(request: HttpRequest) -> Mapping[str, str]:
    """The parameters of a request's URL, as `single` gives them. Raises Malformed for a query that is not properly percent-encoded."""
    if not _ENCODED.fullmatch(request.META.get("QUERY_STRING", "")):
        raise Malformed("The query is not properly percent-encoded.")
    return single(request.GET)


def single(query: QueryDict) -> Mapping[str, str]:
    """Every parameter with a value, `resource` left out (it may be repeated: ask `QueryDict.getlist`). Raises Malformed."""
    found: dict[str, str] = {}
    for name, values in query.lists():
        for value in (name, *values):
            if len(value) > MAX_LENGTH:
                raise Malformed(f"The parameter {name[:40]!r} is longer than {MAX_LENGTH} characters.")
            if "\x00" in value or "\ufffd" in value:
                raise Malformed(f"The parameter {name[:40]!r} is not valid UTF-8 text.")
        if name == REPEATABLE:
            continue
        if len(values) > 1:
            raise Malformed(f"The parameter {name[:40]!r} was sent more than once.")
        if values and values[0]:
            found[name] = values[0]
    return found
