"""The HTML report in headless Chromium: on a phone and on a desk, by day and by night, without a request to anywhere."""

import base64
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sample_answers import answer

from vram_advisor.cli.app import run
from vram_advisor.report.formats.page import html_report

pytestmark = pytest.mark.browser
WIDTHS = (320, 390, 1280)
SCHEMES = ("light", "dark")
PAGES: dict[str, tuple[str, ...]] = {
    "fits": ("--model", "7b", "--method", "lora", "--gpu", "rtx-5070"),
    "no": ("--model", "13b", "--method", "lora", "--sequence-length", "4096", "--gpu", "rtx-5070"),
    "offload": ("--model", "llama-3.1-70b", "--runtime", "llama.cpp", "--quantization", "q4_k_m", "--n-gpu-layers", "40", "--gpu", "rtx-4090"),
    "full": ("--model", "llama-3.1-8b", "--method", "full", "--gpu", "h100-sxm"),
    "no-card": ("--model", "7b", "--method", "qlora"),
}  # fmt: skip
ADVICE: dict[str, tuple[str, ...]] = {
    "advice-no": ("--model", "13b", "--method", "lora", "--gpu", "rtx-5070"),
    "advice-fits": ("--model", "llama-3.1-70b", "--method", "qlora", "--gpu", "h100-sxm", "--tokens", "1000000"),
    "advice-host": ("--model", "mixtral-8x7b", "--runtime", "llama.cpp", "--gpu", "rtx-4090"),
}  # fmt: skip
OUTSIDE = """
return [...document.querySelectorAll('main *')].filter((e) => {
  if (e.closest('.scroll') || e.tagName === 'title') return false;
  const box = e.getBoundingClientRect();
  return box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map((e) => `${e.tagName} ${e.textContent.slice(0, 40)}`);
"""
"""Elements that reach over an edge of the window, whether or not it scrolls."""
CROSSED = """
const texts = [...document.querySelectorAll('svg.picture')].flatMap((picture) => {
  const found = [...picture.querySelectorAll('text')].map((e) => [e.textContent, e.getBoundingClientRect()]);
  return found.flatMap(([one, a], i) => found.slice(i + 1).filter(([, b]) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4
  ).map(([other]) => `${one} × ${other}`));
});
return texts;
"""
"""Labels of a picture that lie over one another."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium that writes down every request."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver") or "chromedriver")
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


def opened(browser: Any, page: Path, width: int, scheme: str = "light") -> list[str]:
    """Open a page in a window of this width; addresses that were asked for."""
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.get_log("performance")
    browser.get(page.as_uri())
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


def photograph(browser: Any, name: str, folder: Path) -> bytes:
    """The whole page as PNG, in the folder that REPORT_SCREENSHOTS names or a temporary one."""
    height = browser.execute_script("return document.documentElement.scrollHeight")
    width = browser.execute_script("return innerWidth")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    data = base64.b64decode(taken["data"])
    home = Path(os.environ.get("REPORT_SCREENSHOTS") or folder)
    home.mkdir(parents=True, exist_ok=True)
    (home / f"{name}.png").write_bytes(data)
    return data


@pytest.mark.parametrize("name", [*PAGES, *ADVICE])
def test_a_page_fits_and_asks_for_nothing(browser: Any, tmp_path: Path, name: str) -> None:
    page = tmp_path / f"{name}.html"
    words = ["advise", *ADVICE[name]] if name in ADVICE else ["check", *PAGES[name]]
    run([*words, "--format", "html", "--output", str(page)])
    pictures = {}
    for width in WIDTHS:
        for scheme in SCHEMES:
            assert opened(browser, page, width, scheme) == [page.as_uri()], "only the file itself is read"
            wide = browser.execute_script("return document.documentElement.scrollWidth")
            assert browser.execute_script("return innerWidth") == width and wide <= width
            assert browser.execute_script(OUTSIDE) == []
            assert browser.execute_script(CROSSED) == []
            pictures[width, scheme] = photograph(browser, f"{name}-{width}-{scheme}", tmp_path)
    assert all(len(data) > 20_000 for data in pictures.values()), "the page is drawn"
    assert pictures[390, "light"] != pictures[390, "dark"]
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_tables_scroll_by_themselves(browser: Any, tmp_path: Path, width: int) -> None:
    page = tmp_path / "page.html"
    run(["check", *PAGES["fits"], "--format", "html", "--output", str(page)])
    opened(browser, page, width)
    browser.execute_script("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script("return document.querySelectorAll('details[open] table td').length") > 100


@pytest.mark.parametrize("kind", ["fits", "tight", "no", "unknown", "busy"])
def test_a_hostile_name_neither_runs_nor_widens(browser: Any, tmp_path: Path, kind: Any) -> None:
    from dataclasses import replace

    name = "<script>document.title = 'ran'</script><img src=x onerror=\"document.title = 'ran'\">" + "long" * 60
    found = answer(kind)
    found = replace(found, model=replace(found.model, id=name), warnings=(name,))
    page = tmp_path / "hostile.html"
    page.write_text(html_report(found, f"vram-advisor check --model '{name}'", None), encoding="utf-8")
    assert opened(browser, page, 390) == [page.as_uri()]
    assert browser.title != "ran" and browser.find_elements("tag name", "script") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    assert browser.execute_script(OUTSIDE) == []


@pytest.mark.parametrize(
    "words", [("check", *PAGES["fits"]), ("advise", *ADVICE["advice-no"])], ids=["check", "advise"]
)
def test_the_picture_is_drawn_in_an_image(browser: Any, tmp_path: Path, words: tuple[str, ...]) -> None:
    picture, page = tmp_path / "answer.svg", tmp_path / "wiki.html"
    run([*words, "--format", "svg", "--output", str(picture)])
    page.write_text("<!doctype html><title>wiki</title><img src='answer.svg' alt='' style='width:100%'>")
    assert set(opened(browser, page, 1280)) <= {page.as_uri(), picture.as_uri()}
    size = browser.execute_async_script(
        "const done = arguments[0], image = document.images[0];"
        "image.decode().then(() => done([image.naturalWidth, image.naturalHeight]), () => done(null));"
    )
    assert size is not None and size[0] == 760 and size[1] > 500
    assert len(photograph(browser, f"picture-{words[0]}-1280", tmp_path)) > 20_000
