"""What a board is given: the client in the form that it can load, the boot file with Wi-Fi, an example as main.py."""

import ast
import contextlib
import hashlib
import json
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from common import boards, compiler, rigs

EXAMPLES = rigs.DEVICE / "examples"
CLIENT = "uwebsocket_client"
MASKER = Path(compiler.MASKER).with_suffix(".mpy").name

# What a new file system's boot.py has from the firmware, apart from comments.
_STOCK_BOOT = {"import gc", "gc.collect()", "import os, machine", "import uos, machine"}
_CONSTANTS = ("URL", "URLS")  # where an example names its servers


class PayloadError(RuntimeError):
    """Something that the board should get is not there or wrong; the text says what to do."""


def digest(path):
    """Return a local file's SHA-256 in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names():
    """Return the names of all modules that the client can have on a board, of any form."""
    stems = [path.stem for path in (*compiler.sources(), *compiler.extra_sources(), Path(MASKER))]
    return [f"{stem}{end}" for stem in stems for end in (".py", ".mpy")]


def cross_version():
    """Return the version of the .mpy files that mpy-cross makes, and the sub-version of their machine code."""
    command = [*rigs.command("mpy-cross"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return tuple(map(int, re.search(r"mpy v(\d+)\.(\d+)", said).groups()))


def client(facts, source=False, extras=()):
    """Compile what a board of these facts can load; return {file name: local path} and what to tell about it.

    With `source` as plain .py, which also is for firmware that loads no .mpy, or none of mpy-cross's version. `extras`:
    names of compiler.EXTRAS.
    The client comes last, for it needs the others.
    """
    version, sub_version = cross_version()
    loads = "no .mpy" if facts.mpy is None else f".mpy of version {facts.mpy[0]}.{facts.mpy[1]}"
    if source or facts.mpy is None or facts.mpy[0] != version:
        paths = [*compiler.sources(), *compiler.extra_sources(extras)]
        told = f"plain .py: the firmware loads {loads}, mpy-cross makes {version}.{sub_version}"
        if source:
            told = "plain .py, as asked for"
    elif facts.march not in compiler.ARCHITECTURES or facts.mpy[1] != sub_version:
        # The rules for machine code change with the sub-version, those for bytecode do not.
        told = f"compiled, without machine code: the firmware loads {loads}, for {facts.march or 'no instruction set'}"
        paths = [*compiler.build_all(), *compiler.build_extras(extras)]
    else:
        paths = [*compiler.build_all([facts.march]), *compiler.build_extras(extras)]
        told = f"compiled, masking in machine code for {facts.march}"
    paths = sorted(paths, key=lambda path: (path.stem == CLIENT, path.name))
    return {path.name: path for path in paths}, told


def wifi(path):
    """Return {path on the board: local file} of what connects it to Wi-Fi; `path`: the network and its password."""
    try:
        data = json.loads(path.read_text())
    except OSError as error:
        example = boards.WIFI_EXAMPLE.relative_to(rigs.ROOT)
        raise PayloadError(f"{path}: {error.strerror} (try: cp {example} {path}, and write your network in)") from None
    except ValueError as error:
        raise PayloadError(f"{path} is no JSON: {error} (try: as in {boards.WIFI_EXAMPLE.name})") from None
    if not isinstance(data, dict) or not all(isinstance(data.get(key), str) for key in ("ssid", "password")):
        raise PayloadError(f'{path} lacks "ssid" or "password" (try: as in {boards.WIFI_EXAMPLE.name})')
    return {"/boot.py": boards.BOOT, "/wifi.json": path}


def is_example_network(path):
    """Tell whether the network in a file for Wi-Fi is still the one of the example."""
    return json.loads(path.read_text()) == json.loads(boards.WIFI_EXAMPLE.read_text())


def own(files, libs):
    """Return {path on the board: local file} of the user's: `files` go to the root, what folders hold goes to /lib."""
    given = {}
    for path in files:
        if not path.is_file():
            raise PayloadError(f"{path} is no file (try: --file with the path of one, --lib with a folder)")
        given[f"/{path.name}"] = path
    for folder in libs:
        if not folder.is_dir():
            raise PayloadError(f"{folder} is no folder (try: --lib with a folder, --file with a file)")
        inside = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        visible = [path for path in inside if not {"__pycache__"} & set(path.parts) and path.name[0] != "."]
        given |= {f"/lib/{path.relative_to(folder).as_posix()}": path for path in visible}
    taken = sorted({path.rpartition("/")[2] for path in given} & set(names()))
    if taken:
        raise PayloadError(f"{taken[0]} is a file of the client's own (try: another name)")
    return given


def example_names():
    """Return the names of the examples."""
    return sorted(path.stem for path in EXAMPLES.glob("*.py"))


def needs(name):
    """Return the names of the extras that an example imports."""
    text = (EXAMPLES / f"{name}.py").read_text()
    return [extra for extra, module in compiler.EXTRAS.items() if Path(module).stem in text]


def server_url(text):
    """Return `text` if it is the URL of a WebSocket server, else raise ValueError."""
    url = urlsplit(text)
    if url.scheme not in ("ws", "wss") or not url.hostname or not re.fullmatch(r"[!-~]+", text):
        raise ValueError(f"{text!r} is no ws:// or wss:// URL")
    url.port  # noqa: B018 - ValueError where it is no port
    return text


def example(name, url=None):
    """Return the text of an example with the server that `url` names; its own path stays where `url` has none."""
    text = (EXAMPLES / f"{name}.py").read_text()
    given = urlsplit(url or "")
    for literal in servers(text) if url else ():
        own = urlsplit(ast.literal_eval(literal))
        if given.path in ("", "/") and not given.query:
            own = own._replace(scheme=given.scheme, netloc=given.netloc)
        else:
            own = given
        text = text.replace(literal, json.dumps(urlunsplit(own)))
    return text


def may_replace(name, text):
    """Tell whether a boot.py or main.py may be overwritten: the firmware's own boot.py, or an example as it stands."""
    if name == "boot.py":
        lines = (line.partition("#")[0].strip() for line in text.splitlines())
        return {line for line in lines if line} <= _STOCK_BOOT
    return _without_servers(text) in [_without_servers(example(one)) for one in example_names()]


def servers(text):
    """Return the URLs of a program's constants URL and URLS, as they are written there."""
    return [
        ast.get_source_segment(text, value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in _CONSTANTS
        for value in ast.walk(node.value)
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    ]


def _without_servers(text):
    with contextlib.suppress(SyntaxError, ValueError):
        for literal in servers(text):
            text = text.replace(literal, '""')
    return text
