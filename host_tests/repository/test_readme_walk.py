"""README.md walked as a newcomer does: in a clean clone, command by command, and what comes is what the page prints.

Two things are other than at a newcomer's: `.venv` and `.rigs` are there already, as `make setup` brings them, and the
board is a virtual one (PORT=virtual), the chip that is flashed the tests' boot loader. WALKED says where each command
is walked, NOT_WALKED which are not, and why. `loosened()` is what may differ between the page and a computer.
"""

import os
import pty
import re
import shutil
import signal
import subprocess
from contextlib import contextmanager, suppress

import pytest

from common import loopback, rigs
from fakes import bootloader
from support import samples
from support.terminal import Terminal

README = rigs.ROOT / "README.md"
BLOCKS = samples.blocks(README)
FIRST, SECOND = (program for program, _ in samples.programs(README)[:2])
_LONGEST_S = 240
_PRESSES = 20
_TWICE = 2  # how far a size on the page may be from what is measured: the client is worked on
_SIZE = re.compile(r"(\d+) B\b")

# Each command of the page's shell blocks: what is walked
WALKED = {
    "make flash": "test_flash",
    "make deploy ARGS=--wifi": "test_deploy",
    "make board-test": "test_board_test",
    "make demo": "test_demo",
    "make deploy PORT=virtual": "test_deploy",
    "python3 -m venv pc": "test_on_a_pc",
    "pc/bin/pip install .": "test_on_a_pc",
    "pc/bin/python -m uwebsocket_host main.py": "test_on_a_pc",
    "pc/bin/python -m uwebsocket_host --on .venv/bin/micropython main.py": "test_on_a_pc",
    "make": "test_list",
    "make dist": "test_release",
}
_LONG = "CI runs it beside this, or it takes minutes"
NOT_WALKED = dict.fromkeys(
    (f"make {target}" for target in (
        "quick", "test", "size", "bench", "compare", "autobahn", "faults", "soak", "fuzz", "cover", "lint",
    )),
    _LONG,
)  # fmt: skip
# What the text names beside: targets of make
WALKED_TARGETS = {
    "flash", "deploy", "board-test", "demo", "board", "repl", "serve", "doctor", "build", "dist",
}  # fmt: skip


def loosened(line):
    """Return a line without what differs by computer and day: numbers, ports, hashes, a table's padding."""
    line = re.sub(r"/dev/\w+(/\d+)?", "PORT", line.strip())
    return re.sub(r"(?<![A-Z\d])\d+(\.\d+)?", "#", line)  # not those of names: ESP8266


def same(shown, printed):
    """Tell whether a line of the page says what was printed, up to a "..." at its end; sizes are of the same order."""
    sizes = zip(_SIZE.findall(shown), _SIZE.findall(printed), strict=False)
    near = all(int(a) <= _TWICE * int(b) and int(b) <= _TWICE * int(a) for a, b in sizes)
    told, said = loosened(shown), loosened(printed)
    return near and (said.startswith(told.removesuffix("...")) if told.endswith("...") else said == told)


def assert_printed(block, output):
    """Check that each line of a block came, in this order; "..." and what is left out may stand for anything."""
    lines = iter(output.splitlines())
    for shown in block.splitlines():
        if shown.strip() not in ("", "..."):
            assert any(same(shown, line) for line in lines), f"{shown!r} is not in what was printed:\n{output}"


def block_with(text):
    """Return the block of output on the page that has `text`."""
    (found,) = (block for language, block in BLOCKS if language == "text" and text in block)
    return found


def commands():
    """Return the commands of the page's shell blocks."""
    lines = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
    return [line.partition("#")[0].strip() for line in lines]


