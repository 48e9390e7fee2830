"""The GraphQL playground of a server in development. Contract: spec/graphql.md 1."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.site_data import Site


def test_a_query_typed_is_answered(open_page: OpenPage, site: Site) -> None:
    asked: list[str] = []
    page = open_page("root", "/login")
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site.url}/playground")
    page.locator(".graphiql-query-editor .CodeMirror").click()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.insert_text("{ mine: clusters { name } }")
    page.locator(".graphiql-execute-button").click()
    expect(page.locator(".graphiql-response")).to_contain_text('"mine"')
    page.get_by_label("Show Documentation Explorer").first.click()
    expect(page.locator(".graphiql-doc-explorer")).to_contain_text("query: Query")
    assert all(url.startswith((site.url, "data:")) for url in asked), asked


def test_the_page_needs_no_login_but_the_query_does(open_page: OpenPage, site: Site) -> None:
    page = open_page("", "/playground")
    page.locator(".graphiql-execute-button").click()
    expect(page.locator(".graphiql-response")).to_contain_text("log in at /login")
