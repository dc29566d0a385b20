"""A route's own rules: its slug and the slugs it had, its headers, and what it leaves behind."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from mcp_routes import removal, upstream
from mcp_routes.models import FormerSlug, McpRoute
from mcp_routes.resources import RouteResources
from oauthgw.models import Client, Consent, Grant

URL = "https://upstream.example.com/mcp"


def make(slug: str, **fields: Any) -> McpRoute:
    """Checked and saved, as the form and the command do it."""
    route = McpRoute(slug=slug, name=slug, upstream_url=URL, **fields)
    route.full_clean()
    route.save()
    return route


def rename(route: McpRoute, slug: str) -> None:
    route.slug = slug
    route.full_clean()
    route.save()


def former() -> dict[str, int | None]:
    return dict(FormerSlug.objects.values_list("slug", "route_id"))


@pytest.fixture
def a_grant(new_person: Callable[[str], Any]) -> Callable[[McpRoute], Grant]:
    people = iter(("alice", "bob", "carol"))

    def give(route: McpRoute) -> Grant:
        client = Client.objects.create(
            client_id=f"client-{route.pk}", client_type="public", authorization_grant_type="authorization-code", client_secret=""
        )
        user = new_person(next(people)).user
        uri = f"https://mcp.example.com{route.path}"
        return Grant.objects.create(user=user, client=client, resource_id=route.pk, resource=uri, scope="mcp:tools")

    return give


@pytest.mark.django_db
class TestFormerSlugs:
    def test_a_renamed_route_keeps_its_former_slug_and_is_found_by_it(self) -> None:
        route = make("demo")
        rename(route, "tools")
        assert former() == {"demo": route.pk}
        found = RouteResources().find("/mcp/demo")
        assert found is not None
        assert (found.id, found.path) == (route.pk, "/mcp/demo")

    def test_a_route_saved_without_a_new_slug_has_no_former_one(self) -> None:
        route = make("demo")
        route.name = "Other"
        route.save()
        route.save(update_fields=["name"])
        assert former() == {}

    def test_it_may_have_its_own_former_slug_back(self) -> None:
        route = make("demo")
        rename(route, "tools")
        rename(route, "demo")
        assert former() == {"tools": route.pk}

    def test_a_rename_that_fails_leaves_no_former_slug(self) -> None:
        route, _ = make("demo"), make("other")
        route.slug = "other"
        with pytest.raises(IntegrityError), transaction.atomic():
            route.save()
        assert former() == {}

    def test_another_route_cannot_be_made_with_it(self) -> None:
        rename(make("demo"), "tools")
        with pytest.raises(ValidationError, match="belonged to another route"):
            make("demo")
        with pytest.raises(IntegrityError), transaction.atomic():
            McpRoute.objects.create(slug="demo", name="unchecked", upstream_url=URL)
        assert list(McpRoute.objects.values_list("slug", flat=True)) == ["tools"]

    def test_another_route_cannot_be_renamed_to_it(self) -> None:
        rename(make("demo"), "tools")
        other = make("other")
        with pytest.raises(ValidationError, match="belonged to another route"):
            rename(other, "demo")
        with pytest.raises(IntegrityError), transaction.atomic():
            other.save()
        rename(other, "demo2")  # a slug nobody had

    def test_a_former_slug_is_unique_in_the_database(self) -> None:
        route = make("demo")
        rename(route, "tools")
        with pytest.raises(IntegrityError), transaction.atomic():
            FormerSlug.objects.create(slug="demo", route=None)


@pytest.mark.django_db
class TestRemoval:
    def test_a_removed_route_leaves_all_its_slugs_reserved(self) -> None:
        route = make("demo")
        rename(route, "tools")
        removal.remove(route)
        assert former() == {"demo": None, "tools": None}

    @pytest.mark.parametrize("slug", ["demo", "tools"])
    def test_nobody_can_take_a_removed_routes_slug(self, slug: str) -> None:
        route = make("demo")
        rename(route, "tools")
        route.delete()
        with pytest.raises(ValidationError, match="belonged to another route"):
            make(slug)
        with pytest.raises(IntegrityError), transaction.atomic():
            McpRoute.objects.create(slug=slug, name="unchecked", upstream_url=URL)
        make(slug + "2")

    def test_deleting_in_bulk_reserves_each_slug(self) -> None:
        make("demo")
        make("other")
        McpRoute.objects.all().delete()
        assert former() == {"demo": None, "other": None}

    def test_its_connections_end_and_those_of_others_stay(self, a_grant: Callable[[McpRoute], Grant]) -> None:
        demo, other = make("demo"), make("demo-admin")
        ending, staying = a_grant(demo), a_grant(other)
        assert removal.remove(demo) == 1
        ending.refresh_from_db()
        staying.refresh_from_db()
        assert ending.revoked_reason == "The route was removed."
        assert staying.is_live

    def test_consents_to_it_are_withdrawn_and_those_to_others_stand(self, a_grant: Callable[[McpRoute], Grant]) -> None:
        routes = make("demo"), make("other")
        for grant in map(a_grant, routes):
            Consent.objects.create(
                user=grant.user, client=grant.client, resource_id=grant.resource_id, resource=grant.resource, given_at=grant.issued_at
            )
        routes[0].delete()
        assert [consent.resource_id for consent in Consent.objects.filter(withdrawn_at=None)] == [routes[1].pk]

    def test_they_end_in_a_bulk_deletion_too(self, a_grant: Callable[[McpRoute], Grant]) -> None:
        grants = [a_grant(make("demo")), a_grant(make("other"))]
        McpRoute.objects.all().delete()
        for grant in grants:
            grant.refresh_from_db()
            assert not grant.is_live

    def test_a_deletion_that_is_rolled_back_changes_nothing(self, a_grant: Callable[[McpRoute], Grant]) -> None:
        route = make("demo")
        grant = a_grant(route)
        with transaction.atomic():
            removal.remove(McpRoute.objects.get(pk=route.pk))
            transaction.set_rollback(True)
        grant.refresh_from_db()
        assert (former(), grant.is_live, McpRoute.objects.count()) == ({}, True, 1)


@pytest.mark.django_db
class TestHeaders:
    def test_they_are_stored_sealed_and_opened_again(self) -> None:
        route = McpRoute(slug="demo", name="Demo", upstream_url=URL, auth_mode="headers")
        route.set_headers({"X-Api-Key": "canary-value"})
        route.full_clean()
        route.save()
        with connection.cursor() as cursor:
            cursor.execute("SELECT sealed_headers FROM mcp_routes_mcproute")
            assert "canary" not in cursor.fetchone()[0]
        stored = McpRoute.objects.get().headers()
        assert {name: value.reveal() for name, value in stored.items()} == {"X-Api-Key": "canary-value"}
        assert "canary" not in repr(stored)

    def test_fixed_headers_need_at_least_one(self) -> None:
        with pytest.raises(ValidationError, match="none is given"):
            make("demo", auth_mode="headers")
        with pytest.raises(IntegrityError), transaction.atomic():
            McpRoute.objects.create(slug="demo", name="unchecked", upstream_url=URL, auth_mode="headers")

    def test_a_route_that_adds_nothing_stores_none(self) -> None:
        route = McpRoute(slug="demo", name="Demo", upstream_url=URL)
        route.set_headers({"X-Api-Key": "v"})
        with pytest.raises(ValidationError, match="would not be sent"):
            route.full_clean()
        with pytest.raises(IntegrityError), transaction.atomic():
            route.save()
        route.set_headers({})
        route.full_clean()
        route.save()


@pytest.mark.parametrize(
    ("lines", "headers"),
    [
        (["X-Api-Key: v"], {"X-Api-Key": "v"}),
        (["  Authorization:Bearer a:b  ", "", "X-Team: one two"], {"Authorization": "Bearer a:b", "X-Team": "one two"}),
        ([], {}),
    ],
)
def test_headers_are_read_as_people_write_them(lines: list[str], headers: dict[str, str]) -> None:
    assert upstream.parse_headers(lines) == headers


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["canary"], "Line 1 is not a header"),
        (["X-A: 1", "can ary: v"], "Line 2 is not a header"),
        (["X-A: 1", "x-a: canary"], "x-a is given twice"),
        (["X-A:"], "X-A must be one line"),
        (["X-A: canary\x7f"], "X-A must be one line"),
        (["X-A: canarÿ"], "X-A must be one line"),
        (["Host: canary"], "Host is set by the gateway"),
        (["Mcp-Session-Id: canary"], "Mcp-Session-Id is set by the gateway"),
        (["Content-Length: 1"], "Content-Length is set by the gateway"),
    ],
)
def test_a_bad_header_is_refused_by_name_and_never_by_value(lines: list[str], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as refused:
        upstream.parse_headers(lines)
    assert "canar" not in str(refused.value)
