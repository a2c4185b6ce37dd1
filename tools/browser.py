"""Controls a headless Chromium by its DevTools protocol over pipes, with the standard library."""

import json
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",  # which root cannot have, nor most containers
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream",  # a microphone that beeps
    "--use-fake-ui-for-media-stream",  # which the user allows
    "--window-size=800,800",
    "--remote-debugging-pipe",
)
TIMEOUT_SECONDS = 30  # of a command, and of waiting unless another limit is given


def program() -> str | None:
    """Returns the name of the installed browser, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def opened(folder: Path) -> Iterator["Page"]:
    """Starts a browser with profile and downloads in a folder, and yields an empty page."""
    # The protocol's pipes are descriptors 3 and 4.
    shell = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null'
    words = [
        "sh",
        "-c",
        shell,
        "sh",
        program() or "chromium",
        *FLAGS,
        f"--user-data-dir={folder / 'profile'}",
    ]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            page = Page(process, folder / "downloads")
            yield page
            page.call("Browser.close", session=None)
            process.wait(TIMEOUT_SECONDS)
        finally:
            process.kill()


class Page:
    """A page of the browser, which is used by clicks and files as a user does.

    Attributes:
        errors: error messages of the console, of the page and of its workers.
    """

    def __init__(self, process: subprocess.Popen, downloads: Path):
        assert process.stdin is not None and process.stdout is not None
        self.commands, self.answers, self.downloads = process.stdin, process.stdout, downloads
        self.messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self.errors: list[str] = []
        self.chooser: int | None = None
        self.number = 0
        threading.Thread(target=self._read_messages, daemon=True).start()
        target = self.call("Target.createTarget", session=None, url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", session=None, targetId=target, flatten=True)
        self.session = attached["sessionId"]
        self._watch(self.session)
        self.call("Page.enable")
        self.call("Page.setInterceptFileChooserDialog", enabled=True)
        behaviour = {"behavior": "allow", "downloadPath": os.fspath(downloads)}
        self.call("Browser.setDownloadBehavior", session=None, **behaviour)

    def go(self, address: str) -> None:
        """Opens an address and waits until the document is loaded."""
        self.call("Page.navigate", url=address)
        self.wait(lambda: self.evaluate("document.readyState") == "complete")

    def click(self, selector: str) -> None:
        """Clicks with the mouse: a page may play audio only after a user's click."""
        place = self.evaluate(
            f"""(() => {{
                const part = {_part(selector)};
                part.scrollIntoView({{block: "center"}});
                const {{x, y, width, height}} = part.getBoundingClientRect();
                return part.disabled || !width ? null : {{x: x + width / 2, y: y + height / 2}};
            }})()"""
        )
        assert place, f"{selector} cannot be clicked"
        for kind in ("mousePressed", "mouseReleased"):
            button: dict[str, Any] = {"type": kind, "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", **button, **place)

    def choose(self, selector: str, path: os.PathLike) -> None:
        """Clicks a file input and chooses a file in its dialog."""
        self.chooser = None
        self.click(selector)
        self.wait(lambda: self.chooser)
        self.call("DOM.setFileInputFiles", backendNodeId=self.chooser, files=[os.fspath(path)])

    def fill(self, selector: str, value) -> None:
        self.evaluate(f"{_part(selector)}.value = {json.dumps(str(value))}")

    def download(self, selector: str) -> Path:
        """Clicks a download link, and returns the path of the complete file."""
        path = self.downloads / self.evaluate(f"{_part(selector)}.download")
        path.unlink(missing_ok=True)
        self.click(selector)
        self.wait(path.exists)  # it has another name until it is complete
        return path

    def text(self, selector: str) -> str:
        return self.evaluate(f"{_part(selector)}.innerText")

    def visible(self, selector: str) -> bool:
        return self.evaluate(f"{_part(selector)}.checkVisibility()")

    def enabled(self, selector: str) -> bool:
        return not self.evaluate(f"{_part(selector)}.matches(':disabled')")

    def wait(self, condition: Callable[[], Any], seconds: float = TIMEOUT_SECONDS) -> None:
        """Waits until a condition is true; raises TimeoutError after this number of seconds."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"still shown: {self.text('body')!r}; errors: {self.errors}")
            time.sleep(0.02)
            self.evaluate("null")  # `call` handles the events that have arrived

    def evaluate(self, expression: str) -> Any:
        """Returns the value of a JavaScript expression, awaited if it is a promise."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(_description(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def call(self, method: str, session: str | None = "page", **parameters) -> dict[str, Any]:
        """Returns the result of a protocol command; `session` is None for the browser itself."""
        number = self._send(method, self.session if session == "page" else session, parameters)
        while True:
            message = self.messages.get(timeout=TIMEOUT_SECONDS)
            if "method" in message:
                self._handle(message["method"], message["params"])
            elif message["id"] == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]

    def _send(self, method: str, session: str | None, parameters: dict[str, Any]) -> int:
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self.commands.write(json.dumps(message).encode() + b"\0")
        self.commands.flush()
        return self.number

    def _read_messages(self) -> None:
        rest = b""
        while more := os.read(self.answers.fileno(), 1 << 16):
            *messages, rest = (rest + more).split(b"\0")
            for message in messages:
                self.messages.put(json.loads(message))

    def _watch(self, session: str) -> None:
        self._send("Runtime.enable", session, {})
        self._send("Log.enable", session, {})
        workers = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": True}
        self._send("Target.setAutoAttach", session, workers)

    def _handle(self, method: str, event: dict[str, Any]) -> None:
        if method == "Target.attachedToTarget" and event["targetInfo"]["type"] == "worker":
            self._watch(event["sessionId"])
        elif method == "Page.fileChooserOpened":
            self.chooser = event["backendNodeId"]
        elif method == "Runtime.exceptionThrown":
            self.errors.append(_description(event["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and event["type"] == "error":
            self.errors.append(" ".join(str(word.get("value")) for word in event["args"]))
        elif method == "Log.entryAdded" and event["entry"]["level"] == "error":
            self.errors.append(event["entry"]["text"])


def _part(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)})"


def _description(details: dict[str, Any]) -> str:
    return details.get("exception", {}).get("description") or details["text"]
