"""uwebsocket_host: the fixtures for device programs, and what CPython is given to run one unchanged."""

import os
import subprocess
import sys

import pytest
from uwebsocket_host.servers.steps import Close, Frame, Reply
from uwebsocket_host.servers.wire import BINARY, CONTINUATION, TEXT

from common import echo_server, rigs

URL = "ws://192.168.1.10:8080/"
_LONGEST_S = 60
_CONNECT = """
import uwebsocket_client as websocket

ws = websocket.createClient()
ws.on("receive", lambda ws, message, opcode: print("got", message))
ws.on("close", lambda ws, status: print("closed", status))
"""


@pytest.fixture
def play(tmp_path, device_program, websocket_server):
    """Write a program, start it against the server, and return it as Program."""

    def start(text, **options):
        path = tmp_path / "written" / "main.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(_CONNECT + text)
        return device_program(path, {URL: websocket_server.url} if URL in text else {}, **options)

    return start


def test_program_that_ends_with_connect_is_served_until_all_are_closed(play, websocket_server):
    websocket_server.play(Reply(), Frame(TEXT, b"hello"), Close(1000))
    assert play(f"ws.connect({URL!r})").rest() == ["got hello", "closed -6"]


def test_program_that_sleeps_is_served_meanwhile(play, websocket_server):
    websocket_server.play(Reply(), Frame(TEXT, b"hello"))
    text = f"""
import time
ws.on("receive", lambda ws, message, opcode: (print("got", message), ws.close()))
ws.connect({URL!r})
while not ws.close_code == 1000:
    time.sleep_ms(10)
"""
    assert play(text).rest() == ["got hello", "closed 0"]


def test_program_that_owns_the_loop_is_not_served_behind_its_back(play):
    text = f"""
import time
ws.config({{"background": False}})
ws.connect({URL!r})
time.sleep(0.5)
print("connected", ws.connected)
"""
    assert play(text).rest() == ["connected False"]


def test_program_whose_handler_fails_in_the_background_goes_on(play, websocket_server):
    websocket_server.play(Reply(), Frame(TEXT, b"x"), Close(1000))
    text = f"""
ws.on("receive", lambda ws, message, opcode: 1 // 0)
ws.connect({URL!r})
"""
    printed = play(text).rest()
    assert printed[-2].startswith("ZeroDivisionError") and printed[-1] == "closed -6"


def test_program_of_two_clients_that_sleep_within_handlers_ends(play, websocket_server):
    websocket_server.play(Reply(), Frame(TEXT, b"x"), Close(1000))
    text = f"""
import time
def slow(ws, message, opcode):
    time.sleep(0.1)
    print("slept")
for one in (ws, websocket.createClient()):
    one.on("receive", slow)
    one.connect({URL!r})
"""
    assert sorted(play(text).rest()) == ["closed -6", "slept", "slept"]


def test_program_finds_what_micropython_has_beside_cpython(play):
    text = """
import gc, time, uasyncio, ujson
from micropython import const
print(time.ticks_diff(time.ticks_add(time.ticks_ms(), 5), time.ticks_ms()) > 0, gc.mem_free() > const(0))
print(uasyncio.run(uasyncio.wait_for_ms(uasyncio.sleep_ms(1), 1000)), ujson.loads("[1]"))
"""
    assert play(text).rest() == ["True True", "None [1]"]


def test_program_imports_what_lies_beside_it_on_both(play, tmp_path):
    (tmp_path / "written").mkdir()
    (tmp_path / "written" / "beside.py").write_text("number = 7")
    for on in (None, " ".join(rigs.command("micropython64"))):
        assert play("from beside import number\nprint(number)", on=on).rest() == ["7"]


def test_program_that_fails_fails_the_test_with_what_it_said(play):
    with pytest.raises(AssertionError, match="(?s)ZeroDivisionError.*the program has ended with 1"):
        play("1 // 0").rest()


def test_line_of_a_program_that_has_ended_is_an_error(play):
    program = play("print('one')")
    assert program.line() == "one"
    for _ in range(2):
        with pytest.raises(AssertionError, match="the program has ended, with 0"):
            program.line()


def test_line_of_a_program_that_is_silent_is_an_error(play):
    with pytest.raises(AssertionError, match="the program printed nothing for 1 s"):
        play("import time\ntime.sleep(60)", timeout_s=1).line()


def test_text_that_a_program_does_not_have_is_refused(tmp_path, device_program):
    (tmp_path / "other.py").write_text("print(1)")
    with pytest.raises(ValueError, match="does not name 'ws://"):
        device_program(tmp_path / "other.py", {URL: "ws://127.0.0.1/"})


def test_server_stopped_refuses_and_started_again_has_its_address(play, websocket_server):
    url = websocket_server.url
    websocket_server.stop()
    assert play(f"ws.connect({URL!r})").rest() == ["closed -111"]
    websocket_server.start()
    assert websocket_server.url == url
    text = f"""
ws.on("connection", lambda ws: ws.send("again"))
ws.on("receive", lambda ws, message, opcode: (print(message), ws.close()))
ws.connect({URL!r})
"""
    assert play(text).rest() == ["again", "closed 0"]