class Clone:
    """A folder that has what a clone of the project has, and a shell in it."""

    def __init__(self, folder):
        self.folder = folder
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=rigs.ROOT, capture_output=True, text=True, check=True,
        ).stdout.split("\0")  # fmt: skip
        for name in filter(None, names):
            path = rigs.ROOT / name
            if path.exists() and not path.is_symlink():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, folder / name)
        for name in (".venv", ".rigs"):
            (folder / name).symlink_to((rigs.ROOT / name).resolve())
        hidden = ("PORT", "BOARD", "URL", "ARGS", "PYTHON", "MICROPY", "MAKE", "CI", "PYTEST")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}

    def run(self, line):
        """Run a line of the page; return what it prints."""
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_LONGEST_S,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}: {done.stdout}"
        return done.stdout

    @contextmanager
    def terminal(self, line):
        """Run a line that stays in the foreground, at a terminal of its own; what is left of it is ended."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(["bash", "-c", line], cwd=self.folder, env=self.environment, stdin=theirs,
                                   stdout=theirs, stderr=theirs, start_new_session=True)  # fmt: skip
        os.close(theirs)
        with Terminal(ours) as terminal:
            try:
                yield terminal
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
                process.wait(_LONGEST_S)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return Clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def board(clone):
    """`make board` in a terminal, as long as the walk lasts; its terminal."""
    with clone.terminal("make board") as terminal:
        said = terminal.wait("q  end", _LONGEST_S)
        terminal.port = re.search(r" on (/dev/\S+), for any tool PORT=virtual", said)[1]
        yield terminal
        terminal.type("q\n")


@pytest.fixture(scope="module")
def deployed(clone, board):
    """What `make deploy ARGS=--wifi` printed."""
    clone.run("cp boards/wifi.example.json boards/wifi.json && sed -i 's/: \"/: \"my /' boards/wifi.json")
    return clone.run("make deploy ARGS=--wifi PORT=virtual")


@contextmanager
def serving(clone, port=0):
    """`make serve` in a terminal; gives the URL that it prints."""
    with clone.terminal(f'make serve ARGS="--host 127.0.0.1 --port {port} --tls-port 0"') as terminal:
        yield re.search(r"serving (ws://\S+) and wss://", terminal.wait("Ctrl-C ends"))[1]


def to_prompt(terminal):
    """Press Enter until the prompt is there: what is typed before mpremote has the terminal is lost."""
    terminal.wait("to exit this shell", _LONGEST_S)
    for _ in range(_PRESSES):
        terminal.type("\r")
        with suppress(AssertionError):
            terminal.wait(">>> ", within_s=1)
            return
    terminal.wait(">>> ")


def test_every_command_of_the_readme_is_walked_or_says_why_not():
    assert set(commands()) == WALKED.keys() | NOT_WALKED.keys()
    named = set(re.findall(r"`make ([a-z-]+)", README.read_text()))
    assert named - {line.partition(" ")[2] for line in NOT_WALKED} <= WALKED_TARGETS | {"quick"}


def test_lines_that_differ_in_more_than_numbers_are_told_apart():
    assert same("copy /lib/a.mpy, 100 B", "copy /lib/a.mpy, 199 B")
    assert not same("copy /lib/a.mpy, 100 B", "copy /lib/a.mpy, 201 B")
    assert not same("all 13 steps passed", "12 of 13 steps passed")
    with pytest.raises(AssertionError, match="'two' is not in what was printed"):
        assert_printed("one\n...\ntwo\n", "two\none\n")


def test_list(clone):
    listed = dict(re.findall(r"^make ([a-z-]+) +(.+)", clone.run("make"), re.MULTILINE))
    assert {line.partition(" ")[2] for line in commands() if line.startswith("make ") and "=" not in line} <= set(
        listed
    )


@pytest.mark.parametrize("firmware", [pytest.param("ESP8266_GENERIC-20250415-v1.25.0.bin", id="released-firmware")])
def test_flash(clone, firmware):
    with bootloader.running("esp8266", flash=bytearray(4 << 20)) as chip:
        by_hand = 'ARGS="--before no-reset --after soft-reset"'  # all that a pseudo-terminal can
        output = clone.run(f"make flash PORT={chip.port} {by_hand} FIRMWARE=.rigs/firmware/{firmware}")
    block = block_with("Hash of data verified.")
    assert_printed(block.replace("Hard resetting via RTS pin...\n", ""), output)


@pytest.mark.parametrize("chip", [pytest.param(None, id="virtual-esp8266")])
def test_deploy(deployed, chip):
    assert_printed(block_with("masking in machine code for xtensa"), deployed)
    assert "copy /wifi.json" in deployed and "warning" not in deployed


@pytest.mark.parametrize("chip", [pytest.param(None, id="virtual-esp8266")])
def test_board_test(clone, deployed, chip):
    assert_printed(block_with("all 13 steps passed"), clone.run("make board-test PORT=virtual"))


def test_prompt(clone, deployed):
    with serving(clone) as url, clone.terminal("make repl PORT=virtual") as terminal:
        to_prompt(terminal)
        for line in FIRST.replace(samples.URL, url).splitlines():
            terminal.type(line + "\r")
            shown = terminal.wait(">>> ")
        assert "got hello!" in shown or terminal.wait("got hello!")


def test_doctor(clone, deployed):
    assert clone.run("make doctor PORT=virtual").endswith("all is well\n")


def test_board_in_a_terminal(board):
    for up in ("off", "on"):
        board.type("w\n")
        board.wait(f"Wi-Fi {up}")


def test_demo(clone):
    assert clone.run("make demo").endswith("everything happened as it should\n")


def test_on_a_pc(clone):
    create, install, run, run_on = (line for line in commands() if "pc" in line)
    clone.run(create)
    clone.run(install)
    with serving(clone) as url:
        program = FIRST.replace(samples.URL, url)
        main = clone.folder / "main.py"
        # The program of the page goes on for ever
        main.write_text(program.replace('print("got", message)', '(print("got", message), ws.close())'))
        assert_printed("got hello!", clone.run(run))
        main.write_text(main.read_text() + "while ws.poll(1000): pass\n")
        assert_printed("got hello!", clone.run(run_on))


def test_sensor(clone, deployed):
    port = loopback.free_port()
    with serving(clone, port) as url:
        (clone.folder / "main.py").write_text(SECOND.replace(samples.URL, url))
        said = clone.run('make deploy ARGS="--wifi --file main.py" PORT=virtual')
        assert re.findall("^copy (.+),", said, re.MULTILINE) == ["/main.py"]  # only what has changed
        assert "main.py runs; to see it run again: make repl PORT=virtual, then Ctrl-C and Ctrl-D" in said
        with clone.terminal("make repl PORT=virtual") as terminal:
            terminal.wait("the server has 21.5", _LONGEST_S)
            terminal.type("\3")
            terminal.wait(">>> ")
            terminal.type("\4")
            terminal.wait("the server has 21.5")


@pytest.mark.parametrize("way", ["by hand", "release"])
def test_release(clone, board, way):
    mpremote = f"{rigs.VENV}/bin/mpremote connect {board.port}"
    clone.run(f"{mpremote} resume exec \"import os; [os.remove('/lib/' + name) for name in os.listdir('/lib')]\"")
    if way == "by hand":
        (line,) = re.findall(r"`\.venv/bin/mpremote (cp [^`]+)`", README.read_text())
        clone.run(f"make build && {mpremote} resume {line}")
    else:
        (line,) = re.findall(r"`mpremote (mip install package\.json)` installs", README.read_text())
        clone.run("make dist && cd build/dist && python3 -m zipfile -e uwebsocket-*.zip unpacked")
        clone.run(f"cd build/dist/unpacked/uwebsocket-* && {mpremote} resume {line}")
    assert "ready" in clone.run(f"{mpremote} resume exec \"import uwebsocket_client; print('ready')\"")
