"""Monday morning: a planner decides about every order, in a real browser over a real service."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import axe_core_python
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.serving import NOW, ORDER, ORIGIN, Always, make_app, served, small_snapshot

AXE = Path(axe_core_python.__file__).with_name("axe.min.js")
VIOLATIONS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .map((one) => [one.id, one.nodes.map((node) => node.html)])"""
ITEMS = ("Folding mini", "Classic stick", "Golf", "Storm", "Parasol", "Bubble")
CITIES = ("london", "leeds", "glasgow", "cardiff")
MAX_STEPS = 25  # clicks or keys


def make_chain(root: Path, stores: int = 24):
    """Return the application and its ledger with 6 orders in each store; six orders need a look."""
    app = make_app(root, orders=False)
    snapshot = small_snapshot()
    forecast = next(iter(snapshot.forecasts.values()))
    series = [
        {
            "store_id": f"{CITIES[store % 4]}-{store // 4 + 1}",
            "item_id": f"u{item + 1}",
            "store_name": f"{CITIES[store % 4].title()} {store // 4 + 1}",
            "item_name": name,
            "location_id": CITIES[store % 4],
            "pack_size": 6,
            "forecast_per_day": 4.0,
            "sold_per_day": 4.0,
        }
        for store in range(stores)
        for item, name in enumerate(ITEMS)
    ]
    keys = [(one["store_id"], one["item_id"]) for one in series]
    snapshot = replace(snapshot, series=series, forecasts=dict.fromkeys(keys, forecast))
    app.state.serving.current = Always(snapshot).current
    app.state.ledger.record_orders(orders_of(series))
    return app


def orders_of(series) -> pd.DataFrame:
    """Return an order of 48 units for each series; every 24th will lose sales."""
    number = np.arange(len(series))
    moments = dict.fromkeys(("origin", "counted"), pd.Timestamp(ORIGIN).as_unit("us"))
    urgent = number % 24 == 7
    columns = ORDER | moments
    columns |= {"planner_order": 48, "model_version": "3", "data_version": "a.dir"}
    columns |= {
        "receipt_id": [f"{n:020x}" for n in number],
        "made_at": pd.Timestamp(NOW),
        "fill_rate": np.where(urgent, 0.5, 0.97),
        "expected_lost": np.where(urgent, 20.0, 0.5),
        "expected_cost": np.where(urgent, 100.0 + number, 10.0),
    }
    return pd.DataFrame(series)[["store_id", "item_id"]].assign(**columns)


@pytest.fixture
def app(tmp_path: Path):
    """Return the application with 144 proposed orders."""
    return make_chain(tmp_path)


@pytest.fixture
def url(app) -> Iterator[str]:
    """Serve it."""
    with served(app) as address:
        yield address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a page; its console has to stay silent."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    messages: list[str] = []
    page.on("pageerror", lambda error: messages.append(str(error)))
    yield page
    context.close()
    assert messages == []


def open_orders(page: Page, url: str) -> None:
    """Go to the overview and wait for its rows."""
    page.goto(f"{url}/")
    expect(page.locator("#rows tr[data-receipt]").first).to_be_visible(timeout=30_000)


def names(page: Page) -> list[str]:
    """Return items and stores of the first rows."""
    cells = page.locator("#rows tr[data-receipt] th").all_inner_texts()
    return [" ".join(cell.split()) for cell in cells]


def test_orders_to_look_at_come_first_the_most_expensive_on_top(page: Page, url: str) -> None:
    """By name, never by id; one request has them all."""
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    open_orders(page, url)

    looks = page.locator("#rows .look").all_inner_texts()
    assert names(page)[0].startswith("Classic stick")
    assert [bool(text.strip()) for text in looks[:7]] == [True] * 6 + [False]
    assert "6 to look at" in page.locator("#totals").inner_text()
    assert sum("/v1/orders" in one for one in requested) == 1
    assert not any("/v1/series" in one for one in requested)


def test_mondays_work_takes_no_more_than_25_clicks_or_keys(page: Page, app, url: str) -> None:
    """Find the worst, edit two, approve all, release: the file has what was decided."""
    open_orders(page, url)
    steps = 0

    def press(*keys: str) -> None:
        nonlocal steps
        for key in keys:
            page.keyboard.press(key)
            steps += 1

    def click(selector: str) -> None:
        nonlocal steps
        page.locator(selector).first.click()
        steps += 1

    click("#planner")
    press("A", "n", "n")
    for number in (0, 1):
        page.locator("#rows [data-kind=edit]").nth(number).click()
        steps += 1
        press("6", "0", "Tab", "P", "Tab", "Enter")
        expect(page.locator("#status")).to_have_text("1 order decided.")
        page.evaluate("document.getElementById('status').textContent = ''")
    click("#approve-all")
    expect(page.locator("#status")).to_have_text("142 orders decided.")
    with page.expect_download() as download:
        click("#release")
        click("#confirm .primary")

    text = Path(download.value.path()).read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert steps <= MAX_STEPS
    assert len(rows) == 144
    assert sorted(row["quantity"] for row in rows).count("60") == 2
    decisions = app.state.ledger.order_decisions()
    assert set(decisions["planner"]) == {"Ann"}
    assert (decisions["action"] == "release").sum() == 144


