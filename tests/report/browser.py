"""Headless Chromium over the DevTools protocol: what a page requests, what axe says, how it looks.

    with Browser() as browser:
        page = browser.open(Path("reports/demo/index.html"), dark=True)
        page.requests        # every address asked for, the file itself and data: left out
        page.axe(AXE)        # accessibility violations
        page.screenshot(Path("index.png"))

Run as a script it takes pictures: `python -m tests.report.browser PAGE FOLDER`, or `PAGE x.png`.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.request import Request, urlopen

import websocket

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
SECONDS = 30.0


def chromium() -> str | None:
    """The path of Chromium: the environment variable CXLIB_CHROMIUM, else what PATH finds."""
    names = (os.environ.get("CXLIB_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


def axe() -> Path | None:
    """The path of axe.min.js: the environment variable CXLIB_AXE, else node_modules here or above."""
    given = os.environ.get("CXLIB_AXE")
    above = [folder / "node_modules/axe-core/axe.min.js" for folder in Path(__file__).resolve().parents]
    return next((path for path in ([Path(given)] if given else above) if path.is_file()), None)


class Browser:
    """A Chromium of its own, with a new profile, closed at the end of the `with` block."""

    def __init__(self) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="cxlib-chromium-", ignore_cleanup_errors=True)
        command = [chromium() or "chromium", *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._port = self._find_port()

    def _find_port(self) -> int:
        port = Path(self._profile.name) / "DevToolsActivePort"
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if port.exists() and (text := port.read_text().split()):
                return int(text[0])
            time.sleep(0.05)
        raise TimeoutError("Chromium did not start")

    def open(self, path: Path, **how: Any) -> Page:
        """A page opened from its file, loaded and laid out; `how` as `Page`."""
        new = Request(f"http://127.0.0.1:{self._port}/json/new?about:blank", method="PUT")
        with urlopen(new) as answer:
            target = json.load(answer)
        return Page(target["webSocketDebuggerUrl"], path, **how)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()


class Page:
    """One open page; `requests` holds every address it asked for, but its own and data: addresses."""

    def __init__(
        self,
        address: str,
        path: Path,
        dark: bool = False,
        width: int = 1200,
        media: str = "",
        policy: bool = False,
    ):
        self._socket = websocket.create_connection(address, timeout=SECONDS)
        self._ids = itertools.count(1)
        self._events: list[dict[str, Any]] = []
        self.uri = path.resolve().as_uri()
        for domain in ("Network", "Page", "Runtime"):
            self.call(f"{domain}.enable")
        self.call("Network.setCacheDisabled", cacheDisabled=True)
        # Without its policy, unless asked for: the policy would hide the request a page wants to make.
        self.call("Page.setBypassCSP", enabled=not policy)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=self.uri)
        self._wait_for("Page.loadEventFired")
        self.run("new Promise(done => setTimeout(done, 150))")  # whatever is asked for after the load

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command and return its answer; events met on the way are kept."""
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return dict(message["result"])
            self._events.append(message)

    def _wait_for(self, event: str) -> None:
        while not any(message.get("method") == event for message in self._events):
            self._events.append(json.loads(self._socket.recv()))

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression in the page; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    @property
    def requests(self) -> list[str]:
        """Addresses asked for, other than the file itself and data: addresses."""
        sent = (m["params"] for m in self._events if m.get("method") == "Network.requestWillBeSent")
        asked = [params["request"]["url"] for params in sent]
        return [url for url in asked if url.split("#")[0] != self.uri and not url.startswith("data:")]

    @property
    def blocked(self) -> int:
        """Requests that the page's own content-security policy stopped."""
        failed = (m["params"] for m in self._events if m.get("method") == "Network.loadingFailed")
        return sum(params.get("blockedReason") == "csp" for params in failed)

    def axe(self, script: Path) -> list[str]:
        """Accessibility violations, as `rule: where`."""
        self.run(script.read_text("utf-8") + ";0")
        found = self.run("axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)")
        hits = ((rule["id"], node) for rule in found for node in rule["nodes"])
        return [f"{rule}: {node['target']} {node['failureSummary']}" for rule, node in hits]

    def screenshot(self, png: Path, whole: bool = True) -> None:
        """The whole page as a picture, or its first screen."""
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        png.write_bytes(base64.b64decode(picture["data"]))

    def pdf(self, path: Path) -> None:
        """The page as it prints."""
        printed = self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(printed["data"]))


def screenshot(path: Path, png: Path, dark: bool = False, width: int = 1200) -> None:
    """A picture of the whole page at `path`."""
    with Browser() as browser:
        browser.open(path, dark=dark, width=width).screenshot(png)


def main(page: str, where: str) -> None:
    """Pictures of a page in light, in dark, on a phone and on paper, and the PDF it prints, in a folder;
    or where a `.png` is named, a picture of its first screen."""
    source, out = Path(page), Path(where)
    if out.suffix == ".png":
        with Browser() as browser:
            browser.open(source, width=1100).screenshot(out, whole=False)
        return
    out.mkdir(parents=True, exist_ok=True)
    with Browser() as browser:
        looks: dict[str, dict[str, Any]] = {
            "light": {},
            "dark": {"dark": True},
            "phone": {"width": 390},
            "paper": {"width": 700, "media": "print"},
        }
        for name, how in looks.items():
            browser.open(source, **how).screenshot(out / f"{source.stem}-{name}.png")
        browser.open(source).pdf(out / f"{source.stem}-print.pdf")


if __name__ == "__main__":
    main(*sys.argv[1:3])
