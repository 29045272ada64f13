"""The learner's copy of the course: made once, never overwritten where edited, opened in JupyterLab.

    copy_course(folder)             what `xiplab lab` does first; says what is new
    serve(folder, port, browser)    what it does then; returns when JupyterLab stops

    folder/notebooks  folder/exercises     the learner's copy
    folder/.xiplab/manifest.json           the hash of each file as it was shipped
    folder/.xiplab/jupyter/                settings, trust and running servers of this folder alone

JupyterLab gets folders of its own, so no other setting, dialog, kernel or server of this computer
gets in, and nothing is left behind when the learner deletes the folder. Solutions are not copied:
they stay in the instructor's checkout. Prohibition: no network.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import sys
import urllib.error
import urllib.request
import webbrowser
from dataclasses import dataclass, field
from pathlib import Path

PARTS = ("notebooks/*.ipynb", "exercises/*")
FIRST_PAGE = "notebooks/START.ipynb"
FIRST_PORT = 8888
PACKAGE = Path(__file__).resolve().parent.parent


def shipped() -> dict[str, Path]:
    """The files that a learner gets, by their path in the learner's folder.

    An installed package carries them in `xiplab/share`; in a checkout they lie beside the package.
    """
    share = PACKAGE / "share"
    source = share if share.is_dir() else PACKAGE.parent
    found = (path for part in PARTS for path in sorted(source.glob(part)))
    return {path.relative_to(source).as_posix(): path for path in found if path.is_file()}


# ---- copying

@dataclass
class CopyReport:
    """What `copy_course` did, by path in the learner's folder."""

    new: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    newer_exists: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The report in words; empty when nothing changed."""
        return ([f"new: {name}" for name in self.new]
                + [f"updated: {name}" for name in self.updated]
                + [f"kept as you edited it: {name} (to get the newer one, rename yours and run this again)"
                   for name in self.newer_exists]
                + [f"no longer part of the course, kept: {name}" for name in self.retired])


def copy_course(folder: Path) -> CopyReport:
    """Bring `folder` up to date with the package; a file that the learner edited stays.

    A file is edited when its bytes differ from what was last copied. A missing file is copied
    again, which is how one starts an exercise afresh.
    Raises:
        OSError: what the file system says (ENOTDIR, EACCES, EROFS, ENOSPC ...).
    """
    report = CopyReport()
    manifest = _read_manifest(folder)
    files = shipped()
    for name, source in files.items():
        manifest[name] = _copy_one(folder / name, source.read_bytes(), name, manifest.get(name), report)
    for name in sorted(manifest.keys() - files.keys()):
        del manifest[name]
        if (folder / name).exists():
            report.retired.append(name)
    _write(_manifest_file(folder), json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n")
    return report


def _copy_one(target: Path, content: bytes, name: str, copied: str | None, report: CopyReport) -> str:
    """Copy one file unless it is edited. Returns the hash that the manifest keeps."""
    newest = _hash(content)
    if not target.exists():
        report.new.append(name)
    elif (present := _hash(target.read_bytes())) == newest:
        return newest
    elif present == copied:
        report.updated.append(name)
    else:
        if copied != newest:
            report.newer_exists.append(name)
        return newest
    _write(target, content)
    return newest


def _manifest_file(folder: Path) -> Path:
    return folder / ".xiplab" / "manifest.json"


def _read_manifest(folder: Path) -> dict[str, str]:
    """The hashes of the last copy. Without a readable one every differing file counts as edited."""
    try:
        entries = json.loads(_manifest_file(folder).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(target: Path, content: bytes) -> None:
    """Write the whole file or nothing of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(target)


# ---- opening

SETTINGS = {
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings":
        {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"autoStartDefaultKernel": True},
}
"""No news dialog, no question which kernel. A learner's own later changes of these stay."""

CONFIGURATION = {
    "jupyter_server_config.json": {"ServerApp": {"jpserver_extensions": {"jupyterlab_jupytext": False}},
                                   "LanguageServerManager": {"autodetect": False}},
    "labconfig/page_config.json": {"disabledExtensions": {"jupyterlab-jupytext": True}},
}
"""The tests need jupytext; in the learner's browser it would open .py files as notebooks.
Looking for language servers starts npm, which writes into the home folder."""


