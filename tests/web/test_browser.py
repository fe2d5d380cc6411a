"""The same way as in a terminal, in headless Chromium: what the page receives is what stands on its screen."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser
LISTEN = """
window.__heard = '';
const Plain = window.WebSocket;
window.WebSocket = class extends Plain {
  constructor(...words) {
    super(...words);
    const decoder = new TextDecoder();
    this.addEventListener('message', (event) => {
      const take = (bytes) => { window.__heard += decoder.decode(bytes, {stream: true}); };
      if (event.data instanceof ArrayBuffer) take(event.data);
      else if (event.data instanceof Blob) event.data.arrayBuffer().then(take);
    });
  }
};
"""
"""The page draws letters on a canvas; they are read where they arrive."""
ESCAPES = re.compile(r"\x1b\[[\d;?<>=]*[a-zA-Z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = int(free.getsockname()[1])
    home = str(tmp_path_factory.mktemp("home"))
    environment = {**os.environ, "HOME": home, "HF_HUB_OFFLINE": "1"}
    words = [sys.executable, "-m", "vram_advisor", "serve", "--port", str(number)]
    with subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL) as process:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", number)) == 0:
                    break
            time.sleep(0.1)
        yield number
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def browser() -> Iterator[Any]:
    """Chromium, driven by selenium."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,900"):
        options.add_argument(word)
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver") or "chromedriver")
    driver = webdriver.Chrome(options=options, service=service)
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": LISTEN})
    yield driver
    driver.quit()


class Page:
    """The app in the page."""

    def __init__(self, browser: Any, port: int) -> None:
        self.browser = browser
        self._at = 0
        browser.get(f"http://127.0.0.1:{port}/?fontsize=12")

    def write(self, keys: str) -> None:
        """Keys, as the focused page gets them."""
        from selenium.webdriver import ActionChains

        ActionChains(self.browser).send_keys(keys).perform()

    def click(self, x: int, y: int) -> None:
        """The mouse, in pixels from the corner of the page."""
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.actions.action_builder import ActionBuilder

        builder = ActionBuilder(self.browser)
        builder.pointer_action.move_to_location(x, y).click()
        builder.perform()
        ActionChains(self.browser).pause(0.3).perform()

    def heard(self) -> str:
        """Letters that came, without what colours and places them."""
        return ESCAPES.sub("", self.browser.execute_script("return window.__heard"))

    def wait_for(self, wanted: str, seconds: float = 40.0) -> None:
        """Until a text has come after the last one that was waited for."""
        end = time.monotonic() + seconds
        while (found := self.heard().find(wanted, self._at)) < 0:
            assert time.monotonic() < end, f"{wanted!r} did not come: {self.heard()[self._at :][-3000:]}"
            time.sleep(0.1)
        self._at = found + len(wanted)

    def insist(self, key: str, wanted: str) -> None:
        """A key again and again until it is followed: what it needs may still be on its way."""
        for _ in range(20):
            self.write(key)
            end = time.monotonic() + 2.0
            while time.monotonic() < end:
                if wanted in self.heard()[self._at :]:
                    self.wait_for(wanted)
                    return
                time.sleep(0.1)
        raise AssertionError(f"{wanted!r} did not come")


def test_the_way_of_a_person(browser: Any, port: int, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    page = Page(browser, port)
    page.wait_for("UNKNOWN")
    page.click(500, 6)
    page.write("m")
    page.wait_for("listed")
    page.write("Llama-3.1-8B")
    page.wait_for("1 listed")
    page.write(Keys.ENTER)
    page.wait_for("llama-3.1-8b · LoRA")
    # The row of the card.
    page.click(100, 48)
    page.wait_for("name or memory")
    page.write("rtx 4080 super")
    page.wait_for("1 listed")
    page.write(Keys.ENTER)
    page.wait_for("simulated")
    for key in "jl":
        page.write(key)
    page.wait_for("· QLoRA")
    page.insist("a", "Applied")
    page.write("u")
    page.write("y")
    page.wait_for("vram-advisor check --model llama-3.1-8b")
    picture = os.environ.get("BROWSER_SCREENSHOT") or str(tmp_path / "page.png")
    assert browser.save_screenshot(picture)
    assert Path(picture).stat().st_size > 20_000, "the page is drawn"


def test_a_page_of_another_site_is_refused(browser: Any, port: int) -> None:
    browser.get("data:text/html,<title>another site</title>")
    said = browser.execute_async_script(
        "const [port, done] = arguments; const socket = new Plain(`ws://127.0.0.1:${port}/ws?width=80&height=24`);"
        "socket.onopen = () => done('open'); socket.onerror = () => done('refused');",
        port,
    )
    assert json.dumps(said) == '"refused"'
