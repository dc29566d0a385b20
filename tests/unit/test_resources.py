"""Resource indicators: one spelling, whole paths, exactly one."""

import pytest

from mcp_routes.models import FormerSlug, McpRoute
from oauthgw import resources
from tests.unit.conftest import ORIGIN


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("https://Gateway.Example/mcp/demo", "https://gateway.example/mcp/demo"),
        ("HTTPS://gateway.example:443/mcp/demo/", "https://gateway.example/mcp/demo"),
        ("http://gateway.example:80", "http://gateway.example"),
        ("https://gateway.example:8443/", "https://gateway.example:8443"),
        ("http://[::1]:9000/mcp/demo", "http://[::1]:9000/mcp/demo"),
        ("https://gateway.example/mcp/Demo", "https://gateway.example/mcp/Demo"),
    ],
)
def test_a_resource_has_one_spelling(given: str, canonical: str) -> None:
    assert resources.canonical_resource(given) == canonical


@pytest.mark.parametrize(
    "given",
    [
        "",
        "demo",
        "/mcp/demo",
        "ftp://gateway.example/mcp/demo",
        "https://gateway.example/mcp/demo#x",
        "https://gateway.example/mcp/demo#",
        "https://gateway.example/mcp/demo?x",
        "https://user@gateway.example/mcp/demo",
        "https://gateway.example:99999/",
        "https://gateway.example/\u00e4",
        "https://gateway.example/a b",
        "https://[::1/mcp",
        "https://gateway.example/" + "a" * 2000,
    ],
)
def test_anything_else_is_an_invalid_target(given: str) -> None:
    with pytest.raises(resources.InvalidTarget):
        resources.canonical_resource(given)


def test_the_same_resource_twice_in_two_spellings_is_once(demo: McpRoute) -> None:
    found = resources.named([f"{ORIGIN}/mcp/demo", "http://LOCALHOST:9000/mcp/demo/"], ORIGIN)
    assert found is not None and found.id == demo.pk


def test_two_resources_are_refused(demo: McpRoute, demo_admin: McpRoute) -> None:
    with pytest.raises(resources.InvalidTarget, match="exactly one"):
        resources.named([f"{ORIGIN}/mcp/demo", f"{ORIGIN}/mcp/demo-admin"], ORIGIN)


@pytest.mark.parametrize("given", [[], [""], [ORIGIN], [f"{ORIGIN}/"]])
def test_no_resource_and_the_bare_origin_are_absent(demo: McpRoute, given: list[str]) -> None:
    assert resources.named(given, ORIGIN) is None


@pytest.mark.parametrize("given", ["https://evil.example/mcp/demo", f"{ORIGIN}/mcp/nope", f"{ORIGIN}/mcp/demo/deeper", f"{ORIGIN}/mcp"])
def test_what_is_not_here_is_an_invalid_target(demo: McpRoute, given: str) -> None:
    with pytest.raises(resources.InvalidTarget):
        resources.named([given], ORIGIN)


def test_a_disabled_route_is_no_resource(demo: McpRoute) -> None:
    assert resources.backend().find("/mcp/demo") is not None
    McpRoute.objects.update(enabled=False)
    assert resources.backend().find("/mcp/demo") is None


def test_a_former_path_leads_to_the_same_id_and_keeps_its_own_spelling(demo: McpRoute) -> None:
    FormerSlug.objects.create(slug="old-demo", route=demo)
    found = resources.backend().find("/mcp/old-demo")
    assert found is not None and (found.id, found.path) == (demo.pk, "/mcp/old-demo")


def test_the_librarys_audience_check_compares_whole_resources_and_refuses_none() -> None:
    audience = f"{ORIGIN}/mcp/demo"
    assert resources.same_resource_only(audience, [audience])
    assert not resources.same_resource_only(f"{audience}/below", [audience])
    assert not resources.same_resource_only(f"{ORIGIN}/mcp/demo-admin", [audience])
    assert not resources.same_resource_only(audience, [])
