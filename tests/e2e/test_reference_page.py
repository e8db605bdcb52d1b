"""The API reference at /docs, in a real browser."""

from playwright.sync_api import Browser, expect

from tests.serving import make_app, served


def test_a_request_can_be_tried_out_without_the_internet(browser: Browser, tmp_path) -> None:
    """Swagger UI loads from the service, under a policy that forbids everything else."""
    requested: list[str] = []
    messages: list[str] = []
    with served(make_app(tmp_path)) as url:
        page = browser.new_page()
        page.on("request", lambda request: requested.append(request.url))
        page.on("console", lambda message: messages.append(message.text))
        page.goto(f"{url}/docs")

        operation = page.locator("#operations-series-list_series_v1_series_get")
        operation.locator(".opblock-summary").click()
        operation.get_by_role("button", name="Execute").click()

        expect(operation.locator(".live-responses-table td.response-col_status").last).to_have_text(
            "200"
        )
        expect(page.get_by_text("unknown-series").first).to_be_visible()
        page.close()
    elsewhere = [one for one in requested if not one.startswith((url, "data:"))]
    assert (elsewhere, messages) == ([], [])
