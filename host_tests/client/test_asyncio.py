"""The front-end for asyncio on every interpreter, by host_tests/upy/asyncio_program.py, and websockets programs."""

import shutil

import pytest

from common import echo_server, rigs
from servers import compressing, tls
from servers.raw import RawServer
from servers.steps import Await, Close, Echo, Frame, Listen, Pause, Raw, Reply, Reset, Stuff, Times, Together
from servers.wire import PING, TEXT
from support import samples
from support.programs import CHIP, told

on_all = pytest.mark.parametrize("interpreter", rigs.INTERPRETERS)

# MicroPython's heaps where a case shows that messages are not gathered, or has large ones
_HEAPS = {
    "nobody_receives": "900k",
    "stalled": "40m",
    "stalled_too_long": "40m",
    "stalled_whole_messages": "40m",
    "both_ways": "40m",
    "room_after_a_while": "40m",
}

_SCRIPTS = {
    "lost": (Reply(), Frame(TEXT, b"last"), Pause(50), Reset()),
    "refuses": (Raw(b"HTTP/1.1 403 Forbidden\r\n\r\n"),),
    "burst": (Reply(), Together(tuple(Frame(TEXT, str(i).encode()) for i in range(200))), Close(1000)),
    "flood": (Reply(), Together(tuple(Frame(TEXT, b"again") for _ in range(200))), Echo()),
    "late": (Reply(), Pause(600), Await(TEXT), Frame(TEXT, b"thanks"), Close(1000)),
    "mute": (Listen(3000),),
    "deaf": (Reply(), Pause(2500)),
    "closes_at_once": (Together((Reply(), Close(4000, b"full"))),),
    "echo": (Reply(), Echo()),
    "pings": (Reply(), Stuff(Times(20000, Frame(PING, b"x" * 125))), Close(1000, b"enough")),
    "silent": (Reply(), Listen(3000)),
}

_CLOSED = "ConnectionClosed"

# Case of the program -> what it tells
CASES = {
    "echoes": [True] * 7 + ["text"],
    "protocol": "chat",
    "awaited": ["hello", [_CLOSED, 0, 4000, "enough"], [_CLOSED, 0, 4000, "enough"], "4000 enough"],
    "normal_end": [[], None],
    "other_end": [[], [-6, 4000, "bye"]],
    "lost": [["last"], [-109, 1006, ""]],
    "not_opened": [
        [_CLOSED, -111, 1006, ""], [_CLOSED, -4, 1006, ""], [_CLOSED, -17, 1006, "HTTP/1.1 403 Forbidden"],
    ],
    "wrong_config": [
        ["ValueError", "config: unknown key 'subprotocols'"],
        ["ValueError", "config: ping_limit must be a whole number from 1 to 536870911"],
    ],
    "wrong_message": ["TypeError", "ValueError", "ValueError", "still there?"],
    "half_a_message": [[_CLOSED, 0, 1002, "incomplete fragmented message"], "1011 "],
    "burst": True,
    "nobody_receives": True,
    "read_ahead": 1,
    "room_after_a_while": [["thanks"], None],
    "two_senders": [[1 if i % 3 else 30000 + i for i in range(20)]] * 2,
    "two_receivers": ["RuntimeError", "for the first"],
    "patience": ["TimeoutError"] * 3 + ["after all"],
    "opening_takes_long": ["TimeoutError", [_CLOSED, -18, 1006, "time-out: reply"]],
    "error_in_the_body": [["ValueError", "mine"], "1000 "],
    "cancelled_in_the_body": ["cancelled", "1000 ", [_CLOSED, 0, 1000, ""]],
    "closed_while_others_wait": [_CLOSED, 0, 1000, "done"],
    "stalled": [False, True, "cancelled", [_CLOSED, 0, 1006, ""]],
    "stalled_too_long": [[_CLOSED, -103, 1006, ""]] * 2,
    "stalled_whole_messages": [True, True, "cancelled", [_CLOSED, -103, 1006, ""]],
    "closes_at_once": [[_CLOSED, -6, 4000, "full"]] * 2,
    "cancelled_while_opening": ["cancelled", "cancelled", "still there?"],
    "both_ways": True,
    "pings_to_a_full_link": [[], None],
    "silent": [[], [-19, 1006, ""]],
    "unanswered_close": [_CLOSED, 0, 1006, ""],
    "many": 50,
    "again": [4000, "left open", 4000, 4000],
    "again_without_headers": [
        [["ValueError", "no token"], ["ValueError", "config: header X must be a str without CR, LF and NUL"]], 3,
    ],
    "again_in_vain": [[_CLOSED, -3, 1006, ""], "TimeoutError"],
}  # fmt: skip


@pytest.fixture(scope="module")
def url():
    with echo_server.running() as root:
        yield root


@pytest.fixture(scope="module")
def raw():
    with RawServer(_SCRIPTS) as server:
        yield server


@pytest.fixture
def play(interpreter, url, raw):
    """Play a case of the program; return what it told, and what it has left in the loop."""

    def play(case, root=url, **options):
        arguments = case, root, raw.url(""), f"ws://127.0.0.1:{raw.closed_port}/"
        return told(interpreter, "asyncio_program.py", *arguments, **options)

    return play


# What the chip's heap cannot hold: large messages, fifty clients.
_NOT_ON_THE_CHIP = {*_HEAPS, "echoes", "half_a_message", "two_senders", "many", "pings_to_a_full_link"}


