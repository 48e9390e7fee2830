"""Pictures of every view for docs/ui: `python -m tests.browser.pictures <address> <folder> [cluster [views]]`

The address is that of a running demo (login demo, password demo). Each view is taken at 1440 and 390 pixels,
in light and dark, as `<view>-<width>-<theme>.png`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HEIGHT = {1440: 900, 390: 844}
PATIENCE = 15_000  # ms


def views(cluster: str, job: str, node: str, user: str) -> dict[str, str]:
    return {
        "home": "/",
        "jobs": "/monitoring/jobs/",
        "jobs-plots": "/monitoring/jobs/?density=plots",
        "job": f"/monitoring/job/{job}",
        "compare": f"/monitoring/compare?cluster={cluster}&state=running",
        "users": "/monitoring/users/",
        "projects": "/monitoring/projects/",
        "user": f"/monitoring/user/{user}",
        "tags": "/monitoring/tags/",
        "analysis": f"/monitoring/analysis/{cluster}",
        "systems": f"/monitoring/systems/{cluster}",
        "nodelist": f"/monitoring/systems/list/{cluster}",
        "node": f"/monitoring/node/{cluster}/{node}",
        "status-now": f"/monitoring/status/{cluster}",
        "status-details": f"/monitoring/status/detail/{cluster}",
        "dashboard": f"/monitoring/dashboard/{cluster}",
        "settings": "/config",
        "admin": "/config?tab=admin",
        "logs": "/monitoring/logs",
    }


def some_job(page: Page, cluster: str) -> tuple[str, str, str]:
    """A running job of several nodes: its number, a node and its user."""
    answer = page.request.post(
        "/query",
        data={
            "query": """query($cluster: String!) { jobs(
                filter: [{cluster: {eq: $cluster}}, {state: [running]}, {numNodes: {from: 2, to: 64}}],
                order: {field: "duration", type: "col", order: DESC}, page: {page: 1, itemsPerPage: 1})
                { items { id user resources { hostname } } } }""",
            "variables": {"cluster": cluster},
        },
    ).json()
    (job,) = answer["data"]["jobs"]["items"]
    return str(job["id"]), job["resources"][0]["hostname"], job["user"]


def settled(page: Page) -> None:
    """No panel waits for data, or at least not for ever."""
    try:
        page.wait_for_load_state("networkidle", timeout=PATIENCE)
    except Exception:  # live views never rest
        page.wait_for_timeout(2000)
    page.wait_for_timeout(1500)


def main() -> None:
    address, folder, *more = sys.argv[1:]
    cluster = more[0] if more else "noether"
    wanted = more[1].split(",") if len(more) > 1 else None
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for width, height in HEIGHT.items():
            for theme in ("light", "dark"):
                context = browser.new_context(
                    base_url=address,
                    viewport={"width": width, "height": height},
                    color_scheme=theme,
                    locale="en-GB",
                )
                page = context.new_page()
                page.goto("/login")
                if not wanted or "login" in wanted:
                    page.screenshot(path=target / f"login-{width}-{theme}.png")
                page.fill("input[name=username]", "demo")
                page.fill("input[name=password]", "demo")
                page.click("button[type=submit]")
                job, node, user = some_job(page, cluster)
                for name, path in views(cluster, job, node, user).items():
                    if wanted and name not in wanted:
                        continue
                    page.goto(path)
                    settled(page)
                    page.screenshot(path=target / f"{name}-{width}-{theme}.png")
                context.close()
        browser.close()


if __name__ == "__main__":
    main()
