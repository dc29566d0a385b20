"""Whatever a browser complains of while a person does something: scripts, policies, files that are missing.

Knows browser contexts; knows nothing of what a page is for.
"""

from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Request, Response, WebError

from tests.support.processes import PATIENCE

# Chromium tells the console of some breaches only; the event tells of all, with the directive.
_REPORT_BREACHES = """
addEventListener("securitypolicyviolation", breach => console.error(`breach of ${breach.effectiveDirective}: ${breach.blockedURI}`));
"""
_NO_PROGRAM_FOR_SCHEME = "does not have a registered handler"  # this machine has no Cursor: what a browser without the app says
_TOLD_BY_RESPONSES = "Failed to load resource"  # also said of a page whose status is 400 on purpose
_ABORTED = "net::ERR_ABORTED"  # the page was left before the file had come


@dataclass
class Watch:
    """The complaints of one browser, which a test ends without, unless it takes them."""

    complaints: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        """Begins to watch every page of this browser."""
        context.set_default_timeout(PATIENCE * 1000)
        context.add_init_script(_REPORT_BREACHES)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("response", self._response)
        context.on("requestfailed", self._failure)

    def take(self, part: str) -> list[str]:
        """The complaints with this in their text, which from then on do not count."""
        taken = [complaint for complaint in self.complaints if part in complaint]
        self.complaints = [complaint for complaint in self.complaints if part not in complaint]
        return taken

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(
            known in message.text for known in (_NO_PROGRAM_FOR_SCHEME, _TOLD_BY_RESPONSES)
        ):
            self.complaints.append(f"{_address(message)}: {message.text}")

    def _error(self, error: WebError) -> None:
        self.complaints.append(f"uncaught: {error.error}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and not response.request.is_navigation_request():
            self.complaints.append(f"{response.url}: {response.status}")

    def _failure(self, request: Request) -> None:
        if not request.is_navigation_request() and request.failure != _ABORTED:
            self.complaints.append(f"{request.url}: {request.failure}")


def _address(message: ConsoleMessage) -> str:
    try:
        return message.page.url if message.page else "no page"
    except Error:
        return "a page that is gone"
