"""What WorkOS says when it is asked, with the API key: about a person, their membership, and the events since a moment.

Knows WorkOS's API and its answers; knows no row of ours and no rule. https://workos.com/docs/reference
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from oauthgw.guard.conf import WorkOS
from oauthgw.identity import wire
from oauthgw.identity.provider import Kind, ProviderError
from oauthgw.identity.workos import WorkOSProvider
from oauthgw.identity.workos_refusals import error_code, refusal

SECONDS = 5.0  # for an answer: somebody's refresh may wait for it
PAGE = 50  # events; a hundred with everything that directories add to a user could be longer than we read
_NOT_FOUND = frozenset({"entity_not_found", "not_found"})


class CursorLost(Exception):
    """WorkOS does not know the event to go on after: it is older than what it keeps."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, the oldest first; each as WorkOS writes it. `more` says whether there are newer ones behind them."""

    events: list[dict[str, Any]]
    more: bool


class WorkOSApi:
    """Asks WorkOS. Every method blocks on the network and raises ProviderError where there is no answer to rely on."""

    def __init__(self, settings: WorkOS) -> None:
        self._settings = settings

    def user(self, subject: str) -> dict[str, Any] | None:
        """The user object; None when WorkOS says that there is no such user in this environment.

        Not every 404 says so: that of a proxy, or of another server at WORKOS_API_BASE_URL, speaks of no user. Nor does that of another
        environment, whose API key was put in by mistake: its word would end everybody's connections.
        """
        answer = self._get(f"/user_management/users/{quote(subject, safe='')}")
        if answer.status == 404 and error_code(answer.body) in _NOT_FOUND:
            WorkOSProvider(self._settings).confirm_credentials()
            return None
        user = self._object(answer)
        if user.get("id") != subject:
            raise ProviderError(Kind.FAILING, "WorkOS spoke of another user than it was asked about.", detail="another user")
        return user

    def check_key(self) -> None:
        """Returns when the API key is a valid one, of whichever environment. Raises ProviderError."""
        self._object(self._get("/user_management/users?limit=1"))

    def membership(self, subject: str, organization_id: str) -> dict[str, Any] | None:
        """The user's active membership of the organisation, with its role; None when there is none."""
        query = urlencode({"user_id": subject, "organization_id": organization_id, "statuses[]": "active", "limit": 10})
        for membership in self._list(self._get(f"/user_management/organization_memberships?{query}")):
            about = membership.get("user_id"), membership.get("organization_id"), membership.get("status")
            if about == (subject, organization_id, "active"):
                return membership
        return None

    def events(self, names: frozenset[str], *, after: str, since: datetime) -> EventPage:
        """The events with these names after the one with this id; without an id, since a moment. Raises CursorLost for an unknown id."""
        query = [("events[]", name) for name in sorted(names)]
        query += [("after", after)] if after else [("range_start", since.strftime("%Y-%m-%dT%H:%M:%SZ"))]
        answer = self._get(f"/events?{urlencode([*query, ('order', 'asc'), ('limit', str(PAGE))])}")
        if after and answer.status in (400, 404, 422):
            raise CursorLost(after)
        events = self._list(answer)
        return EventPage(events, more=len(events) == PAGE)

    def _get(self, path: str) -> wire.Answer:
        return wire.ask("GET", self._settings.api_base_url + path, bearer=self._settings.client_secret, read_seconds=SECONDS)

    def _list(self, answer: wire.Answer) -> list[dict[str, Any]]:
        found = self._object(answer).get("data")
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise ProviderError(Kind.FAILING, "WorkOS gave an answer that could not be read.", detail="no list")
        return found

    def _object(self, answer: wire.Answer) -> dict[str, Any]:
        if answer.status in (400, 404, 422):
            detail = f"status {answer.status}, {error_code(answer.body) or 'no code'}"
            raise ProviderError(Kind.FAILING, "WorkOS does not answer this question.", detail=detail)
        if answer.status != 200:
            raise refusal(answer)
        if answer.body is None:
            raise ProviderError(Kind.FAILING, "WorkOS gave an answer that could not be read.", detail="no JSON object")
        return answer.body