def jupyter_folders(folder: Path) -> dict[str, str]:
    """The environment that keeps JupyterLab and its kernels to folders of their own."""
    state = folder / ".xiplab" / "jupyter"
    names = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
             "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
             "IPYTHONDIR": "ipython", "MPLCONFIGDIR": "matplotlib"}
    # The path comes before the environment's own settings, which turn every extension on.
    names |= {"JUPYTER_CONFIG_PATH": "config", "JUPYTER_PATH": "data"}
    return {variable: str(state / name) for variable, name in names.items()}


def prepare(folder: Path) -> dict[str, str]:
    """Write the settings, trust the notebooks as shipped. Returns the environment to start with."""
    folders = jupyter_folders(folder)
    for name, values in SETTINGS.items():
        path = Path(folders["JUPYTERLAB_SETTINGS_DIR"], name)
        if not path.exists():
            _write(path, json.dumps(values).encode())
    for name, options in CONFIGURATION.items():
        _write(Path(folders["JUPYTER_CONFIG_DIR"], name), json.dumps(options).encode())
    trust(folder, Path(folders["JUPYTER_DATA_DIR"]))
    return folders


def trust(folder: Path, data: Path) -> None:
    """Sign the notebooks that are as shipped, so that their stored pictures and widgets show."""
    from nbformat import read
    from nbformat.sign import NotebookNotary

    data.mkdir(parents=True, exist_ok=True)
    notary = NotebookNotary(data_dir=str(data))
    for name, source in shipped().items():
        copy = folder / name
        if copy.suffix == ".ipynb" and copy.read_bytes() == source.read_bytes():
            notary.sign(read(copy, as_version=4))
    notary.store.close()


def free_port(wanted: int | None = None) -> int:
    """A TCP port of this computer that nobody listens on: `wanted`, or the first from 8888 on.

    Raises:
        OSError: EADDRINUSE `wanted`, or all of a hundred, are taken.
    """
    for port in [wanted] if wanted else range(FIRST_PORT, FIRST_PORT + 100):
        with socket.socket() as probe:
            if os.name == "posix":  # as the server does; elsewhere this option would share the port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as failure:
                if failure.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
            else:
                return port
    raise OSError(errno.EADDRINUSE, f"port {wanted or FIRST_PORT}: something else listens there; "
                                    "choose one with --port")


def running_server(folder: Path, runtime: str) -> str | None:
    """The address of the course if a server of this folder is alive. Files of dead ones are removed."""
    from jupyter_server.serverapp import list_running_servers

    for server in list_running_servers(runtime):
        query = f"?token={server['token']}"
        try:
            with urllib.request.urlopen(f"{server['url']}api/status{query}", timeout=2):
                return f"{server['url']}lab/tree/{first_page(folder)}{query}"
        except (urllib.error.URLError, OSError):
            continue
    return None


def first_page(folder: Path) -> str:
    return FIRST_PAGE if (folder / FIRST_PAGE).exists() else ""


def has_display() -> bool:
    """Whether a browser can show here. Python would otherwise start a text browser in the terminal."""
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def lab_options(folder: Path, port: int, browser: bool) -> list[str]:
    """The command line of JupyterLab. It prints the address and opens the browser itself."""
    options = ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
               f"--ServerApp.root_dir={folder}", f"--LabApp.default_url=/lab/tree/{first_page(folder)}",
               "--LabApp.extension_manager=readonly", "--JupyterApp.answer_yes=True", "--log-level=WARN"]
    if not (browser and has_display()):
        options.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    return options


def serve(folder: Path, port: int | None = None, browser: bool = True) -> int:
    """Open `folder` in JupyterLab; return when it was stopped (Ctrl-C), or at once if it runs already.

    Raises:
        OSError: EADDRINUSE nothing can listen on `port`; or what the file system says.
    """
    folder = folder.resolve()
    folders = prepare(folder)
    os.environ.update(folders)
    if address := running_server(folder, folders["JUPYTER_RUNTIME_DIR"]):
        print(f"The course is open already: {address}")
        if browser and has_display():
            webbrowser.open(address)
        return 0
    options = lab_options(folder, free_port(port), browser)
    print(f"Opening {folder} (stop with Ctrl-C) ...", flush=True)

    from jupyterlab.labapp import LabApp

    LabApp.launch_instance(options)
    return 0