def test_filters_narrow_what_is_shown_and_what_is_approved(page: Page, app, url: str) -> None:
    """By city, text and status."""
    open_orders(page, url)
    page.locator("#city").select_option("leeds")
    page.locator("#search").fill("golf")
    expect(page.locator("#approve-all")).to_have_text("Approve 6 orders")
    assert {name.split(" ")[0] for name in names(page)} == {"Golf"}

    page.locator("#planner").fill("Ann")
    page.locator("#approve-all").click()

    expect(page.locator("#status")).to_have_text("6 orders decided.")
    assert len(app.state.ledger.order_decisions()) == 6


def test_of_two_planners_the_later_one_learns_it_and_overwrites_nothing(
    page: Page, app, url: str
) -> None:
    """With the name of the other; then the page shows the new state."""
    open_orders(page, url)
    receipt = page.locator("#rows tr[data-receipt]").first.get_attribute("data-receipt")
    about = {"receipt_id": receipt, "revision": 1, "origin": ORIGIN, "planner": "Bob"}
    app.state.ledger.record_order_decisions([about | {"action": "edit", "quantity": 12}])

    page.locator("#planner").fill("Ann")
    page.locator("#approve-all").click()

    expect(page.get_by_role("alert")).to_contain_text("The order has changed")
    expect(page.get_by_role("alert")).to_contain_text("Bob")
    expect(page.locator("#totals")).to_contain_text("143 not decided · 1 approved")
    assert len(app.state.ledger.order_decisions()) == 1


def test_without_a_name_nothing_is_decided(page: Page, app, url: str) -> None:
    """The ledger keeps who decided."""
    open_orders(page, url)

    page.locator("#approve-all").click()

    expect(page.get_by_role("alert")).to_contain_text("Your name is missing")
    expect(page.locator("#planner")).to_be_focused()
    assert app.state.ledger.order_decisions().empty


def test_a_broken_pack_is_refused_with_the_fix(page: Page, app, url: str) -> None:
    """The browser's own check or the service's: nothing is written."""
    open_orders(page, url)
    page.locator("#planner").fill("Ann")
    page.locator("#rows [data-kind=edit]").first.click()
    page.locator("#edit-form").evaluate("form => { form.noValidate = true; }")
    page.locator("#quantity").fill("50")
    page.locator("#reason").select_option("event")
    page.locator("#edit-save").click()

    expect(page.get_by_role("alert")).to_contain_text("packs of 6: order 48 or 54")
    assert app.state.ledger.order_decisions().empty


def test_numbers_that_cannot_be_read_again_are_greyed_and_dated(page: Page, url: str) -> None:
    """And are not taken for new ones."""
    open_orders(page, url)
    page.route("**/v1/**", lambda route: route.abort())

    page.locator("#planner").fill("Ann")
    page.locator("#approve-all").click()

    expect(page.get_by_role("alert")).to_contain_text("The service does not answer")
    expect(page.locator("#overview")).to_have_class("old")
    expect(page.locator("#dated")).to_contain_text("These numbers are from")


def test_ten_thousand_orders_are_there_at_once_and_only_some_are_drawn(
    page: Page, tmp_path: Path
) -> None:
    """Rows are drawn where they are seen; scrolling to the end shows the last one."""
    with served(make_chain(tmp_path / "large", stores=1680)) as url:
        open_orders(page, url)
        assert "10,080 orders" in page.locator("#totals").inner_text()
        assert page.locator("#rows tr").count() < 60

        page.locator("#book-frame").evaluate("frame => frame.scrollTo(0, frame.scrollHeight)")

        expect(page.locator("#rows tr[aria-rowindex='10081']")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_nothing_on_the_overview_keeps_anybody_out(
    page: Page, url: str, scheme: str, width: int
) -> None:
    """axe-core finds no serious violation, and a telephone never scrolls sideways."""
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 780})
    open_orders(page, url)

    page.evaluate(AXE.read_text("utf-8"))
    assert page.evaluate(VIOLATIONS) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.locator("#rows [data-kind=edit]").first.click()
    assert page.evaluate(VIOLATIONS) == []