@pytest.mark.parametrize(
    ("case", "interpreter"),
    [
        pytest.param(case, interpreter, id=f"{case}-{interpreter}")
        for case in CASES
        for interpreter in (*rigs.INTERPRETERS, CHIP)
        if interpreter != CHIP or case not in _NOT_ON_THE_CHIP
    ],
)
def test_case_played_in_a_loop_is_as_expected_and_leaves_nothing(play, case, interpreter):
    heap = None if interpreter == "cpython" else _HEAPS.get(case)
    assert play(case, heap=heap)[case] == [CASES[case], ""]


@on_all
def test_wss_echoes_come_back(play, interpreter):
    with tls.Authority() as authority, echo_server.running(tls=authority.context()) as root:
        assert play("secure", root)["secure"] == [[True] * 3, ""]


@on_all
@pytest.mark.parametrize("context", [0, 1], ids=["begun-anew", "kept"])
def test_compressed_messages_of_a_server_that_insists_come_back(play, interpreter, context):
    with compressing.running() as urls:
        assert play("compressed", urls[context])["compressed"] == [[True] * 4, ""]


@pytest.mark.parametrize("interpreter", ["cpython"])
def test_loop_that_stops_closes_what_is_open(play):
    found = play("not_closed")
    assert found["not_closed"][0] == "x"
    assert found["told"] == "1001 "


@pytest.mark.parametrize("interpreter", ["micropython32", CHIP])
def test_client_in_the_background_goes_on_beside_asyncio(interpreter, url, tmp_path):
    if interpreter != CHIP:
        for name in ("machine.py", "board_signals.py"):  # timers: the PC has none
            shutil.copy(rigs.ROOT / "tools" / "programs" / "board" / name, tmp_path)
    found = told(interpreter, "beside_program.py", url, before=None if interpreter == CHIP else str(tmp_path))
    assert found["beside"] == [True, [0], True]
    assert found["left"] is True


# Programs in the manner of the guide of PyPI's `websockets`, and what they print
_IMPORTS = "from websockets.asyncio.client import connect\nfrom websockets.exceptions import ConnectionClosed\n"
_RECIPES = {
    "quick-start": ('''
async def hello():
    async with connect(URL) as websocket:
        await websocket.send("Ann")
        print("sent Ann")
        greeting = await websocket.recv()
        print("got", greeting)

asyncio.run(hello())
''', ["sent Ann", "got Ann"]),
    "await": ('''
async def hello():
    websocket = await connect(URL)
    await websocket.send("Ann")
    print(await websocket.recv())
    await websocket.close()
    try:
        await websocket.recv()
    except ConnectionClosed:
        print("closed")

asyncio.run(hello())
''', ["Ann", "closed"]),
    "reconnect": ('''
async def main():
    rounds = 0
    async for websocket in connect(URL + "close?code=4000"):
        try:
            rounds += 1
            if rounds == 3:
                break
            await websocket.send("hello")
            async for message in websocket:
                print(message)
        except ConnectionClosed:
            print("closed")
            continue
    print("over")

asyncio.run(main())
''', ["closed", "closed", "over"]),
    "consumer": ('''
async def consumer_handler(websocket):
    async for message in websocket:
        print("consumed", message)
        if message == "2":
            await websocket.close()

async def main():
    async with connect(URL) as websocket:
        for i in range(3):
            await websocket.send(str(i))
        await consumer_handler(websocket)
        print("over")

asyncio.run(main())
''', ["consumed 0", "consumed 1", "consumed 2", "over"]),
    "producer": ('''
number = 0

async def produce():
    global number
    number += 1
    await asyncio.sleep(0.01)
    return str(number)

async def producer_handler(websocket):
    while True:
        try:
            message = await produce()
            await websocket.send(message)
        except ConnectionClosed:
            print("the producer ends")
            break

async def consumer_handler(websocket):
    async for message in websocket:
        print("consumed", message)
        if message == "3":
            await websocket.close()

async def main():
    async with connect(URL) as websocket:
        await asyncio.gather(consumer_handler(websocket), producer_handler(websocket))

asyncio.run(main())
''', ["consumed 1", "consumed 2", "consumed 3", "the producer ends"]),
}  # fmt: skip


def _recipe(name):
    return f'import asyncio\n{_IMPORTS}\nURL = "{samples.URL}"\n{_RECIPES[name][0]}'


@pytest.mark.parametrize("name", _RECIPES)
def test_recipe_run_with_websockets_prints_what_is_said(name, url, tmp_path):
    assert samples.run("cpython", _recipe(name), tmp_path, {samples.URL: url}) == _RECIPES[name][1]


@on_all
@pytest.mark.parametrize("name", _RECIPES)
def test_recipe_run_with_other_imports_prints_the_same(name, interpreter, url, tmp_path):
    replaced = {samples.URL: url, _IMPORTS: "from uwebsocket_asyncio import ConnectionClosed, connect\n"}
    assert samples.run(interpreter, _recipe(name), tmp_path, replaced) == _RECIPES[name][1]


_PAGE = samples.programs(rigs.ROOT / "docs" / "asyncio.md")


@on_all
@pytest.mark.parametrize("number", range(len(_PAGE)))
def test_program_of_the_page_prints_what_stands_below(number, interpreter, url, tmp_path):
    source, printed = _PAGE[number]
    assert samples.run(interpreter, source, tmp_path, {samples.URL: url}) == printed
