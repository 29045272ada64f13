"""A JupyterLab server with folders of its own, and what a test does in its page.

    lab = Lab(folder, notebooks)      copies of the notebooks, no trust, no settings of this computer
    lab.open(page, "00_start.ipynb")  a page that shows the notebook alone, with its kernel connected
    lab.run_all(page)                 until the last cell has printed

Waits are on what the page shows, never on time. Commands of JupyterLab are started and not awaited:
an awaited one has no time limit.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from xiplab.course.lab import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
           "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR", "MPLCONFIGDIR")
DONE = "ALL CELLS ARE DONE"
STARTED = """() => [...jupyterapp.shell.widgets("main")].every(({ sessionContext }) =>
  !sessionContext || sessionContext.session?.kernel?.connectionStatus === "connected")"""
STOP = """() => {
  for (const shown of jupyterapp.shell.widgets("main")) void shown.sessionContext?.shutdown();
}"""
STOPPED = """() => [...jupyterapp.shell.widgets("main")].every(
  (shown) => !shown.sessionContext?.session?.kernel)"""
CLOSE = """() => {
  for (const shown of [...jupyterapp.shell.widgets("main")]) {
    if (!shown.context) continue;
    shown.context.model.dirty = false;
    shown.dispose();
  }
}"""
END_WITH_THE_TEST = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Lab:
    """A running server.

    Attributes:
        url: where it answers. root: the folder it shows; state: its own folders.
    """

    def __init__(self, folder: Path) -> None:
        self.root, self.state = folder / "root", folder / "state"
        self.token, port = secrets.token_hex(16), _free_port()
        self.url = f"http://127.0.0.1:{port}"
        shutil.copytree(ROOT / "notebooks", self.root)
        for name, content in SETTINGS.items():
            path = self.state / "JUPYTERLAB_SETTINGS_DIR" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        python_path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        folders = {name: str(self.state / name) for name in FOLDERS}
        self.log = (folder / "server.log").open("wb")
        self.process = subprocess.Popen(
            [*END_WITH_THE_TEST, sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
             "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
             f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.root}",
             "--LabApp.extension_manager=readonly", "--LanguageServerManager.autodetect=False",
             "--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"],
            env={**os.environ, **folders, "PYTHONPATH": python_path},
            stdout=self.log, stderr=subprocess.STDOUT)
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/api/status?token={self.token}", timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"JupyterLab does not start:\n{Path(self.log.name).read_text()}")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def copy(self, name: str, as_name: str) -> Path:
        """Another untrusted copy of a notebook; its last cell prints DONE when all have run."""
        notebook = json.loads((ROOT / "notebooks" / name).read_text())
        notebook["cells"].append({"cell_type": "code", "id": "done", "metadata": {}, "outputs": [],
                                  "execution_count": None, "source": f"print({DONE.lower()!r}.upper())"})
        path = self.root / as_name
        path.write_text(json.dumps(notebook))
        return path

    def open(self, page: Any, name: str) -> None:
        """Show a notebook, and no other; returns when its kernel is connected.

        A page that shows JupyterLab already is not loaded again.
        """
        if page.url.startswith(f"{self.url}/lab/"):
            self.close(page)
            page.evaluate("path => void jupyterapp.commands.execute('docmanager:open', { path })", name)
        else:
            self.load(page, f"lab/tree/{name}", "&reset")
        self._connected(page, name)

    def close(self, page: Any) -> None:
        """End the kernels of a page that shows JupyterLab, and close what it shows."""
        page.wait_for_function(STARTED, timeout=60_000)
        page.evaluate(STOP)
        page.wait_for_function(STOPPED, timeout=60_000)
        page.evaluate(CLOSE)
        page.wait_for_function("!document.querySelector('.jp-Notebook')")

    def load(self, page: Any, path: str, options: str = "") -> None:
        """Load a page of the server; returns when a notebook is in it."""
        page.goto(f"{self.url}/{path}?token={self.token}{options}")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")

    def open_in_notebook_7(self, page: Any, name: str) -> None:
        """Show a notebook in Notebook 7, which the same server serves."""
        self.load(page, f"notebooks/{name}")
        self._connected(page, name)

    def _connected(self, page: Any, name: str) -> None:
        page.wait_for_function(
            "path => { const shown = window.jupyterapp?.shell.currentWidget;"
            " return shown?.context?.path === path && shown.sessionContext.session?.kernel?.status === 'idle'"
            " && document.querySelector('.jp-Notebook .jp-CodeCell') !== null; }", arg=name, timeout=60_000)

    def run_all(self, page: Any) -> None:
        """Run all cells of a notebook made by copy()."""
        page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_function(
            "done => document.querySelector('.jp-Notebook').textContent.includes(done)"
            " || document.querySelector(\"[data-mime-type='application/vnd.jupyter.error'],"
            " [data-mime-type='application/vnd.jupyter.stderr']\")", arg=DONE, timeout=90_000)

    def ask(self, page: Any, expression: str) -> str:
        """The printed form of a Python expression in the notebook's kernel."""
        page.evaluate("""code => {
            let text = "";
            window.answer = null;
            const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
            const future = kernel.requestExecute({ code, store_history: false });
            future.onIOPub = (message) => {
                if (message.header.msg_type === 'stream') text += message.content.text;
                if (message.header.msg_type === 'error') text += message.content.evalue;
            };
            future.done.then(() => { window.answer = text; });
        }""", f"print({expression})")
        page.wait_for_function("window.answer !== null")
        return str(page.evaluate("window.answer")).strip()

    def outside(self, page: Any) -> list[str]:
        """Requests of the page that did not go to this server."""
        return [url for url in page.requests if not url.startswith((self.url, "data:", "blob:"))]
