"""A headless Chromium with one page, driven over a pair of pipes by the DevTools protocol."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

EXECUTABLE = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-pipe",
]
# The browser takes commands from descriptor 3 and answers on 4.
_LAUNCHER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
_PATIENCE_S = 30
# Virtual key codes, and the text that a key types.
_KEYS = {
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    " ": (32, " "),
    "ArrowLeft": (37, ""),
    "ArrowUp": (38, ""),
    "ArrowRight": (39, ""),
    "ArrowDown": (40, ""),
}


class Chromium:
    """A browser and its page; a context manager that ends the browser's processes."""

    def __init__(self, profile: Path) -> None:
        """Starts the browser with an empty page.

        Args:
            profile: Folder for its settings and caches.
        """
        their_input, self._commands = _pipe()
        self._answers, their_output = _pipe()
        launch = [sys.executable, "-c", _LAUNCHER, str(their_input), str(their_output)]
        self._process = subprocess.Popen(
            [*launch, EXECUTABLE, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(their_input, their_output),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(their_input)
        os.close(their_output)
        self.events: list[dict[str, Any]] = []
        self._unread = b""
        self._num_calls = 0
        self._session: str | None = None
        page = self._wait_for_page()
        attached = self.call("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._commands)  # which it takes as the order to end
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._answers)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result; events that come before it are kept."""
        self._num_calls += 1
        message = {"id": self._num_calls, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        content = memoryview(json.dumps(message).encode() + b"\0")
        while content:
            content = content[os.write(self._commands, content) :]
        while (answer := self._receive()).get("id") != self._num_calls:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def open(self, path: Path) -> None:
        """Load a file and wait until it is complete; earlier events are forgotten."""
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page, once the page is drawn anew."""
        wrapped = f"new Promise(done => requestAnimationFrame(() => done({expression})))"
        result = self.call(
            "Runtime.evaluate", expression=wrapped, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"]["description"])
        return result["result"].get("value")

    def click(self, selector: str) -> None:
        """Scroll an element into view and click on its middle, as the mouse does."""
        element = f"document.querySelector({json.dumps(selector)})"
        x, y = self.evaluate(
            f"(e => (e.scrollIntoView({{block: 'center', inline: 'center'}}), e = "
            f"e.getBoundingClientRect(), [e.x + e.width / 2, e.y + e.height / 2]))({element})"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press and release a key, named as KeyboardEvent.key has it."""
        code, text = _KEYS.get(key) or (ord(key.upper()), key)
        pressed = {"key": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **pressed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def fill(self, selector: str, text: str) -> None:
        """Replace the content of a text or number field by typing."""
        self.click(selector)
        self.evaluate(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)

    def choose(self, selector: str, value: str) -> None:
        """Choose from a list; its menu is drawn outside of the page, where no click can go."""
        self.evaluate(
            f"(list => (list.value = {json.dumps(value)}, list.dispatchEvent(new Event('input'))))"
            f"(document.querySelector({json.dumps(selector)}))"
        )

    def resize(self, width: int, height: int) -> None:
        """Give the page a window of so many px."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def prefer(self, scheme: str) -> None:
        """Light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, path: Path, whole_page: bool = False) -> None:
        """Write what is in the window, or the whole page, as PNG."""
        taken = self.call("Page.captureScreenshot", captureBeyondViewport=whole_page)
        path.write_bytes(base64.b64decode(taken["data"]))

    def _wait_for_page(self) -> str:
        """Id of the page that the browser starts with."""
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            for target in self.call("Target.getTargets")["targetInfos"]:
                if target["type"] == "page":
                    return target["targetId"]
            time.sleep(0.05)
        raise TimeoutError("the browser opened no page")

    def _receive(self) -> dict[str, Any]:
        """The next message; each ends with a zero byte."""
        while b"\0" not in self._unread:
            if not select.select([self._answers], [], [], _PATIENCE_S)[0]:
                raise TimeoutError(f"the browser was silent for {_PATIENCE_S} s")
            chunk = os.read(self._answers, 2**20)
            if not chunk:
                raise RuntimeError("the browser is gone")
            self._unread += chunk
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)


def _pipe() -> list[int]:
    """A pipe whose descriptors stay clear of 3 and 4."""
    low = os.pipe()
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10) for descriptor in low]
    for descriptor in low:
        os.close(descriptor)
    return high
