"""A grant's life in any order: issue, use, refresh, repeat, replay, lose an answer, revoke, withdraw, switch off and on, wait, clean up.

The token endpoint is asked as clients ask it; what it must answer says the rulebook. Held after every step: never two heads in a family,
never a token on another route, never a sign-out where the rules forgive, always one where they do not.
"""

from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from mcp_routes.models import McpRoute
from oauthgw import cleanup, consent, principals, resources
from oauthgw.authorization import AuthorizationRequest
from oauthgw.journal.models import Event
from oauthgw.models import Client, Consent, Grant, RefreshToken
from tests.unit.conftest import CHALLENGE, LOOPBACK, ORIGIN, Clock, Party, Person
from tests.unit.tokens.rulebook import DAY, DEFAULT_LIFETIME, HOUR, MINUTE, REPLAY, Code, Family, Verdict, World

ROUTES = ("demo", "demo-admin")
WHILES = (1.0, 59.0, MINUTE, REPLAY, REPLAY + 1, 15 * MINUTE, 8 * HOUR, 2 * DAY, 29 * DAY, 30 * DAY, 61 * DAY, 91 * DAY)
ABSENCES = (0.0, REPLAY, REPLAY + 1, 2 * DAY, 29 * DAY, 30 * DAY)
any_one = st.integers(min_value=0, max_value=30)
newest = st.integers(min_value=0, max_value=1)


