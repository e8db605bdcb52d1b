"""What a planner does on the page, in a real browser, over a real service."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import axe_core_python
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from salescast.data import store, versions
from salescast.ledger.ledger import Ledger
from salescast.settings import Settings
from tests.builders import make_items, make_sales, make_tables
from tests.integration.test_api import make_workspace, serve
from tests.releases import ORIGIN, release
from tests.serving import ORDER

AXE = Path(axe_core_python.__file__).with_name("axe.min.js")
VIOLATIONS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .map((one) => [one.id, one.nodes.map((node) => node.html)])"""
KEYS = [("s1", "u1"), ("s1", "u2"), ("s2", "u1"), ("s2", "u2")]
NOT_READY = {"type": "/docs#store-unavailable", "title": "Not ready", "status": 503, "detail": "x"}
NO_KEY = {"type": "about:blank", "title": "Unauthorized", "status": 401, "detail": "x"}


def scores(wape: float) -> dict[str, object]:
    """Return the scores of one model as a scorecard has them, by store."""
    return {"by_store": {"s1": {"wape": wape}, "s2": {"wape": wape}}}


CARD = {
    "origins": ["2023-06-05", "2023-06-12"],
    "models": {"challenger": scores(0.4), "weekday_mean": scores(0.6)},
    "inventory": {
        "challenger": {"cost_per_year": 2e6, "fill_rate": 0.7, "of_planner_ratio": 0.5},
        "planner": {"cost_per_year": 4e6, "fill_rate": 0.9, "of_planner_ratio": 1.0},
    },
}
LIVE = {"overall": {"coverage_80": 0.87, "bias": 0.04, "rows": 1872}}


def make_tables_sold_out() -> dict[str, pd.DataFrame]:
    """Return small tables where something sold out two days before the origin."""
    sales = make_sales()
    sales["sold_out"] = sales["sold_out"].mask(sales["date"] == ORIGIN - pd.Timedelta(days=2), True)
    items = make_items(name=["Classic stick", "Folding mini"])
    return make_tables() | {"sales": sales, "items": items}


def record_orders(settings: Settings) -> None:
    """Write the orders of all series, as the stage `order` does."""
    rows = pd.DataFrame([{**ORDER, "store_id": s, "item_id": i} for s, i in KEYS])
    ids = {"model_version": "1", "data_version": versions.data_version(settings.data)}
    moments = {"origin": ORIGIN, "counted": ORIGIN, "made_at": ORIGIN}
    receipts = [f"{n:020x}" for n in range(len(KEYS))]
    with Ledger(settings.ledger_url) as ledger:
        ledger.record_orders(rows.assign(receipt_id=receipts, **ids, **moments))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a champion with orders and a scorecard, as a process of its own."""
    settings = make_workspace(tmp_path_factory.mktemp("planner") / "workspace")
    store.append(settings.data, make_tables_sold_out())
    release(settings, "boosting", scorecard=json.dumps(CARD).encode())
    (settings.build / "monitoring.json").write_text(json.dumps({"live": LIVE}), "utf-8")
    record_orders(settings)
    with serve(settings) as address:
        yield address


@dataclass
class Desk:
    """A page that is open, and what it did meanwhile."""

    page: Page
    asked: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)


@pytest.fixture
def desk(browser: Browser) -> Iterator[Desk]:
    """Open a wide page that remembers requests and what the console says."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    desk = Desk(context.new_page())
    desk.page.on("request", lambda request: desk.asked.append(request.url))
    desk.page.on("console", lambda message: desk.messages.append(message.text))
    desk.page.on("pageerror", lambda error: desk.messages.append(str(error)))
    yield desk
    context.close()


def open_page(page: Page, address: str) -> None:
    """Go there and wait until the numbers are shown."""
    page.goto(address)
    expect(page.locator("#content")).to_be_visible()
    expect(page.locator("#main")).to_have_attribute("aria-busy", "false")


def cells(page: Page, table: str, row: int) -> list[str]:
    """Return what stands in a row of a table."""
    return page.locator(f"#{table} tr").nth(row).locator("th, td").all_inner_texts()


