"""The client on the virtual ESP8266, in each way that it can get there."""

import shutil

import pytest

from common import echo_server
from common.virtual_esp8266_client import WAYS, prepare, running
from support.terminal import Terminal

each_way = pytest.mark.parametrize("way", [pytest.param(way, id=f"virtual-esp8266-{way}") for way in WAYS])

CLIENT = """
import uwebsocket_client as websocket
told = []
ws = websocket.createClient()
ws.on("connection", lambda ws: told.append("connection"))
ws.on("receive", lambda ws, message, opcode: told.append((len(message), opcode)))
ws.on("close", lambda ws, status: told.append(status))
def until(what, count=1):
    while told.count(what) < count:
        if not ws.poll(1000) and told.count(what) < count:
            raise RuntimeError(told)
"""
ECHO = """
def echo(size):
    ws.send(bytes(size))
    until((size, 2))
"""
# What a person types: "got" and the message appear while the prompt waits.
TYPED = (
    "import uwebsocket_client as websocket; ws = websocket.createClient()",
    "ws.on('connection', lambda ws: print('open', 6 * 7))",
    "ws.on('receive', lambda ws, message, opcode: print('got', message + '!'))",
    "ws.on('close', lambda ws, status: print('closed', status))",
)


@pytest.fixture(scope="module")
def url():
    with echo_server.running() as root:
        yield root


@pytest.fixture(scope="module")
def flashes(tmp_path_factory):
    """Return a function that gives the flash file of a way: the first time it is made, then it is a copy."""
    made = {}

    def flashes(way, copy):
        if way not in made:
            made[way] = tmp_path_factory.mktemp(way) / "flash"
            prepare(way, made[way])
        return shutil.copy(made[way], copy)

    return flashes


@pytest.fixture
def session(way, flashes, tmp_path):
    with running(way, flashes(way, tmp_path / "flash")) as session:
        yield session


@pytest.fixture
def terminal(way, flashes, tmp_path):
    with running(way, flashes(way, tmp_path / "flash")) as session:
        session.__exit__()
        with Terminal(session.chip.port) as terminal:
            yield session.chip, terminal


def shows(terminal, line, text):
    """Type a line after which that appears, before the next prompt or while it waits."""
    terminal.type(line + "\r")
    terminal.wait(text)


def typed(terminal, url):
    for line in TYPED:
        terminal.line(line)
    shows(terminal, f"ws.connect({url!r})", "open 42")


@each_way
def test_client_on_the_chip_echoes_what_fits_closes_and_connects_again(session, url):
    session.fresh()
    session.exec(CLIENT + ECHO)
    for _ in range(2):
        session.exec(f"ws.connect({url!r})\nuntil('connection')")
        for size in (0, 1, 126, 1000, 4000, 8000):
            session.exec(f"echo({size})")
        session.exec("ws.send('x' * 3000)\nuntil((3000, 1))")
        said = session.exec("ws.close()\nuntil(0)\nprint(told, ws.poll(), ws.close_code)\ntold.clear()")
        sizes = "(0, 2), (1, 2), (126, 2), (1000, 2), (4000, 2), (8000, 2), (3000, 1)"
        assert said == f"['connection', {sizes}, 0] False 1000\n"


@each_way
def test_client_on_the_chip_reconnects_after_the_server_has_closed(session, url):
    session.fresh()
    session.exec(CLIENT)
    session.exec("ws.config({'reconnect': True, 'reconnect_min_ms': 1, 'reconnect_max_ms': 50})")
    session.exec(f"ws.connect({url + 'close?code=4000&reason=bye'!r})")
    for count in range(1, 4):
        session.exec(f"until('connection', {count})\nws.send('x')\nuntil(-6, {count})")
    assert session.exec(
        "until('connection', 4)\nprint(ws.connected, told)\nws.close()\nuntil(0)\nprint(ws.poll())"
    ) == (f"True {['connection', -6] * 3 + ['connection']}\nFalse\n")


@each_way
def test_rounds_on_the_chip_leave_nothing_behind(session, url):
    session.fresh()
    session.exec(CLIENT + ECHO)
    round_ = f" ws.connect({url!r})\n until('connection')\n echo(100)\n ws.close()\n until(0)\n"
    used = []
    for _ in range(4):
        session.exec(f"for i in range(6):\n{round_} told.clear()")
        used.append(int(session.exec("import gc\ngc.collect()\nprint(gc.mem_alloc())")))
    assert used[-1] <= used[0], used


@each_way
def test_client_on_the_chip_at_the_prompt_gets_events_by_itself(terminal, url):
    _, terminal = terminal
    terminal.line("")
    typed(terminal, url)
    for message in ("one", "two", "three"):
        shows(terminal, f"ws.send({message!r})", f"got {message}!")
        assert terminal.line("6 * 7") == "42"
    shows(terminal, "ws.close()", "closed 0")


@each_way
@pytest.mark.parametrize("reset", ["soft", "hard"])
def test_client_on_the_chip_begins_anew_after_a_reset_with_an_open_connection(terminal, url, reset):
    chip, terminal = terminal
    terminal.line("")
    for _ in range(3):
        typed(terminal, url)
        shows(terminal, "ws.send('one')", "got one!")
        if reset == "soft":
            terminal.type("\x04")
        else:
            chip.reset()
        terminal.wait("MicroPython v")
        terminal.wait(">>> ")
        chip.check()
    typed(terminal, url)
    shows(terminal, "ws.send('again')", "got again!")
    chip.check()


@each_way
def test_client_on_the_chip_without_wifi_ends_and_comes_back_with_it(terminal, url):
    chip, terminal = terminal
    terminal.line("")
    typed(terminal, url)
    shows(terminal, "ws.close()", "closed 0")
    terminal.line("ws.config({'reconnect': True, 'reconnect_min_ms': 1, 'reconnect_max_ms': 200})")
    terminal.line("ws.config({'ping_interval_ms': 300})")
    shows(terminal, f"ws.connect({url!r})", "open 42")
    terminal.type("while ws.poll(1000): pass\r\r\r")
    for _ in range(2):
        chip.wifi(False)
        terminal.wait("closed -1")  # -104 where a ping could not be sent, -19 where it was not answered
        chip.wifi(True)
        terminal.wait("open 42")
    chip.check()
