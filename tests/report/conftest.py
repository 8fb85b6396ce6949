"""A headless Chromium that opens pages and reports their errors."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Software rendering, because there may be no graphics card, and no network requests of the browser itself.
FLAGS = (
    *("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run", "--disable-dev-shm-usage"),
)
LOCAL = ("file:", "data:", "blob:")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser per module. Playwright keeps an event loop in this thread, which disturbs other modules' tests."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def open_page(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Opens an HTML text from a file. Errors in pages and requests to the network fail the module's last test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    troubles: list[str] = []

    def open_(text: str, **emulated: str) -> Any:
        file = tmp_path_factory.mktemp("pages") / "page.html"
        file.write_text(text, encoding="utf-8")
        page = context.new_page()
        page.emulate_media(**emulated)
        page.on("console", lambda line: line.type == "error" and troubles.append(f"{page.url}: {line.text}"))
        page.on("pageerror", lambda error: troubles.append(f"{page.url}: {error}"))
        page.on("request", lambda asked: asked.url.startswith(LOCAL) or troubles.append(asked.url))
        page.goto(file.as_uri())
        return page

    yield open_
    context.close()
    assert troubles == []


@pytest.fixture
def screenshot(tmp_path: Path) -> Callable[..., Path]:
    """Saves a picture of a page in the test's folder, and in the folder RAYLIFT_TEST_OUTPUT if it is set."""

    def take(page: Any, name: str) -> Path:
        file = tmp_path / f"{name}.png"
        page.screenshot(path=file, full_page=True)
        if folder := os.environ.get("RAYLIFT_TEST_OUTPUT"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, Path(folder, file.name))
        return file

    return take