def test_a_planner_chooses_a_series_and_reads_its_order(desk: Desk, url: str) -> None:
    """The order in units and money stands beside the old rule's, and what each may cost."""
    open_page(desk.page, f"{url}/#/s1/u1")

    desk.page.get_by_label("Store", exact=True).select_option("s2")
    desk.page.get_by_label("Item", exact=True).select_option(label="Folding mini")

    expect(desk.page.get_by_role("heading", level=1)).to_have_text("Folding mini in s2")
    expect(desk.page.locator("#order-say")).to_have_text(
        "Orders are due today. Order 48 units for $240."
    )
    tiles = desk.page.locator("#order .tile").all_inner_texts()
    assert "60 units" in tiles[1]
    assert "$12.75 less than the old rule’s $44.25" in tiles[2]


def test_the_page_loads_nothing_from_elsewhere_and_the_console_is_silent(
    desk: Desk, url: str
) -> None:
    """Without the internet it is whole: each request goes to the service."""
    open_page(desk.page, f"{url}/#/s1/u1")
    desk.page.locator("#after").click()
    expect(desk.page.locator("#title")).to_have_text("Folding mini in s1")

    assert [address for address in desk.asked if not address.startswith(url)] == []
    assert desk.messages == []


def test_a_deep_link_opens_its_series_and_back_returns(desk: Desk, url: str) -> None:
    """What is chosen stands in the address."""
    open_page(desk.page, f"{url}/#/s2/u1")
    expect(desk.page.locator("#title")).to_have_text("Classic stick in s2")

    desk.page.locator("#orders").get_by_role("link", name="Folding mini").click()
    expect(desk.page).to_have_url(f"{url}/#/s2/u2")
    expect(desk.page.locator("#main")).to_be_focused()
    desk.page.go_back()

    expect(desk.page.locator("#title")).to_have_text("Classic stick in s2")
    expect(desk.page.locator("#item")).to_have_value("u1")


def test_the_days_ahead_stand_in_a_table_with_weather_and_reasons(desk: Desk, url: str) -> None:
    """The drawing has an alternative with the same numbers."""
    open_page(desk.page, f"{url}/#/s1/u1")
    desk.page.get_by_text("The same numbers as a table").click()

    asked = desk.page.evaluate("fetch('v1/forecasts/s1/u1').then((answer) => answer.json())")
    first = asked["forecasts"][0]["days"][0]
    found = cells(desk.page, "ahead", 1)
    assert (found[0], found[2]) == ("Fri 21 Jul", f"{first['quantiles']['p50']:.0f}")
    assert found[-2].endswith("%")
    assert cells(desk.page, "past", 3)[:3] == ["Tue 18 Jul", found_units(desk.page), "yes"]


def found_units(page: Page) -> str:
    """Return what was sold on the day that sold out, as the service says."""
    asked = page.evaluate("fetch('v1/history/s1/u1?days=3').then((answer) => answer.json())")
    return str(asked["days"][0]["units"])


def test_a_day_that_sold_out_is_marked_in_the_drawing(desk: Desk, url: str) -> None:
    """By its shape, not by its colour alone."""
    open_page(desk.page, f"{url}/#/s1/u1")

    assert desk.page.locator("#chart .out").count() == 1
    assert desk.page.locator("#chart .mark").count() == 1


def test_moving_the_rain_forecasts_anew_and_says_that_it_is_imagined(desk: Desk, url: str) -> None:
    """The drawing, the words and the table follow; putting it back takes it all away."""
    open_page(desk.page, f"{url}/#/s1/u1")

    desk.page.get_by_label("rains more or less").fill("0")

    message = desk.page.locator("#whatif-say")
    expect(message).to_contain_text("units instead of")
    expect(message.locator(".tag")).to_have_text("What if")
    expect(desk.page.locator("#rain-say")).to_have_text("No rain at all")
    assert desk.page.locator("#chart .imagined").count() == 1
    desk.page.get_by_role("button", name="Back to the forecast").click()
    expect(desk.page.locator("#chart .imagined")).to_have_count(0)
    expect(message).to_contain_text("Move a slider")


