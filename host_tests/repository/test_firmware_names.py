"""The programs for boards against the firmware itself: both ports have every name that they use.

The virtual ESP8266 is asked with dir(), the ESP32 is known by its type stubs. These take all of Python's built-in names
and types for MicroPython's; where the ESP32 misses one of those, so does the ESP8266, the smaller port. What is looked
for are modules and their attributes, built-in names, what a module has of itself (`__name__`, not everywhere
`__file__`), and attributes: those of literals and of what a built-in type returns by their type, any other one by
whether the firmware or a program has that name at all. What a program itself is prepared to miss, by `except` or by
`hasattr`, is left out.
"""

import ast
import itertools
from dataclasses import dataclass, field

import pytest

from common import boards, compiler, rigs
from common.virtual_esp8266 import VirtualESP8266

MPREMOTE = str(rigs.VENV / "bin" / "mpremote")
SENT = rigs.ROOT / "tools" / "programs"
# Not the masker: it is in viper, and its names are the compiler's.
PROGRAMS = [
    *(path for path in compiler.modules() if path.name != compiler.MASKER),
    *sorted(rigs.DEVICE.glob("examples/*.py")),
    boards.BOOT,
    *sorted(path for folder in ("board_test", "demo") for path in (SENT / folder).glob("*.py")),
]
# What the ESP8266 lacks and does not reach: it stands behind a look at the TLS library or the platform.
NOT_REACHED = {
    "_wstls": {
        "any attribute load_verify_locations",
        "module esp32",
        "any attribute idf_heap_info",
        "any attribute HEAP_DATA",
    },
}
# The virtual chip has no TLS (tools/virtual_esp8266/README.md): its modules are known by the stubs of the chip's port,
# and what axTLS has of a context by its source.
NOT_VIRTUAL = ("ssl", "tls")
OF_AXTLS = {"load_cert_chain", "wrap_socket"}
TYPES = ("str", "bytes", "bytearray", "memoryview", "list", "tuple", "dict", "set", "int", "float")

# The last lines make objects whose types have no name in any module.
_ASK = """
import asyncio, sys
def tell(kind, thing):
    print(kind, *dir(thing))
for name in {modules}:
    try:
        module = __import__(name)
    except ImportError:
        continue
    tell("module " + name, module)
    for one in dir(module):
        tell("object " + one, getattr(module, one))
for one in dir(asyncio.core):
    tell("object " + one, getattr(asyncio.core, one))
tell("object ", asyncio.core)
import flashbdev, errno, hashlib, io, network, re, select, socket
print("globals", *(name for name in dir(flashbdev) if name[:2] == "__"))
def generator():
    yield
for one in (OSError(1), StopIteration(1), generator(), select.poll(), socket.socket(), network.WLAN(0), range(1),
            hashlib.sha1(), re.compile("a"), re.match("a", "a"), io.BytesIO(), io.StringIO(), open("boot.py"),
            sys.implementation, sys.stdin, asyncio.core.Task(generator())):
    tell("object ", one)
"""

# Names that a firmware lacks: the line, and the ports that miss something in it.
_WRONG = {
    "module-global": ("print(__file__)", {"esp8266"}),
    "module-global-of-a-module": ("import errno\nerrno.__file__", {"esp8266"}),
    "method-of-any-object": ("def f(text):\n    return text.partition('=')", {"esp8266"}),
    "method-of-a-literal": ("'a=b'.partition('=')", {"esp8266"}),
    "method-of-a-result": ("str(1).readinto", {"esp8266", "esp32"}),
    "module-attribute": ("import random\nrandom.randint(1, 2)", {"esp8266"}),
    "name-of-a-module": ("from random import randint", {"esp8266"}),
    "module": ("import urllib", {"esp8266", "esp32"}),
    "built-in": ("print(aiter)", {"esp8266"}),
    "built-in-error": ("try:\n    pass\nexcept ConnectionError:\n    pass", {"esp8266"}),
    "attribute-of-nothing": ("def f(x):\n    return x.is_printable()", {"esp8266", "esp32"}),
    "module-of-one-port": ("import esp32", {"esp8266"}),
    "errno": ("import errno\nerrno.EPIPE", {"esp8266", "esp32"}),
    "prepared-by-except": ("try:\n    import urllib\nexcept ImportError:\n    pass", set()),
    "prepared-by-another-except": ("try:\n    import urllib\nexcept OSError:\n    pass", {"esp8266", "esp32"}),
    "prepared-by-hasattr": ("import gc\nif hasattr(gc, 'freeze'):\n    gc.freeze()", set()),
}


