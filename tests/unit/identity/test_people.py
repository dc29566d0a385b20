"""Who may sign in, who is an admin, and the rows that remember them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from oauthgw.identity import people
from oauthgw.identity.provider import Person
from oauthgw.journal.models import Event
from oauthgw.models import Identity

Configure = Callable[..., None]
ALICE = Person(
    subject="user_01ALICE",
    email="Alice@Example.com",
    email_verified=True,
    first_name="Alice",
    last_name="Ng",
    organization_id="org_1",
    role="member",
    roles=frozenset({"member", "auditor"}),
    permissions=("posts:read",),
)


@pytest.mark.parametrize(
    ("entry", "changed"),
    [
        ("*", {}),
        ("*", {"email": "", "email_verified": False, "organization_id": ""}),
        ("org_1", {}),
        ("org_1", {"email_verified": False}),
        ("@example.com", {}),
        ("@EXAMPLE.com", {}),
    ],
)
def test_somebody_named_may_sign_in(configure: Configure, entry: str, changed: dict[str, Any]) -> None:
    configure(sign_in_allow=("org_9", entry))
    assert people.may_sign_in(replace(ALICE, **changed))


@pytest.mark.parametrize(
    ("allow", "changed"),
    [
        pytest.param((), {}, id="nobody is"),
        pytest.param(("org_2",), {}, id="another organisation"),
        pytest.param(("ORG_1",), {}, id="ids are exact"),
        pytest.param(("",), {"organization_id": ""}, id="an empty entry is not an organisation"),
        pytest.param(("@example.com",), {"email_verified": False}, id="not verified"),
        pytest.param(("@example.com",), {"email": "alice@sub.example.com"}, id="a subdomain"),
        pytest.param(("@example.com",), {"email": "alice@notexample.com"}, id="a longer domain"),
        pytest.param(("@example.com",), {"email": "alice@example.com@evil.example"}, id="the last @ counts"),
        pytest.param(("@example.com",), {"email": ""}, id="no e-mail"),
        pytest.param(("@",), {"email": "alice@"}, id="an empty domain"),
        pytest.param(("@kexample.com",), {"email": "alice@\u212aexample.com"}, id="the Kelvin sign is no k"),
        pytest.param(("alice@example.com",), {}, id="an address is not a domain"),
    ],
)
def test_somebody_else_may_not(configure: Configure, allow: tuple[str, ...], changed: dict[str, Any]) -> None:
    configure(sign_in_allow=allow)
    assert not people.may_sign_in(replace(ALICE, **changed))


@pytest.mark.parametrize(
    ("entry", "changed", "admin"),
    [
        pytest.param("alice@example.com", {}, True, id="by e-mail"),
        pytest.param("alice@example.com", {"email_verified": False}, False, id="e-mail not verified"),
        pytest.param("bob@example.com", {}, False, id="another e-mail"),
        pytest.param("kate@example.com", {"email": "\u212aate@example.com"}, False, id="a look-alike e-mail"),
        pytest.param("member", {}, True, id="by role"),
        pytest.param("auditor", {"email_verified": False}, True, id="by one of several roles"),
        pytest.param("owner", {}, False, id="another role"),
        pytest.param("alice@example.com", {"impersonator": "support@example.com"}, False, id="impersonated, by e-mail"),
        pytest.param("member", {"impersonator": "support@example.com"}, False, id="impersonated, by role"),
    ],
)
def test_who_is_an_admin(configure: Configure, entry: str, changed: dict[str, Any], admin: bool) -> None:
    configure(admins=(entry,))
    assert people.is_admin(replace(ALICE, **changed)) is admin


@pytest.mark.django_db
def test_a_first_sign_in_makes_user_identity_and_event() -> None:
    user = people.admit("workos", ALICE, admin=False)
    user.refresh_from_db()
    assert (user.username, user.email, user.first_name, user.last_name) == ("user_01ALICE", "Alice@Example.com", "Alice", "Ng")
    assert not user.has_usable_password()
    assert not user.is_staff
    identity = Identity.objects.get(user=user)
    assert (identity.provider, identity.subject, identity.email_verified) == ("workos", "user_01ALICE", True)
    assert (identity.organization_id, identity.role, identity.permissions) == ("org_1", "member", ["posts:read"])
    assert identity.signed_in_at is not None
    assert [(event.kind, event.user) for event in Event.objects.all()] == [("signed_in", user)]


@pytest.mark.django_db
def test_a_later_sign_in_brings_both_up_to_date() -> None:
    first = people.admit("workos", ALICE, admin=False)
    second = people.admit("workos", replace(ALICE, email="ng@example.com", last_name="Ong", role="", permissions=()), admin=False)
    assert first.pk == second.pk
    assert (User.objects.get().email, User.objects.get().last_name) == ("ng@example.com", "Ong")
    assert (Identity.objects.get().email, Identity.objects.get().role, Identity.objects.get().permissions) == ("ng@example.com", "", [])


@pytest.mark.django_db
def test_being_an_admin_is_given_and_taken_away() -> None:
    user = people.admit("workos", ALICE, admin=True)
    assert user.is_superuser
    assert user.is_staff
    people.admit("workos", ALICE, admin=False)
    assert User.objects.values_list("is_staff", "is_superuser").get() == (False, False)


@pytest.mark.django_db
def test_an_impersonated_sign_in_neither_gives_nor_takes_it() -> None:
    stranger = replace(ALICE, impersonator="support@example.com")
    assert not people.admit("workos", stranger, admin=True).is_staff
    people.admit("workos", ALICE, admin=True)
    people.admit("workos", stranger, admin=False)
    assert User.objects.get().is_superuser


@pytest.mark.django_db
def test_an_impersonated_sign_in_leaves_the_persons_own_organisation_and_role() -> None:
    people.admit("workos", replace(ALICE, organization_id="org_A", role="member"), admin=False)
    stranger = replace(ALICE, organization_id="org_B", role="admin", permissions=("all",), impersonator="support@example.com")
    people.admit("workos", stranger, admin=False)
    assert Identity.objects.values_list("organization_id", "role", "permissions").get() == ("org_A", "member", ["posts:read"])
    people.admit("workos", replace(ALICE, organization_id="org_B", role="admin"), admin=False)
    assert Identity.objects.values_list("organization_id", "role").get() == ("org_B", "admin")


@pytest.mark.django_db
def test_a_user_who_is_switched_off_is_not_admitted_nor_changed() -> None:
    people.admit("workos", ALICE, admin=False)
    User.objects.update(is_active=False)
    with pytest.raises(people.Deactivated):
        people.admit("workos", replace(ALICE, email="new@example.com"), admin=True)
    assert (User.objects.get().email, User.objects.get().is_staff) == ("Alice@Example.com", False)
    User.objects.update(is_active=True)
    assert people.admit("workos", ALICE, admin=False).is_active


@pytest.mark.django_db
def test_a_local_superuser_is_never_taken_over() -> None:
    User.objects.create_superuser("user_01ALICE", "root@example.com", "correct horse battery")
    with pytest.raises(people.NameTaken):
        people.admit("workos", ALICE, admin=False)
    root = User.objects.get()
    assert (root.email, root.is_superuser) == ("root@example.com", True)
    assert not Identity.objects.exists()


@pytest.mark.django_db
def test_the_same_subject_at_another_provider_is_somebody_else() -> None:
    people.admit("workos", ALICE, admin=True)
    with pytest.raises(people.NameTaken):
        people.admit("dev", ALICE, admin=True)


@pytest.mark.django_db(transaction=True)
def test_first_sign_ins_at_the_same_moment_make_one_user() -> None:
    def admit(_: int) -> int:
        try:
            return int(people.admit("workos", ALICE, admin=False).pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(admit, range(8)))
    assert found == {User.objects.get().pk}
    assert Identity.objects.count() == 1
    assert Event.objects.count() == 8