def test_server_stopped_ends_its_connections(play, websocket_server):
    text = f"""
ws.on("connection", lambda ws: ws.send("hello"))
ws.connect({URL!r})
"""
    program = play(text, timeout_s=_LONGEST_S / 2)  # a connection lasts 60 s by itself
    assert program.line() == "got hello"
    websocket_server.stop()
    assert program.line() == "closed -99"


def test_messages_of_the_server_are_whole_and_of_their_kind(play, websocket_server):
    text = f"""
def connected(ws):
    ws.send("one, ", fin=False)
    ws.send("two", 0)
    ws.send(b"three")
    ws.close()
ws.on("connection", connected)
ws.connect({URL!r})
"""
    assert play(text).rest()[-1] == "closed 0"
    assert websocket_server.messages == ["one, two", b"three"]
    opcodes = [frame.opcode for frame in websocket_server.records[0].frames]
    assert opcodes[:3] == [TEXT, CONTINUATION, BINARY]


def test_server_told_for_one_connection_echoes_the_next(play, websocket_server):
    websocket_server.play_once(Reply("HTTP/1.1 404 Not Found"))
    text = f"""
ws.on("connection", lambda ws: ws.send("echo"))
ws.connect({URL!r})
while ws.poll(1000):
    pass
ws.on("receive", lambda ws, message, opcode: (print(message), ws.close()))
ws.connect({URL!r})
"""
    assert play(text).rest() == ["closed -17", "echo", "closed 0"]


@pytest.mark.parametrize(
    "name", ["download", "echo", "fragments", "headers", "ping", "sensor_asyncio", "sensor_callbacks"]
)
def test_example_runs_unchanged_on_cpython(name, device_program):
    with echo_server.running() as url:
        program = device_program(rigs.DEVICE / "examples" / f"{name}.py", {URL: url})
        assert program.rest()[-1].startswith("closed: 0")


def test_example_of_the_background_reconnects_on_cpython(device_program, websocket_server):
    websocket_server.play_once(Reply(), Frame(TEXT, b"good morning"), Close(1001))
    program = device_program(rigs.DEVICE / "examples" / "background.py", {URL: websocket_server.url})
    assert program.lines(3) == ["received: good morning", "closed: -6", "received: hello!"]


@pytest.mark.parametrize("port", ["esp8266", "esp32"])
def test_scripted_board_runs_a_program_and_what_lies_beside_it(port, scripted_board, tmp_path, capsys):
    (tmp_path / "beside.py").write_text(f"URL = {URL!r}")
    (tmp_path / "main.py").write_text(_CONNECT + "import beside\nws.connect(beside.URL)\n")
    board = scripted_board(port)
    server = board.echo("192.168.1.10", 8080)
    board.clock.after(1000, lambda: server.peers[0].frame(TEXT, "hello"))
    board.run(tmp_path / "main.py", for_ms=5000)
    assert board.clock.now == 5000
    assert capsys.readouterr().out == "got hello\n"


def test_scripted_board_echoes_and_closes_in_order(scripted_board, tmp_path, capsys):
    text = """
ws.on("connection", lambda ws: ws.send("hello"))
ws.on("receive", lambda ws, message, opcode: (print(message), ws.close(4000)))
ws.connect("ws://192.168.1.10:8080/")
"""
    (tmp_path / "main.py").write_text(_CONNECT + text)
    board = scripted_board("esp32")
    server = board.echo("192.168.1.10", 8080)
    board.run(tmp_path / "main.py", for_ms=1000)  # without the server's FIN it would take 5 s
    assert capsys.readouterr().out == "hello\nclosed 0\n"
    assert "fin sent" in server.peers[0].logged()


def test_scripted_board_ends_a_program_that_has_no_end(scripted_board, tmp_path):
    (tmp_path / "main.py").write_text("import time\ncount = 0\nwhile True:\n    time.sleep(1)\n    count += 1\n")
    board = scripted_board("esp32")
    assert board.run(tmp_path / "main.py", for_ms=3600500)["count"] == 3600


def _host(*arguments):
    command = [sys.executable, "-m", "uwebsocket_host", *arguments]
    environment = os.environ | {"PYTHONPATH": str(rigs.ROOT / "host_tests")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_LONGEST_S)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("absent.py",), "uwebsocket_host: absent.py is no file (try: the path of a program)\n"),
        (("--on", "no-such", __file__), "uwebsocket_host: no MicroPython is called 'no-such' (try: --on with its path"),
    ],
    ids=["program", "micropython"],
)
def test_entry_without_what_it_needs_says_so_with_the_remedy(arguments, said):
    done = _host(*arguments)
    assert (done.returncode, done.stderr[: len(said)]) == (1, said)


def test_entry_without_a_program_is_wrong_usage():
    assert _host().returncode == 2


def test_entry_passes_arguments_and_the_exit_code_on(tmp_path):
    (tmp_path / "main.py").write_text("import sys\nsys.exit(len(sys.argv))")
    assert _host(str(tmp_path / "main.py"), "--one", "two").returncode == 3
