"""What axe-core finds on a page: barriers for people who do not see, hear or point as others do."""

from pathlib import Path

from playwright.async_api import Page

from infra.web import build

FOLDER = Path(__file__).parent / "accessibility"
FILES = {"axe-core/axe.min.js": "axe.min.js"}
# Rules of WCAG 2.2 AA, and what axe knows as good practice.
RUN = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`)"""


async def barriers(page: Page) -> list[str]:
    """Each with the elements that have it."""
    build.install(FOLDER / "vendor", FOLDER, FILES)
    if not await page.evaluate("() => 'axe' in window"):
        # As the debugger evaluates it, the page's policy says nothing to it.
        await page.evaluate((FOLDER / "vendor" / "axe.min.js").read_text(encoding="utf-8"))
    found: list[str] = await page.evaluate(RUN)
    return found
