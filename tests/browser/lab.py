"""JupyterLab in Chromium, with everything it writes in a temporary folder: for the browser tests and the screenshots."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
from playwright.sync_api import Browser, Page, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
_FOLDERS = (
    "HOME",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "JUPYTERLAB_SETTINGS_DIR",
    "JUPYTERLAB_WORKSPACES_DIR",
    "IPYTHONDIR",
)
_APP = "window.jupyterapp"


def chromium() -> str | None:
    """Where Chromium is; None where there is none."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


@contextmanager
def launched(executable: str) -> Iterator[Browser]:
    """Chromium, running."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(_QUIET))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def served(root: Path, scratch: Path) -> Iterator[str]:
    """The address of a JupyterLab that serves ``root``; what it writes elsewhere goes under ``scratch``."""
    port = _free_port()
    environment = os.environ | {name: str(scratch / name.lower()) for name in _FOLDERS}
    for name, settings in _SETTINGS.items():
        file = scratch / "jupyterlab_settings_dir" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    for name in _FOLDERS:
        (scratch / name.lower()).mkdir(parents=True, exist_ok=True)
    log = (scratch / "server.log").open("w")
    server = subprocess.Popen(_command(root, port), env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        address = f"http://127.0.0.1:{port}"
        if not wait_for(f"{address}/api/status", lambda: server.poll() is None):
            msg = f"JupyterLab did not start:\n{(scratch / 'server.log').read_text()[-2000:]}"
            raise RuntimeError(msg)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()


def _command(root: Path, port: int) -> list[str]:
    options = {
        "ip": "127.0.0.1",
        "port": port,
        "ServerApp.port_retries": 0,
        "IdentityProvider.token": "",
        "ServerApp.password": "",
        "ServerApp.disable_check_xsrf": True,
        "ServerApp.root_dir": root,
        "LabApp.expose_app_in_browser": True,
        "LabApp.extension_manager": "readonly",
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *flags]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(address: str, alive: Callable[[], bool] = lambda: True, seconds: float = 60) -> bool:
    """Whether something answered at ``address`` in time, while ``alive`` said that it may."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and alive():
        try:
            with urllib.request.urlopen(address, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def only_local(page: Page) -> list[str]:
    """A list that fills with the addresses of every request of a page that leaves this machine; those requests are cut off."""
    gone: list[str] = []

    def check(route) -> None:
        parts = urlsplit(route.request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname != "127.0.0.1":
            gone.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    page.route("**/*", check)
    return gone


def write_notebook(path: Path, cells: Iterable[str]) -> None:
    """Writes a notebook of code cells."""
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, path)


def open_notebook(page: Page, address: str, name: str) -> None:
    """Opens a notebook and waits until its kernel is idle."""
    page.goto(f"{address}/lab/tree/{name}?reset")
    ready = f"{_APP} && {_APP}.shell.currentWidget && {_APP}.shell.currentWidget.context && {_APP}.shell.currentWidget.context.isReady"
    page.wait_for_function(ready, timeout=60_000)
    idle = f"{_APP}.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
    page.wait_for_function(idle, timeout=60_000)


def run_all(page: Page, seconds: float = 240) -> None:
    """Runs every cell and waits until the last has ended."""
    page.set_default_timeout(seconds * 1000)
    page.evaluate(f"{_APP}.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(f"{_APP}.shell.currentWidget.sessionContext.session.kernel.status === 'idle'")
    page.set_default_timeout(30_000)


def run_next(page: Page, seconds: float = 120) -> None:
    """Runs the cell that is chosen, waits until it has ended, and chooses the next."""
    page.set_default_timeout(seconds * 1000)
    page.evaluate(f"{_APP}.commands.execute('notebook:run-cell-and-select-next')")
    page.wait_for_function(f"{_APP}.shell.currentWidget.sessionContext.session.kernel.status === 'idle'")
    page.set_default_timeout(30_000)


def ask(page: Page, expression: str, code: str = "") -> str:
    """What an expression gives in the notebook's kernel, as ``repr`` writes it, after some code was run there."""
    said = page.evaluate(
        f"""async ([code, expression]) => {{
            const {{ kernel }} = {_APP}.shell.currentWidget.sessionContext.session;
            const asked = {{ code, store_history: false, user_expressions: {{ said: expression }} }};
            return (await kernel.requestExecute(asked).done).content;
        }}""",
        [code, expression],
    )
    if said["status"] != "ok" or said["user_expressions"]["said"]["status"] != "ok":
        raise RuntimeError(f"{code}; {expression}: {said}")
    return said["user_expressions"]["said"]["data"]["text/plain"]


def kill_kernel(page: Page) -> None:
    """Ends the notebook's kernel for good."""
    page.evaluate(f"{_APP}.shell.currentWidget.sessionContext.shutdown()")
    page.wait_for_function(f"!{_APP}.shell.currentWidget.sessionContext.session?.kernel")


def set_theme(page: Page, name: str) -> None:
    """``JupyterLab Light`` or ``JupyterLab Dark``."""
    page.evaluate(f"{_APP}.commands.execute('apputils:change-theme', {{theme: {json.dumps(name)}}})")
    page.wait_for_function(f"document.body.dataset.jpThemeName === {json.dumps(name)}")
