"""A page in a Chromium without a window, by the browser's own protocol (DevTools).

with browser.page("http://127.0.0.1:8080/dashboard") as page:
    page.wait_for("document.title == 'Dashboard'")
    page.evaluate("document.querySelector('button').click()")
"""

import base64
import contextlib
import json
import os
import re
import subprocess
import tempfile
import time
from urllib.request import urlopen

from websockets.sync.client import connect

from common import loopback, rigs

_LONGEST_S = 60
_LOOK_S = 0.05
_OPTIONS = (
    "--headless=shell",
    "--no-sandbox",  # a container may forbid what it needs; nothing but this repository's page is opened
    "--no-zygote",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--window-size=800,480",
    "--remote-debugging-port=0",
)


class Page:
    """One page: what it says, what is done to it, and how it looks."""

    def __init__(self, devtools):
        self._devtools = devtools
        self._number = 0

    def _ask(self, method, **params):
        self._number += 1
        self._devtools.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._devtools.recv(timeout=_LONGEST_S))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def go(self, url):
        """Open a URL, and wait until its page is there."""
        self._ask("Page.enable")
        assert "errorText" not in self._ask("Page.navigate", url=url)
        self.wait_for(f"location.href == '{url}' && document.readyState == 'complete'")

    def evaluate(self, expression):
        """Return the value of a JavaScript expression; AssertionError where it throws."""
        result = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression):
        """Wait until an expression is true, and return its value; AssertionError where that takes too long."""
        deadline = time.monotonic() + _LONGEST_S
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, expression
            time.sleep(_LOOK_S)
        return value

    def screenshot(self):
        """Return how the page looks, as the bytes of a PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])


@contextlib.contextmanager
def page(url):
    """Open a URL in a browser of its own; gives the Page."""
    with tempfile.TemporaryDirectory() as home:
        command = [*rigs.command("chromium"), *_OPTIONS, f"--user-data-dir={home}/profile", "about:blank"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"HOME": home}) as process:
            try:
                said = iter(process.stderr.readline, "")
                address = next(found[1] for line in said if (found := re.search(r"listening on ws://([^/]+)/", line)))
                with urlopen(f"http://{address}/json/list", timeout=_LONGEST_S) as answer:
                    (target,) = (one for one in json.load(answer) if one["type"] == "page")
                with connect(target["webSocketDebuggerUrl"], max_size=None) as devtools:
                    found = Page(devtools)
                    found.go(url)
                    yield found
            finally:
                loopback.end(process)
