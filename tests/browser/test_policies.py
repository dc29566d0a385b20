"""What the pages' own policies stop, and that they stop nothing a person needs: every page of every test here is watched."""

import html
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.program import Listener, Program, listening, register
from tests.browser.watch import Watch
from tests.support.gateway import Gateway

Asked = Callable[[Program], str]

PROBLEMS: dict[str, tuple[int, Asked]] = {
    "an unknown client": (400, lambda program: program.authorize_url(client_id="nobody")),
    "another redirect URI": (400, lambda program: program.authorize_url(redirect_uri="https://elsewhere.example/callback")),
    "no PKCE": (400, lambda program: program.authorize_url(code_challenge="")),
    "another resource": (400, lambda program: program.authorize_url(resource=program.gateway.route_url("demo-admin"))),
    "an unknown route": (404, lambda program: program.authorize_url("nothing")),
    "a callback out of nowhere": (400, lambda program: f"{program.gateway.url}/oauth/callback?state=s&code=c"),
}


@pytest.mark.parametrize("kind", PROBLEMS)
def test_a_problem_is_a_page_with_a_request_id(page: Page, program: Program, kind: str) -> None:
    status, asked = PROBLEMS[kind]
    answered = page.goto(asked(program))
    assert answered is not None and answered.status == status
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text("request id")).to_contain_text(re.compile(r"[0-9a-f]{16}"))


def test_the_link_of_a_refused_request_tells_the_program(page: Page, program: Program, listener: Listener) -> None:
    page.goto(program.authorize_url(code_challenge=""))
    page.get_by_role("link", name="Return to the app").click()
    page.wait_for_url(f"{program.redirect_uri}?**")
    answer = listener.answer()
    assert (answer["error"], answer["state"]) == ("invalid_request", program.state)


def test_a_consent_form_without_its_cookie_is_refused_on_a_page(page: Page, program: Program) -> None:
    page.goto(program.authorize_url())
    page.context.clear_cookies()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("main")).to_contain_text("Nothing was changed.")


def test_the_landing_page_lists_routes_and_copies_a_snippet(page: Page, gateway: Gateway) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(gateway.url)
    expect(page.get_by_text("Demo tools")).to_have_count(0)
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("button", name="Copy: Address of Demo tools").click()
    expect(page.get_by_text("Copied").first).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == gateway.route_url("demo")
    for summary in page.locator("summary").all():
        summary.click()
    expect(page.locator("details[open]")).to_have_count(page.locator("details").count())


def test_people_are_picked_from_a_list_on_a_laptop(page: Page, laptop: Gateway, listener: Listener) -> None:
    program = register(laptop, f"{listener.url}/callback")
    page.goto(program.authorize_url())
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in as a demo user")
    page.get_by_role("button", name="Demo User").click()
    expect(page.get_by_role("main")).to_contain_text("user@example.com")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{program.redirect_uri}?**")
    assert program.tools(program.redeem(listener.answer()))


def framed(page: Page, listener: Listener, address: str) -> str:
    """What a page of another origin shows in a frame: where the frame ended."""
    listener.page = f'<!doctype html><title>Elsewhere</title><iframe src="{html.escape(address)}"></iframe>'
    page.goto(listener.url.replace("127.0.0.1", "localhost"))  # the same site, so that the frame gets its cookies
    (frame,) = page.main_frame.child_frames
    frame.wait_for_load_state()
    return frame.url


def test_no_page_shows_the_consent_page_in_a_frame(page: Page, program: Program, listener: Listener, watch: Watch) -> None:
    page.goto(program.authorize_url())
    assert framed(page, listener, program.authorize_url()) == "chrome-error://chromewebdata/"
    assert watch.take("frame-ancestors")


def test_a_page_without_such_a_policy_is_shown_in_a_frame(page: Page, listener: Listener) -> None:
    with listening() as other:
        assert framed(page, listener, f"{other.url}/") == f"{other.url}/"


def test_a_script_that_somebody_put_into_a_page_does_not_run(page: Page, program: Program, watch: Watch) -> None:
    """Also shows that the watch sees: otherwise no test here could fail for a policy."""
    page.goto(program.authorize_url())
    page.evaluate("document.head.append(Object.assign(document.createElement('script'), {textContent: 'document.title = 1'}))")
    assert page.title().startswith("Allow this app")
    assert any("breach of script-src" in complaint for complaint in watch.take("script-src"))


def test_the_form_can_only_be_sent_here(page: Page, program: Program, listener: Listener, watch: Watch) -> None:
    page.goto(program.authorize_url())
    with page.expect_console_message(lambda message: "breach of form-action" in message.text):
        page.evaluate(
            """address => {
            const form = document.querySelector('form');
            form.action = address;
            form.requestSubmit(form.querySelector('[value=approve]'));
        }""",
            program.redirect_uri,
        )
    assert watch.take("form-action")
    assert listener.visits.empty()
