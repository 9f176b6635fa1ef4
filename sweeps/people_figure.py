"""Takes the picture of the labeling page for README.md from a page that is being served.

`python sweeps/people_figure.py LINK 35 33` opens the printed link of a running `python -m raycal.annotate`, marks two
images of the shown cluster as odd, those with the numbers 35 and 33 (counted from 0), and writes
`figures/people_label.jpg`.
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

FIGURE = Path(__file__).parent / "figures" / "people_label.jpg"
WIDTH, HEIGHT, QUALITY = 1180, 760, 60
CHROMIUM = "/usr/bin/chromium"


def main(link: str, *odd: str) -> None:
    """Take the picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(link)
        page.wait_for_selector(".bands img")
        page.wait_for_load_state("networkidle")
        for number in odd:
            page.locator(".bands [aria-pressed]").nth(int(number)).click()
        page.mouse.move(0, 0)
        page.wait_for_timeout(500)
        page.screenshot(path=str(FIGURE), type="jpeg", quality=QUALITY)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