@dataclass
class Names:
    """What a firmware has: built-in names, a module's own, those of each module, of each type, of any object."""

    builtins: set = field(default_factory=set)
    module_globals: set = field(default_factory=set)
    modules: dict = field(default_factory=dict)
    types: dict = field(default_factory=dict)
    attributes: set = field(default_factory=set)


def stub_names(folder):
    """Return the Names of a port, from its type stubs."""
    names = Names()
    files = {path.stem: path for path in itertools.chain(folder.glob("stdlib/*.pyi"), folder.glob("*.pyi"))}
    files |= {path.parent.name: path for path in folder.glob("*/__init__.pyi")}
    files |= {path.parent.name: path for path in folder.glob("stdlib/*/__init__.pyi") if path.parent.name not in files}

    def defined(body):
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield node.target.id
            elif isinstance(node, ast.Assign):
                yield from (target.id for target in node.targets if isinstance(target, ast.Name))
            elif isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    if alias.name == "*":
                        yield from module(node.module)
                    elif alias.asname or not isinstance(node, ast.Import):
                        yield alias.asname or alias.name
            elif isinstance(node, ast.If):
                yield from defined(node.body)
                yield from defined(node.orelse)

    def module(name):
        if name not in names.modules:
            names.modules[name] = set()
            if name in files:
                tree = ast.parse(files[name].read_text())
                for node in ast.walk(tree):
                    if isinstance(node, ast.ClassDef):
                        names.attributes.update(defined(node.body))
                        if name == "builtins":
                            names.types[node.name] = set(defined(node.body))
                names.modules[name].update(defined(tree.body))
            elif "." not in name:
                del names.modules[name]
                return ()
        return names.modules[name]

    for name in files:
        module(name)
    for path in itertools.chain(folder.glob("asyncio/*.pyi"), folder.glob("stdlib/asyncio/*.pyi")):
        tree = ast.parse(path.read_text())
        names.modules["asyncio"].add(path.stem)
        names.attributes.update(defined(tree.body))
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                names.attributes.update(defined(node.body))
    names.builtins = set(module("builtins"))
    names.attributes.update(*names.modules.values())
    names.module_globals = {"__name__", "__file__"}
    for own in names.modules.values():
        own.update(names.module_globals)
    return names


def chip_names(flash, modules):
    """Return the Names of the virtual ESP8266, by its own dir()."""
    names = Names()
    with VirtualESP8266(flash=flash) as chip:
        done = chip.run([MPREMOTE, "connect", chip.port, "exec", _ASK.format(modules=sorted(modules | {"builtins"}))])
    assert done.returncode == 0, done.stdout
    for line in done.stdout.splitlines():
        kind, *words = line.split()
        if kind == "globals":
            names.module_globals.update(words)
            continue
        what, *words = words
        names.attributes.update(words)
        if kind == "module":
            names.modules[what] = set(words)
        elif what in TYPES:
            names.types.setdefault(what, set()).update(words)
    names.builtins = names.modules["builtins"]
    stubs = stub_names(rigs.RIGS / "stubs-esp8266")
    for name in NOT_VIRTUAL:
        names.modules[name] = stubs.modules[name]
        names.attributes.update(stubs.modules[name], OF_AXTLS)
    return names


def _bound(tree):
    """Return every name that a program gives to something, wherever."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).partition(".")[0])
    return names


def _given(tree):
    """Return the attributes that objects of a program's own have."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            names.add(node.attr)
        elif isinstance(node, ast.ClassDef):
            names.update(_bound(node))
    names.update(_bound(ast.Module([*tree.body], [])) if tree.body else ())
    return names


