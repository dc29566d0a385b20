"""What strangers write: odd texts, odd JSON, odd headers, and good requests with a few things wrong.

Every strategy also gives what is right, and often, so that the requests get past the first check.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote_plus

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.fuzz.house import House
from tests.fuzz.stranger import http
from tests.fuzz.wire import Answer, Request

Pair = tuple[str, str]
Header = tuple[bytes, bytes]
DATA_PLANE = "mcp/{slug}"
"""What is not in the URLconf is written in the same manner."""
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "PROPFIND", "get", "X" * 30)
FORM = (b"Content-Type", b"application/x-www-form-urlencoded")
JSON = (b"Content-Type", b"application/json")

_ODD = (
    *("", " ", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "\uffff", "\u202eevil", "\u200b", "\r\nX: y", "\t", "\x1b[31m", "\x7f", "\x85"),
    *("x" * 300, "x" * 5_000, "9" * 5_000, "é" * 2_000, "%" * 1_500, "[" * 3_000, "😀" * 500, "ﬀ", "İ", "٣", "ẞ", "\uff21"),
    *("-1", "0", "1", "2", "1e309", "NaN", "9223372036854775808", "-9223372036854775809", "1" + "0" * 400, "0x10", "1_0", "+1", "1.5"),
    *(
        "true",
        "null",
        "None",
        "{}",
        "[]",
        '{"a":',
        "'",
        '"',
        "\\",
        "../..",
        "..%2f",
        "%",
        "%zz",
        "%00",
        "%ff",
        "&",
        "=",
        ";",
        "#",
        "?",
        "*",
    ),
    *("'; DROP TABLE x; --", "<script>alert(1)</script>", "{{ 7 * 7 }}", "${jndi:ldap://x}", "http://[", "https://[::1", "//evil.example"),
    *(
        "http://127.0.0.1:99999/",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://a@b.example/",
        "https://é.example/",
        "https://./",
        ":",
    ),
    *(
        "mcp:tools",
        "mcp:tools offline_access",
        "openid",
        "2026-13-45",
        "2026-01-01",
        "0001-01-01",
        "9999-12-31T23:59:59Z",
        "a.b.c",
        "..",
        ".",
    ),
)

odd_text: SearchStrategy[str] = st.one_of(
    st.sampled_from(_ODD),
    st.text(max_size=30),
    st.text(st.characters(categories=("Cs", "Cc", "Cf", "Co", "Cn", "Zl", "Nd")), max_size=6),
    st.integers(-(2**70), 2**70).map(str),
)
odd_bytes: SearchStrategy[bytes] = st.one_of(
    st.binary(max_size=40),
    odd_text.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from((b"\xff\xfe\x00", b"a" * 70_000, b"\x1f\x8b\x08", '{"a":"é"}'.encode("utf-16"), b"\xef\xbb\xbf{}", b"{" * 20_000)),
)
_leaf: SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), odd_text, st.sampled_from((10**400, 1e308, -0.0, 2**63, -1, 0))
)


def _nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


odd_json: SearchStrategy[Any] = st.one_of(
    _leaf,
    st.recursive(_leaf, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(odd_text, inner, max_size=4), max_leaves=8),
    st.integers(1, 300).map(_nested),
)


def written(value: Any) -> bytes:
    """JSON, lone surrogates and NaN included."""
    return json.dumps(value).encode()


def few(most: int = 3) -> SearchStrategy[int]:
    """How many things are wrong: nothing as often as not, so that what follows is reached too."""
    return st.sampled_from((0, 0, 0, 0, 0, 1, 1, 1, 2, most))


@st.composite
def pairs(draw: st.DrawFn, right: Sequence[Pair]) -> list[Pair]:
    """Parameters with some dropped, doubled, renamed, added or of another value."""
    made = list(right)
    for _ in range(draw(few())):
        wrong = draw(st.sampled_from(("value", "value", "value", "drop", "double", "double oddly", "rename", "add")))
        if wrong == "add" or not made:
            made.append((draw(odd_text), draw(odd_text)))
            continue
        at = draw(st.integers(0, len(made) - 1))
        name, value = made[at]
        if wrong == "drop":
            del made[at]
        elif wrong == "double":
            made.append((name, value))
        elif wrong == "double oddly":
            made.append((name, draw(odd_text)))
        else:
            made[at] = (name, draw(odd_text)) if wrong == "value" else (draw(odd_text), value)
    return made


@st.composite
def members(draw: st.DrawFn, right: Mapping[str, Any], names: Sequence[str]) -> Any:
    """A JSON object with members of other types, or something else altogether."""
    if draw(st.integers(0, 19)) == 0:
        return draw(odd_json)
    made = dict(right)
    for _ in range(draw(few(5))):
        name = draw(st.sampled_from((*right, *names)) | odd_text)
        if draw(st.integers(0, 4)) == 0:
            made.pop(name, None)
        elif isinstance(made.get(name), list) and draw(st.booleans()):
            made[name] = [*made[name], draw(odd_json)]
        else:
            made[name] = draw(odd_json)
    return made


@st.composite
def encoded(draw: st.DrawFn, right: Sequence[Pair]) -> bytes:
    """The same as a query or a form, seldom with damage to the encoding itself."""
    text = b"&".join(quoted(name) + b"=" + quoted(value) for name, value in draw(pairs(right)))
    if draw(st.integers(0, 14)) == 0:
        text += draw(
            st.sampled_from((b"&%zz=1", b"&a=%f", b"&a=%ff%fe", b"&&&=", b"&%00=%00", b"&a", b";a=b", b"&a=%u0041", b"&" + b"a=1&" * 300))
        )
    return text


def quoted(text: str) -> bytes:
    """Percent-encoded, lone surrogates included."""
    return quote_plus(text.encode("utf-8", "surrogatepass")).encode()


_HEADERS: dict[bytes, tuple[bytes, ...]] = {
    b"Accept": (b"*/*", b"application/json", b"text/html", b"q=;;,", b"a/b;q=9" * 200, b"text/event-stream"),
    b"Accept-Language": (b"xx-" * 100, b"*", b"de;q=nan"),
    b"Accept-Encoding": (b"gzip", b"br;q=inf", b"\xff"),
    b"Authorization": (
        *(
            b"Basic",
            b"Basic ",
            b"Basic !!!",
            b"Basic //8=",
            b"Basic Og==",
            b"Basic AA==",
            b"Basic YTpiOmM=",
            b"Bearer",
            b"Bearer ",
            b"Bearer x",
        ),
        *(
            b"Bearer \xff",
            b"Bearer mcpat_" + b"a" * 5_000,
            b"Digest x=y",
            b"bearer a b",
            b"Basic " + b"YTpi" * 2_000,
            b"Negotiate",
            b"\xe9",
        ),
    ),
    b"Content-Type": (
        *(
            b"",
            b"/",
            b"a/b/c",
            b"text/plain",
            b"application/json; charset=rot13",
            b"application/json; charset=utf-16",
            b"multipart/form-data",
        ),
        *(
            b"multipart/form-data; boundary=x",
            b"multipart/form-data; boundary=\xff",
            b"multipart/form-data; boundary=" + b"x" * 300,
            b"\xff\xfe",
        ),
        *(
            b"application/x-www-form-urlencoded; charset=utf-7",
            b"application/x-www-form-urlencoded; charset=\x01",
            b"multipart/mixed; boundary=x",
        ),
        *(
            b"text/plain; charset=utf-8",
            b"text/plain; charset*=utf-8''%00",
            b"application/x-www-form-urlencoded; charset*=utf-8''utf-8",
            b"application/json; charset*=bogus''a",
            b"a/b; x*=idna''%ff%ff",
            b"multipart/form-data; boundary*=utf-8''%00",
        ),
    ),
    b"Content-Encoding": (b"gzip", b"deflate, br"),
    b"Cookie": (
        *(
            b"gateway_session=x",
            b'gateway_session="\\000a"',
            b"gateway_session=\xff",
            b"=;;=,",
            b"gateway_browser=" + b"a" * 43,
            b"a" * 8_000,
        ),
        *(b"gateway_csrf=x", b"gateway_session=" + b"a" * 32, b"messages=x", b"gateway_messages=[[", b"messages=W10:a:b", b"sessionid=x"),
    ),
    b"Forwarded": (b"for=1.2.3.4;host=evil.example", b";;;"),
    b"Host": (
        b"evil.example",
        b"",
        b"localhost:99999",
        b"[::1",
        b"localhost:x",
        b"a" * 300,
        b"LOCALHOST",
        b"localhost.",
        b"\xff",
        b"127.0.0.1",
        b"a b",
    ),
    b"If-Modified-Since": (b"x", b"Thu, 99 Foo 0000 99:99:99 GMT", b"Thu, 01 Jan 1970 00:00:00 GMT"),
    b"If-None-Match": (b'"', b"*", b'W/"x", "y'),
    b"Last-Event-ID": (b"\xff", b"1", b"x" * 3_000),
    b"MCP-Protocol-Version": (b"2026-07-28", b"2025-11-25", b"2025-03-26", b"9999-99-99", b"x", b"", b"\xff", b"2026-07-28,2025-06-18"),
    b"Mcp-Method": (b"tools/call", b"ping", b"\xff", b"=?base64?!!?=", b"=?utf-8?b?/w==?="),
    b"Mcp-Name": (b"echo", b"=?base64?/w==?=", b"=?base64?ZWNobw==?=", b"\xff", b""),
    b"Mcp-Session-Id": (b"x", b"a.b.c", b"\xff", b"", b"v" * 3_000),
    b"Origin": (b"null", b"https://evil.example", b"http://localhost:1", b"http://localhost:99999", b"http://[", b"\xff", b"", b"file://"),
    b"Range": (b"bytes=0-0", b"bytes=5-1", b"bytes=-99999999999999999999", b"x=y"),
    b"Referer": (b"http://[", b"https://evil.example/", b"\xff", b"x" * 3_000),
    b"User-Agent": (b"", b"\xff\x00", b"\x1b[2J", b"x" * 5_000),
    b"WorkOS-Signature": (
        b"",
        b"t=1,v1=a",
        b"t=\xb2,v1=a",
        b"t=1e400, v1=",
        b"t=" + b"9" * 5_000 + b", v1=" + b"0" * 64,
        b"t=1,t=2,v1=\xff",
    ),
    b"X-Forwarded-For": (b"1.2.3.4", b"::1%x", b",,", b"\xff", b"1.2.3.4, " * 500),
    b"X-Forwarded-Host": (b"evil.example",),
    b"X-Forwarded-Proto": (b"https", b"x"),
    b"X-Http-Method-Override": (b"DELETE",),
    b"X-Requested-With": (b"XMLHttpRequest",),
    b"traceparent": (b"x", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-00"),
    b"\xff": (b"x",),
    b"X-Long": (b"x" * 7_000,),
}
_one_header = st.sampled_from(sorted(_HEADERS)).flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from(_HEADERS[name]) | st.binary(max_size=12).map(_without_line_breaks))
)


def _without_line_breaks(value: bytes) -> bytes:
    return value.replace(b"\r", b"").replace(b"\n", b"").strip()


@st.composite
def headers(draw: st.DrawFn, *right: Header) -> tuple[Header, ...]:
    """These headers, seldom without one of them, sometimes with odd ones beside or in place of them."""
    made = list(right)
    for name, value in draw(st.lists(_one_header, max_size=3)) if draw(st.integers(0, 4)) == 0 else ():
        if draw(st.booleans()) or name == b"Host":
            made = [(other, kept) for other, kept in made if other.lower() != name.lower()]
        made.append((name, value))
    if made and draw(st.integers(0, 19)) == 0:
        del made[draw(st.integers(0, len(made) - 1))]
    return tuple(made)


@st.composite
def methods(draw: st.DrawFn, *right: str) -> str:
    """One of these, seldom another."""
    return draw(st.sampled_from(METHODS) if draw(st.integers(0, 14)) == 0 else st.sampled_from(right))


def multipart(fields: Sequence[Pair]) -> tuple[Header, bytes]:
    """A form in the other encoding, with a file in it."""
    parts = [b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (_raw(name), _raw(value)) for name, value in fields]
    file = b'--x\r\nContent-Disposition: form-data; name="f"; filename="\xff/../a"\r\nContent-Type: a/b; charset=rot13\r\n\r\n\x00\xff\r\n'
    return (b"Content-Type", b"multipart/form-data; boundary=x"), b"".join([*parts, file, b"--x--\r\n"])


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def basic(user: str, password: str) -> bytes:
    """The value of an Authorization header."""
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode("utf-8", "surrogatepass"))


def _nothing(house: House, answer: Answer) -> None:
    pass


def _honest(path: bytes) -> bytes:
    return http(b"{}")


@dataclass(frozen=True)
class Asked:
    """One request to one endpoint. `endpoint` is written as in the URLconf, `stranger` is what the hostile server says meanwhile.

    `learn` takes from the answer what later requests need. `failing` are the statuses of a failing upstream or provider,
    where the stranger is asked.
    """

    endpoint: str
    request: Request
    laptop: bool = False
    failing: tuple[int, ...] = ()
    learn: Callable[[House, Answer], None] = _nothing
    stranger: Callable[[bytes], bytes] = _honest

    def on_laptop(self) -> "Asked":
        return replace(self, laptop=True)

    def at(self, target: bytes) -> "Asked":
        return replace(self, request=replace(self.request, target=target))


@st.composite
def sent(
    draw: st.DrawFn,
    endpoint: str,
    paths: Sequence[str],
    verbs: Sequence[str],
    right: Sequence[Header] = (),
    query: Sequence[Pair] = (),
    body: SearchStrategy[bytes] | None = None,
    learn: Callable[[House, Answer], None] = _nothing,
) -> Asked:
    """A request to one of these paths. A body comes with every method that has one in `verbs` or drew one."""
    path = draw(st.sampled_from(paths)).encode()
    asked = draw(encoded(query)) if query or draw(st.integers(0, 9)) == 0 else b""
    verb = draw(methods(*verbs))
    content = draw(body if body is not None and draw(st.integers(0, 14)) else odd_bytes) if verb not in ("GET", "HEAD") else b""
    return Asked(endpoint, Request(verb, path + (b"?" + asked if asked else b""), draw(headers(*right)), content), learn=learn)


@st.composite
def posted(
    draw: st.DrawFn,
    endpoint: str,
    paths: Sequence[str],
    fields: Sequence[Pair],
    right: Sequence[Header] = (),
    learn: Callable[[House, Answer], None] = _nothing,
) -> Asked:
    """A form."""
    if draw(st.integers(0, 14)) == 0:
        kind, content = multipart(draw(pairs(fields)))
        body: SearchStrategy[bytes] = st.just(content)
    else:
        kind, body = FORM, encoded(fields)
    return draw(sent(endpoint, paths, ("POST",), (kind, *right), (), body, learn))
