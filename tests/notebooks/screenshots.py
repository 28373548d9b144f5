"""Pictures of the lessons as JupyterLab shows them in a real browser, in both of its themes.

``python -m tests.notebooks.screenshots [--out FOLDER] [--untrusted] [NAME ...]`` starts JupyterLab and chromium on the
loopback, opens each lesson, writes one picture per output and reports what is wider than its place. Needs Debian's
chromium.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import websocket

from tests.notebooks.lessons import FOLDER, NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 120.0
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
# As high as a whole lesson, so that nothing has to be scrolled.
WIDTH, HEIGHT = 1100, 14_000
CHROMIUM = "chromium"

# The outputs of the page: where they are, and what in them is wider than its place and cannot be scrolled.
MEASURE = """
(() => {
  const found = [];
  for (const [index, cell] of [...document.querySelectorAll('.jp-Cell')].entries()) {
    const part = cell.querySelector('.jp-OutputArea') || cell.querySelector('.jp-RenderedMarkdown');
    const box = part ? part.getBoundingClientRect() : null;
    if (!box || !box.height) continue;
    const wide = [...part.querySelectorAll('*')].filter(one =>
      one.getBoundingClientRect().right > box.right + 1 && !one.closest('.wide') && !one.closest('svg'));
    found.push({index, x: box.x, y: box.y, width: box.width, height: box.height, code: cell.matches('.jp-CodeCell'),
      wide: wide.map(one => one.tagName + '.' + one.className)});
  }
  return found;
})()
"""
READY = """
(() => {
  const cells = document.querySelectorAll('.jp-Cell').length;
  const pictures = [...document.querySelectorAll('img')];
  return cells >= %d && pictures.every(one => one.complete && one.naturalWidth) && !!document.querySelector('[data-jp-theme-name="%s"]');
})()
"""  # noqa: E501
SCROLLED = "document.querySelector('.jp-WindowedPanel-outer, .jp-Notebook').scrollHeight"


class Browser:
    """A page of chromium, driven over its debugging protocol."""

    def __init__(self, profile: Path) -> None:
        self._process = subprocess.Popen(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0",
             "--remote-allow-origins=*", "--no-first-run", f"--user-data-dir={profile}", "about:blank"],
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self._process.stderr is not None
        address = next(line for line in self._process.stderr if "DevTools listening on" in line).split()[-1]
        port = re.search(r":(\d+)/", address)
        assert port
        with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/json/list", timeout=PATIENCE) as answer:
            page = next(one for one in json.load(answer) if one["type"] == "page")
        self._socket = websocket.create_connection(page["webSocketDebuggerUrl"], timeout=PATIENCE)
        self._numbers = itertools.count(1)

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method and return its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        deadline = time.monotonic() + PATIENCE
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, f"the page did not get ready: {expression}"
            time.sleep(0.2)

    def picture(self, path: Path, box: dict[str, float]) -> None:
        """Write a picture of a part of the page."""
        clip = {"x": box["x"] - 8, "y": box["y"] - 8, "width": box["width"] + 16, "height": box["height"] + 16}
        shot = self.call("Page.captureScreenshot", clip={**clip, "scale": 1})
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """End chromium."""
        self._socket.close()
        self._process.terminate()
        self._process.communicate(timeout=30)


@contextlib.contextmanager
def jupyterlab(theme: str, folder: Path, *, trusted: bool) -> Iterator[str]:
    """Run JupyterLab with a theme on copies of the lessons, and yield the address of the copies."""
    copies = folder / "lessons"
    shutil.copytree(FOLDER, copies)
    settings = folder / "settings/@jupyterlab"
    (settings / "apputils-extension").mkdir(parents=True)
    (settings / "notebook-extension").mkdir()
    (settings / "apputils-extension/themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))
    (settings / "apputils-extension/notification.jupyterlab-settings").write_text(
        json.dumps({"fetchNews": "false", "checkForUpdates": False})
    )
    # Everything is laid out, not only what is in sight.
    (settings / "notebook-extension/tracker.jupyterlab-settings").write_text(json.dumps({"windowingMode": "none"}))
    environment = {
        **os.environ,
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
    if trusted:
        lessons = [str(path) for path in copies.glob("*.ipynb")]
        subprocess.run(
            [sys.executable, "-m", "jupyter", "trust", *lessons], env=environment, check=True, capture_output=True
        )
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
         "--ServerApp.port=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={copies}"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield find_address(folder / "runtime", server)
    finally:
        server.terminate()
        server.wait(timeout=30)


def find_address(runtime: Path, server: subprocess.Popen[bytes]) -> str:
    """Wait until the server answers."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert server.poll() is None, "JupyterLab ended"
        for path in runtime.glob("jpserver-*.json"):
            with contextlib.suppress(urllib.error.URLError, json.JSONDecodeError):
                address = str(json.loads(path.read_text())["url"])
                urllib.request.urlopen(f"{address}api", timeout=PATIENCE).close()  # noqa: S310  # JupyterLab's own
                return address
        time.sleep(0.2)
    message = "JupyterLab did not answer"
    raise TimeoutError(message)


def photograph(browser: Browser, address: str, name: str, theme: str, out: Path) -> list[str]:
    """Write the pictures of one lesson; return what does not fit."""
    cells = json.loads((FOLDER / f"{name}.ipynb").read_text())["cells"]
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
    browser.call("Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False)
    browser.call("Page.navigate", url=f"{address}doc/tree/{name}.ipynb")
    browser.wait_for(READY % (len(cells), THEMES[theme]))
    browser.wait_for(f"{SCROLLED} <= {SCROLLED.replace('scrollHeight', 'clientHeight')}")
    time.sleep(1.0)  # the browser draws when it likes
    problems = []
    for part in browser.evaluate(MEASURE):
        place = f"{name}, cell {part['index']}, {theme}"
        if part["wide"]:
            problems.append(f"{place}: too wide: {', '.join(part['wide'][:3])}")
        if part["code"] or "![" in "".join(cells[part["index"]]["source"]):
            browser.picture(out / f"{name}-{part['index']:02d}-{theme}.png", part)
    return problems


def main() -> int:
    """Take the pictures that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--out", type=Path, default=Path("build/screenshots"))
    parser.add_argument("--untrusted", action="store_true", help="as a notebook that somebody else has sent")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    problems = []
    for theme, shown in THEMES.items():
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            root = Path(folder)
            address = stack.enter_context(jupyterlab(shown, root, trusted=not arguments.untrusted))
            browser = Browser(root / "profile")
            stack.callback(browser.close)
            for name in arguments.names:
                problems += photograph(browser, address, name, theme, arguments.out)
    sys.stdout.write("\n".join([*problems, f"{len(problems)} problems; pictures in {arguments.out}"]) + "\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