def _imported(tree):
    """Return {name in the program: module}."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update((alias.asname or alias.name, alias.name) for alias in node.names)
    return found


def _type(node):
    """Return the built-in type of an expression, None where that is not plain to see."""
    if isinstance(node, ast.Constant):
        return type(node.value).__name__
    if isinstance(node, ast.JoinedStr):
        return "str"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id
    displays = {ast.List: "list", ast.ListComp: "list", ast.Dict: "dict", ast.Tuple: "tuple", ast.Set: "set"}
    return displays.get(type(node))


class _Missing(ast.NodeVisitor):
    """Collects what a program uses and a firmware lacks, as (line, text)."""

    def __init__(self, names, tree, own):
        self._names = names
        self._own = own
        self._bound = _bound(tree)
        self._given = _given(tree).union(*map(_given, own.values()))
        self._imported = _imported(tree)
        self._caught = []
        self._asked = {
            node.args[1].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("hasattr", "getattr")
            if isinstance(node.args[1], ast.Constant)
        }
        self.found = []
        self.visit(tree)

    def _tell(self, node, text, *errors):
        if not {*errors, "Exception", "BaseException", ""}.intersection(*[itertools.chain(*self._caught)]):
            self.found.append((node.lineno, text))

    def visit_Try(self, node):
        caught = set()
        for handler in node.handlers:
            types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
            caught.update(getattr(one, "id", "") for one in types)
        self._caught.append(caught)
        for one in node.body:
            self.visit(one)
        self._caught.pop()
        for one in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(one)

    def visit_Import(self, node):
        for alias in node.names:
            if alias.name not in self._own and alias.name not in self._names.modules:
                self._tell(node, f"module {alias.name}", "ImportError")

    def visit_ImportFrom(self, node):
        if node.module in self._own:
            return
        if node.module not in self._names.modules:
            self._tell(node, f"module {node.module}", "ImportError")
            return
        for alias in node.names:
            if alias.name not in self._names.modules[node.module]:
                self._tell(node, f"{node.module}.{alias.name}", "ImportError")

    def visit_Name(self, node):
        known = self._bound | self._names.builtins | self._names.module_globals
        if node.id not in known:
            self._tell(node, node.id, "NameError")

    def visit_Attribute(self, node):
        self.generic_visit(node)
        name = node.attr
        if not isinstance(node.ctx, ast.Load) or name in self._asked:
            return
        module = self._imported.get(getattr(node.value, "id", None))
        kind = _type(node.value)
        if module in self._names.modules and module not in self._own:
            if name not in self._names.modules[module]:
                self._tell(node, f"{module}.{name}", "AttributeError")
        elif kind in self._names.types and kind not in self._bound:
            if name not in self._names.types[kind]:
                self._tell(node, f"{kind}.{name}", "AttributeError")
        elif name not in self._names.attributes and name not in self._given:
            self._tell(node, f"any attribute {name}", "AttributeError")


def missing(names, source, own):
    """Return what a program uses and a firmware lacks, as [(line, text)]; `own`: {module of ours: its tree}."""
    return sorted(_Missing(names, ast.parse(source), own).found)


@pytest.fixture(scope="module")
def own():
    return {path.stem: ast.parse(path.read_text()) for path in PROGRAMS}


@pytest.fixture(scope="module", params=["virtual-esp8266", "stubs-esp32"])
def firmware(request, own, tmp_path_factory):
    """The port, and its Names."""
    if request.param == "stubs-esp32":
        return "esp32", stub_names(rigs.RIGS / request.param)
    wrong = [ast.parse(source) for source, _ in _WRONG.values()]
    modules = {
        name
        for tree in (*own.values(), *wrong)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    return "esp8266", chip_names(tmp_path_factory.mktemp("chip") / "flash", modules - set(own))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program_for_boards_finds_every_name_in_the_firmware(firmware, own, path):
    port, names = firmware
    found = {text for _, text in missing(names, path.read_text(), own)}
    assert found == (NOT_REACHED.get(path.stem, set()) if port == "esp8266" else set())


@pytest.mark.parametrize("case", _WRONG)
def test_name_that_the_firmware_lacks_is_found_in_a_copy(firmware, own, case):
    port, names = firmware
    source, ports = _WRONG[case]
    client = (rigs.DEVICE / "uwebsocket_client.py").read_text()
    found = missing(names, f"{client}\n{source}\n", own)
    assert bool(found) == (port in ports), found