def test_another_price_is_asked_for_every_day(desk: Desk, url: str) -> None:
    """Ten per cent less than planned, on all fourteen days."""
    open_page(desk.page, f"{url}/#/s1/u1")

    with desk.page.expect_request("**/v1/forecasts") as asked:
        desk.page.get_by_label("the price changes").fill("-10")

    price = asked.value.post_data_json["what_if"]["price"]
    assert (len(price), set(price.values())) == (14, {9.0})


def test_the_orders_of_a_store_come_as_csv(desk: Desk, url: str) -> None:
    """The file is named after store and day and holds what the table shows."""
    open_page(desk.page, f"{url}/#/s2/u1")

    with desk.page.expect_download() as found:
        desk.page.get_by_role("button", name="Download CSV").click()

    text = Path(found.value.path()).read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert found.value.suggested_filename == "orders-s2-2023-07-20.csv"
    assert [(row["store_id"], row["order"]) for row in rows] == [("s2", "48"), ("s2", "48")]
    assert cells(desk.page, "orders", 3)[:3] == ["Total", "96", "$480"]


def test_everything_can_be_done_with_the_keyboard(desk: Desk, url: str) -> None:
    """From the skip link over the choice and the days to the slider, in this order."""
    page = desk.page
    open_page(page, f"{url}/#/s1/u1")
    stops = []
    for _ in range(9):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.id || document.activeElement.className"))

    names = ["skip", "to-overview", "store", "item", "before", "after", "weeks", "day", "rain"]
    assert stops == names
    page.locator("#day").focus()
    page.keyboard.press("ArrowRight")
    read = page.locator("#day").get_attribute("aria-valuetext") or ""
    assert read.startswith("Sat 22 Jul 2023: ")
    page.locator("#rain").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#rain-say")).to_have_text("75% of the rain forecast")
    page.locator("#item").focus()
    page.keyboard.type("Fold")
    expect(page.locator("#title")).to_have_text("Folding mini in s1")


def test_how_good_the_forecasts_were_is_said_in_words(desk: Desk, url: str) -> None:
    """Of life, of the store in the backtest, and in money, with the demand not met."""
    open_page(desk.page, f"{url}/#/s1/u1")

    lately, before, worth = desk.page.locator("#trust li").all_inner_texts()
    assert "held 87" in lately
    assert "4% too high" in lately
    assert "40%" in before
    assert "60%" in before
    assert "50% less than the old rule" in worth
    assert "70% of demand was met, with the old rule 90%" in worth


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_nothing_on_the_page_keeps_anybody_out(
    desk: Desk, url: str, scheme: str, width: int
) -> None:
    """axe-core finds no serious violation, and a telephone never scrolls sideways."""
    desk.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    desk.page.set_viewport_size({"width": width, "height": 780})
    open_page(desk.page, f"{url}/#/s1/u1")
    desk.page.locator("#numbers summary").click()
    desk.page.locator("#rain").fill("2")
    expect(desk.page.locator("#chart .imagined")).to_have_count(1)

    desk.page.evaluate(AXE.read_text("utf-8"))
    assert desk.page.evaluate(VIOLATIONS) == []
    assert desk.page.evaluate("document.documentElement.scrollWidth") == width


def answering(status: int, body: dict[str, object], headers: dict[str, str] | None = None):
    """Return a route that answers with a problem once, and then lets the service answer."""
    times = iter([status])

    def handle(route: Route) -> None:
        if next(times, None):
            route.fulfill(status=status, json=body, headers=headers or {})
        else:
            route.continue_()

    return handle


def test_a_service_that_is_not_ready_is_waited_for(desk: Desk, url: str) -> None:
    """It says so in plain words, and the numbers come without anybody touching it."""
    desk.page.route("**/v1/series*", answering(503, NOT_READY, {"Retry-After": "1"}))

    desk.page.goto(f"{url}/#/s1/u1")

    expect(desk.page.get_by_role("alert")).to_contain_text("The forecasts are not ready yet")
    expect(desk.page.locator("#content")).to_be_visible()
    expect(desk.page.get_by_role("alert")).to_be_hidden()