class LifeOfAGrant(RuleBasedStateMachine):
    """One user and one client with as many grants as come; a stranger, who may do nothing."""

    user: ClassVar[User]
    editor: ClassVar[Party]
    stranger: ClassVar[Party]
    clock: ClassVar[Clock]

    @initialize()
    def begin(self) -> None:
        self.example = transaction.atomic()
        self.example.__enter__()
        self.began = timezone.now()
        self.world = World(routes_on=dict.fromkeys(ROUTES, True), lifetimes=dict.fromkeys(ROUTES, DEFAULT_LIFETIME))
        self.codes: list[Code] = []
        self.families: list[Family] = []
        self.grants: list[int] = []
        self.reused = 0
        self.rested = 0.0
        self.consent(ROUTES[0])
        self.redeem(0)

    def teardown(self) -> None:
        if not hasattr(self, "example"):
            return
        try:
            for family in self.families:
                for access in family.access:
                    assert self.served(access.value, family.route) is family.serves(access)
        finally:
            transaction.set_rollback(True)
            self.example.__exit__(None, None, None)
            type(self).clock.now = self.began

    # Codes

    @precondition(lambda self: sum(family.ended_at is None for family in self.families) < 2)
    @rule(
        route=st.sampled_from(ROUTES), meanwhile=st.sampled_from(["nothing", "nothing", "consent", "route", "client", "user", 59.0, 60.0])
    )
    def connect(self, route: str, meanwhile: str | float) -> None:
        """The user says yes, something happens or not, and the client redeems the code."""
        self.consent(route)
        if meanwhile == "consent":
            self.withdraw(route)
        elif isinstance(meanwhile, float):
            self.wait(meanwhile)
        elif meanwhile != "nothing":
            self.switch(route if meanwhile == "route" else meanwhile, False)
        if self.waiting():
            self.redeem(0)

    def consent(self, route: str) -> None:
        resource = resources.backend().find(f"/mcp/{route}")
        if resource is None or not self.world.client_on:
            return
        issuer = f"{ORIGIN}/mcp/{route}"
        asked = AuthorizationRequest(self.editor.client.client_id, LOOPBACK, "", "mcp:tools", CHALLENGE, ORIGIN, issuer, resource.path)
        url = consent.approve(consent.ask(asked), self.editor.client, self.user, resource, impersonated=False)
        self.codes.append(Code(url.partition("code=")[2].partition("&")[0], route, self.world.now))

    @precondition(lambda self: self.waiting())
    @rule(number=newest)
    def redeem(self, number: int) -> None:
        """A code in the right hands, for the first time or after it was refused."""
        waiting = self.waiting()
        code = waiting[-1 - number % len(waiting)]
        verdict = code.judge(self.world)
        answer = self.editor.redeem(code.value)
        if verdict is not Verdict.GIVEN:
            self.refused(answer)
            return
        code.family = Family(self.world, code.route, self.world.now)
        self.families.append(code.family)
        self.take(answer, code.family, verdict, -1)
        self.grants.append(Grant.objects.latest("pk").pk)

    @rule(number=any_one, wrong=st.sampled_from(["verifier", "client", "resource", "redirect"]))
    def redeem_wrongly(self, number: int, wrong: str) -> None:
        """A code in the wrong hands: nothing happens, whether it was used or not."""
        code = self.codes[number % len(self.codes)]
        party = self.stranger if wrong == "client" else self.editor
        changed = {
            "verifier": {"code_verifier": "w" * 43},
            "client": {},
            "resource": {"resource": f"{ORIGIN}/mcp/{self.other(code.route)}"},
            "redirect": {"redirect_uri": "http://127.0.0.1:1/other"},
        }[wrong]
        self.refused(party.redeem(code.value, **changed))

    # Tokens

    @rule(number=newest)
    def refresh(self, number: int) -> None:
        """The head, as a client does that lost nothing."""
        self.present(number, 0)

    @rule(number=newest)
    def refresh_again(self, number: int) -> None:
        """The token before: an answer was lost, or two processes share a file."""
        self.present(number, 1)

    @rule(
        number=newest,
        before=st.sampled_from((0.0, 0.0, 29 * DAY)),
        arrives=st.booleans(),
        absence=st.sampled_from(ABSENCES),
        cleaned=st.booleans(),
    )
    def refresh_and_come_back(self, number: int, before: float, arrives: bool, absence: float, cleaned: bool) -> None:
        """A refresh whose answer arrives and is used, or does not; and after a while the same refresh token once more."""
        self.wait(before)
        self.present(number, 0)
        if arrives:
            self.use(number, 0)
        self.wait(absence)
        if cleaned:
            self.clean_up()
        self.present(number, 1)

    @rule(number=newest, back=st.integers(min_value=2, max_value=5))
    def replay(self, number: int, back: int) -> None:
        """An older one: nobody who is in order holds it."""
        self.present(number, back)

    def present(self, number: int, back: int) -> None:
        family = self.pick(number)
        index = max(0, len(family.links) - 1 - back)
        verdict = family.judge(index)
        answer = self.editor.refresh(family.links[index].value)
        if verdict in (Verdict.GIVEN, Verdict.REPEATED):
            self.take(answer, family, verdict, index)
            return
        self.refused(answer)
        if verdict is Verdict.SIGNED_OUT:
            self.reused += 1
            family.end()

    @rule(number=newest, back=newest, wrong=st.sampled_from(["client", "resource", "secret", "stranger revokes"]))
    def refresh_wrongly(self, number: int, back: int, wrong: str) -> None:
        """Rule 4: nothing is consumed, and nothing ends."""
        family = self.pick(number)
        value = family.links[-1 - back % len(family.links)].value
        if wrong == "stranger revokes":
            assert self.stranger.revoke(value).status_code == 200
        elif wrong == "client":
            self.refused(self.stranger.refresh(value))
        elif wrong == "resource":
            self.refused(self.editor.refresh(value, resource=f"{ORIGIN}/mcp/{self.other(family.route)}"))
        else:
            self.refused(self.editor.refresh(value, client_secret="wrong"))

    @rule(number=newest, which=newest)
    def use(self, number: int, which: int) -> None:
        """An access token at /mcp: on its own route as the model says, on the other never."""
        family = self.pick(number)
        access = family.access[-1 - which % len(family.access)]
        assert not self.served(access.value, self.other(family.route))
        expected = family.serves(access)
        assert self.served(access.value, family.route) is expected
        access.accepted = access.accepted or expected

    # What ends it, and what stops it for a while

    @rule(number=newest, how=st.sampled_from(["replayed code", "access token", "refresh token", "consent"]))
    def end(self, number: int, how: str) -> None:
        """A code replayed in the right hands, a token revoked by its client (RFC 7009), or the consent withdrawn."""
        family = self.pick(number)
        if how == "replayed code":
            code = next(code for code in self.codes if code.family is family)
            verdict = code.judge(self.world)
            self.refused(self.editor.redeem(code.value))
            if verdict is Verdict.SIGNED_OUT:
                family.end()
        elif how == "consent":
            self.withdraw(family.route)
        else:
            access = family.access[-1]
            value = access.value if how == "access token" and self.world.now < access.ends else family.head.value
            assert self.editor.revoke(value).status_code == (200 if self.world.client_on else 401)
            if self.world.client_on:
                family.end()

    def withdraw(self, route: str) -> None:
        for given in Consent.objects.filter(user=self.user, resource=f"{ORIGIN}/mcp/{route}"):
            consent.withdraw(given, "The user withdrew it.")
            for family in self.families:
                if family.route == route:
                    family.end()
            for code in self.waiting():
                code.void = code.void or code.route == route

    @precondition(lambda self: self.world.all_on)
    @rule(what=st.sampled_from(["client", "user", *ROUTES]))
    def switch_off(self, what: str) -> None:
        self.switch(what, False)

    @precondition(lambda self: not self.world.all_on)
    @rule()
    def switch_on(self) -> None:
        for what in ("client", "user", *ROUTES):
            self.switch(what, True)

    def switch(self, what: str, on: bool) -> None:
        if what == "client":
            self.world.client_on = on
            Client.objects.filter(pk=self.editor.client.pk).update(disabled_at=None if on else timezone.now())
        elif what == "user":
            self.world.user_on = on
            User.objects.filter(pk=self.user.pk).update(is_active=on)
        else:
            self.world.routes_on[what] = on
            McpRoute.objects.filter(slug=what).update(enabled=on)

    @rule(route=st.sampled_from(ROUTES), seconds=st.sampled_from([None, 60, 8 * 3600]))
    def change_lifetime(self, route: str, seconds: int | None) -> None:
        McpRoute.objects.filter(slug=route).update(access_token_ttl=seconds)
        self.world.lifetimes[route] = seconds or DEFAULT_LIFETIME

    @rule(seconds=st.sampled_from(WHILES))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds
        type(self).clock.now = self.began + timedelta(seconds=self.world.now)

    @rule()
    def clean_up(self) -> None:
        """It may forget what no rule asks for any more, and never what one does."""
        if self.world.now - self.rested < DAY:
            return
        self.rested = self.world.now
        for chore in cleanup.chores():
            chore.run()
        for family in self.families:
            family.clean()
        for code in self.codes:
            code.clean(self.world)

    # What always holds

    @invariant()
    def every_family_has_one_head_and_is_over_only_where_the_rules_say_so(self) -> None:
        if not getattr(self, "families", None):
            return
        rows = {grant.pk: grant for grant in Grant.objects.filter(pk__in=self.grants)}
        heads = list(RefreshToken.objects.filter(spent_at=None, grant_id__in=self.grants).values_list("grant_id", "token_checksum"))
        assert sorted(key for key, _ in heads) == sorted(rows)
        for family, key in zip(self.families, self.grants, strict=True):
            assert (key in rows) is not family.gone
            if key in rows:
                assert (rows[key].revoked_at is not None) is (family.ended_at is not None)

    @invariant()
    def theft_is_told_exactly_where_it_was(self) -> None:
        assert Event.objects.filter(kind=Event.Kind.REFRESH_REUSED).count() == getattr(self, "reused", 0)

    # Words

    def pick(self, number: int) -> Family:
        """A family that lives, if one does; then the others."""
        ordered = sorted(self.families, key=lambda family: (family.ended_at is None, family.born))
        return ordered[-1 - number % len(ordered)]

    def waiting(self) -> list[Code]:
        return [code for code in self.codes if code.family is None]

    def take(self, answer: Any, family: Family, verdict: Verdict, index: int) -> None:
        assert answer.status_code == 200, answer.content
        body = answer.json()
        if verdict is Verdict.REPEATED:
            assert body["refresh_token"] == family.head.value
        else:
            assert body["refresh_token"] not in {link.value for link in family.links}
        family.accept(body["refresh_token"], body["access_token"], verdict, index)
        assert body["expires_in"] == int(family.access[-1].ends - self.world.now)

    def refused(self, answer: Any) -> None:
        assert answer.status_code in (400, 401), answer.content
        assert answer.json()["error"] in {"invalid_grant", "invalid_client", "invalid_target"}

    def served(self, token: str, route: str) -> bool:
        return principals.resolve_now(token, McpRoute.objects.get(slug=route).pk) is not None

    def other(self, route: str) -> str:
        return next(slug for slug in ROUTES if slug != route)


def test_the_rules_hold_in_any_order(
    demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party, register: Any, clock: Clock
) -> None:
    Client.objects.update(approved_at=timezone.now())  # whether an unused client may go is another question
    stranger = Party(editor.http, Client.objects.get(client_id=register(redirect_uris=[LOOPBACK])["client_id"]))
    Client.objects.update(approved_at=timezone.now())
    LifeOfAGrant.user, LifeOfAGrant.editor, LifeOfAGrant.stranger, LifeOfAGrant.clock = alice.user, editor, stranger, clock
    profile = settings(
        max_examples=120,
        stateful_step_count=20,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(LifeOfAGrant, settings=profile)
