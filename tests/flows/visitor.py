"""A person with a browser, for flows whose subject is not the browser: follows redirects, keeps cookies, presses buttons.

The pages themselves are driven in Chromium by tests/browser.
"""

import html
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urljoin, urlsplit

import requests

SIGNED = re.compile(r'name="consent" value="([^"]+)"')
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
FORWARD = re.compile(r'http-equiv="refresh" content="0; ?url=([^"]+)"')


@dataclass
class Visitor:
    """`user` is the key of a demo user, for a gateway without a provider; with one, `sign_in` says who it is."""

    user: str = "user"
    session: requests.Session = field(default_factory=requests.Session)

    def sign_in(self, origin: str, email: str) -> None:
        """Signs in at the provider, whose emulator takes whom `login_hint` names."""
        page = self.session.get(f"{origin}/oauth/login", params={"login_hint": email, "next": "/"}, timeout=30)
        assert (page.status_code, page.url) == (200, f"{origin}/"), (page.url, page.text)

    def authorize(self, url: str, decision: str = "approve", route: str = "") -> str:
        """Opens an authorization URL, signs in where asked, decides; returns the address that the client would be called at."""
        page = self.open(url)
        if SIGNED.search(page.text):
            page = self.press(page, decision, route)
        found = FORWARD.search(page.text)
        assert found, (page.status_code, page.url, page.text)
        return html.unescape(found[1])

    def open(self, url: str) -> requests.Response:
        """The page behind an address, after signing in where that is asked."""
        page = self.session.get(url, timeout=30)
        if urlsplit(page.url).path == "/oauth/dev-login":
            form = {"user": self.user, "next": parse_qs(urlsplit(page.url).query)["next"][0], "csrfmiddlewaretoken": self._csrf(page)}
            page = self.session.post(page.url, data=form, headers={"Referer": page.url}, timeout=30)
        return page

    def press(self, page: requests.Response, decision: str, route: str = "") -> requests.Response:
        """Presses a button of a consent page."""
        signed = SIGNED.search(page.text)
        assert signed, page.text
        form = {"consent": html.unescape(signed[1]), "decision": decision, "csrfmiddlewaretoken": self._csrf(page)}
        if route:
            form["route"] = route
        return self.session.post(urljoin(page.url, "/oauth/authorize"), data=form, headers={"Referer": page.url}, timeout=30)

    @staticmethod
    def _csrf(page: requests.Response) -> str:
        found = CSRF.search(page.text)
        assert found, page.text
        return found[1]