def test_a_key_is_asked_for_where_one_is_needed(desk: Desk, url: str) -> None:
    """And shown to the service from then on."""
    desk.page.route("**/v1/series*", answering(401, NO_KEY))
    desk.page.goto(f"{url}/#/s1/u1")

    desk.page.get_by_label("Access key").fill("sc_1_secret")
    with desk.page.expect_request("**/v1/series*") as asked:
        desk.page.get_by_role("button", name="Open").click()

    assert asked.value.headers["authorization"] == "Bearer sc_1_secret"
    expect(desk.page.locator("#content")).to_be_visible()


def test_a_link_to_a_series_nobody_knows_says_so(desk: Desk, url: str) -> None:
    """In plain words, and another one can be chosen."""
    desk.page.goto(f"{url}/#/s9/<b>u1")
    expect(desk.page.get_by_role("alert")).to_contain_text("There is no forecast for <b>u1 in s9")

    desk.page.get_by_label("Store", exact=True).select_option("s1")

    expect(desk.page.locator("#title")).to_have_text("Classic stick in s1")
    expect(desk.page.get_by_role("alert")).to_be_hidden()


def test_no_series_at_all_is_an_answer_too(desk: Desk, url: str) -> None:
    """A service without forecasts shows no empty drawing."""
    desk.page.route("**/v1/series*", lambda route: route.fulfill(json={"total": 0, "series": []}))

    desk.page.goto(f"{url}/#/s1/u1")

    expect(desk.page.get_by_role("alert")).to_contain_text("There are no forecasts yet")
    expect(desk.page.locator("#content")).to_be_hidden()


def test_what_the_numbers_had_to_do_without_is_said_in_plain_words(desk: Desk, url: str) -> None:
    """Flags become sentences; one that is not known yet is still shown."""
    flags = ["weather_issue_old", "moon_in_the_way"]
    desk.page.route(
        "**/v1/forecasts/**",
        lambda route: route.fulfill(json=route.fetch().json() | {"degraded": flags}),
    )

    open_page(desk.page, f"{url}/#/s1/u1")

    warned = desk.page.locator("#badges .warn").all_inner_texts()
    assert warned == ["Weather forecast is not today’s", "Limited: moon in the way"]


def test_numbers_follow_the_readers_notation(browser: Browser, url: str) -> None:
    """A German reads 12,75 and 1.872, in money as elsewhere; the words stay English."""
    page = browser.new_page(locale="de-DE")
    open_page(page, f"{url}/#/s1/u1")

    assert "$12,75 less" in page.locator("#order").inner_text()
    assert "1.872 days" in page.locator("#trust").inner_text()
    page.close()


def test_a_page_left_open_follows_a_new_model(desk: Desk, url: str) -> None:
    """Whoever comes back to it sees the numbers of now."""
    open_page(desk.page, f"{url}/#/s1/u1")
    model = desk.page.evaluate("fetch('v1/model').then((answer) => answer.json())")
    newer = model | {"model_version": "2", "trained_until": "2023-07-19"}
    desk.page.route("**/v1/model", lambda route: route.fulfill(json=newer))

    with desk.page.expect_request("**/v1/series*"):
        desk.page.evaluate("dispatchEvent(new Event('visibilitychange'))")

    expect(desk.page.locator("#main")).to_have_attribute("aria-busy", "false")
    expect(desk.page.locator("#problem")).to_be_hidden()


def test_without_a_connection_the_numbers_stay(desk: Desk, url: str) -> None:
    """The page says that they are those read last, until the connection is back."""
    open_page(desk.page, f"{url}/#/s1/u1")

    desk.page.context.set_offline(True)
    expect(desk.page.locator("#offline")).to_contain_text("You are offline")
    expect(desk.page.locator("#content")).to_be_visible()
    desk.page.context.set_offline(False)

    expect(desk.page.locator("#offline")).to_be_hidden()
