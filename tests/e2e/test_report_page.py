"""The pages in a real browser, light and dark, wide and narrow."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from salescast.reports import write_monitoring, write_scorecard
from tests.unit.reports.test_reports import make_alarm, make_card, make_scored, make_summary

INK = "getComputedStyle(document.querySelector('figure svg text')).fill"
GROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture
def pages(tmp_path: Path) -> list[Path]:
    """Write both pages."""
    live = make_scored(("live",))
    summary = make_summary(live, open_alarms=[make_alarm()])
    return [
        write_scorecard(make_card(), tmp_path / "scorecard.html", "USD"),
        write_monitoring(summary, live, tmp_path / "report.html"),
    ]


def _open(browser: Browser, path: Path, scheme: str, width: int) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(path.as_uri())
    return page


def _brightness(colour: str) -> float:
    """Return 0 (black) … 1 (white) of `rgb(r, g, b)`."""
    red, green, blue = map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_drawings_are_readable_on_their_ground(
    browser: Browser, pages: list[Path], scheme: str
) -> None:
    """Words inside a drawing are dark on light and light on dark, and a picture comes out."""
    for path in pages:
        page = _open(browser, path, scheme, 1200)
        ink, ground = (_brightness(page.evaluate(script)) for script in (INK, GROUND))
        assert ink - ground > 0.6 if scheme == "dark" else ground - ink > 0.6
        picture = page.screenshot(path=path.with_suffix(f".{scheme}.png"), full_page=True)
        assert len(picture) > 20_000  # an empty page has a tenth of it
        page.close()


def test_a_page_fits_a_telephone(browser: Browser, pages: list[Path]) -> None:
    """Wide tables scroll inside their frame; the page itself never moves sideways."""
    for path in pages:
        page = _open(browser, path, "light", 390)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.close()


def test_a_page_asks_the_network_for_nothing(browser: Browser, pages: list[Path]) -> None:
    """The only request is the file itself, and the console stays silent."""
    for path in pages:
        asked: list[str] = []
        messages: list[str] = []
        page = browser.new_page()
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("console", lambda message, messages=messages: messages.append(message.text))
        page.goto(path.as_uri())
        assert (asked, messages) == ([path.as_uri()], [])
        page.close()
