"""Each page a person meets, light and dark, on a phone and a desk: nothing runs out of the screen, and words stand out from their ground.

Contrast is measured on what is painted (WCAG 2.2, 1.4.3); that a page is walked by keyboard is in `test_keyboard`.
"""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.program import Listener, Program, register
from tests.browser.test_policies import PROBLEMS
from tests.browser.watch import Watch
from tests.support.gateway import Gateway

pytestmark = pytest.mark.whichever_database

Asked = Callable[[Program], str]
LONG = "An app with a name that goes on for longer than any line of a telephone " + "W" * 60

PAGES: dict[str, Asked] = {
    "the start": lambda program: f"{program.gateway.url}/",
    "consent": lambda program: program.authorize_url(),
    "consent with a choice": lambda program: program.authorize_url("", resource=""),
    "the account": lambda program: f"{program.gateway.url}/account/",
    "revoking all": lambda program: f"{program.gateway.url}/account/?ask=revoke_all",
    "signing out": lambda program: f"{program.gateway.url}/oauth/logout",
    "a document that is not valid": lambda program: program.authorize_url(client_id="http://app.example.com/client.json"),
    "nothing at an address": lambda program: f"{program.gateway.url}/nothing",
    **{name: asked for name, (_, asked) in PROBLEMS.items()},
}

# The least contrast of any visible text to the nearest painted ground behind it, and whose text that is.
_LEAST_CONTRAST = """
() => {
  const parts = colour => (colour.match(/[\\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => {
    const [R, G, B] = [r, g, b].map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255];
  };
  let least = [21, ''];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    const box = element.getBoundingClientRect();
    if (!own || !box.width || box.bottom < 0 || getComputedStyle(element).visibility === 'hidden') continue;
    const [a, b] = [luminance(parts(getComputedStyle(element).color)), luminance(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < least[0]) least = [ratio, element.textContent.trim().slice(0, 60)];
  }
  return least;
}
"""


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway()


@pytest.fixture
def named(gateway: Gateway, listener: Listener) -> Program:
    return register(gateway, f"{listener.url}/callback", name=LONG)


@pytest.fixture(params=["light", "dark"])
def screen(request: pytest.FixtureRequest, chromium: Browser, watch: Watch) -> Iterator[Page]:
    """A page of a signed-in browser in this scheme."""
    context = chromium.new_context(color_scheme=request.param)
    watch.over(context)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_every_screen_and_can_be_read(screen: Page, named: Program, gateway: Gateway, name: str) -> None:
    screen.goto(f"{gateway.url}/oauth/login?next=/account/")
    screen.goto(PAGES[name](named))
    expect(screen.get_by_role("heading", level=1)).to_have_count(1)
    for width in (320, 390, 1280):
        screen.set_viewport_size({"width": width, "height": 800})
        assert screen.evaluate("document.documentElement.scrollWidth") <= width, f"wider than {width}"
    least, text = screen.evaluate(_LEAST_CONTRAST)
    assert least >= 4.5, f"{text!r} has a contrast of {least:.1f}"


def test_the_measure_of_contrast_sees_what_cannot_be_read(screen: Page, gateway: Gateway) -> None:
    screen.goto(gateway.url)
    screen.evaluate("document.querySelector('h1').style.setProperty('color', getComputedStyle(document.body).backgroundColor)")
    assert screen.evaluate(_LEAST_CONTRAST)[0] < 1.2
