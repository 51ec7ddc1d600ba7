"""The fake board itself: modules, clock, faults, and what it does not let pass."""

import errno
import sys

import pytest

import fakes

NUMBERS = {
    "esp8266": {
        "EAGAIN": 11,
        "ENOMEM": 12,
        "ECONNABORTED": 103,
        "ECONNRESET": 104,
        "ENOBUFS": 105,
        "ENOTCONN": 107,
        "ETIMEDOUT": 110,
        "ECONNREFUSED": 111,
        "EHOSTUNREACH": 113,
        "EALREADY": 114,
        "EINPROGRESS": 115,
    },
    "esp32": {
        "EAGAIN": 11,
        "ENOMEM": 12,
        "ECONNABORTED": 113,
        "ECONNRESET": 104,
        "ENOBUFS": 105,
        "ENOTCONN": 128,
        "ETIMEDOUT": 116,
        "ECONNREFUSED": 111,
        "EHOSTUNREACH": 118,
        "EALREADY": 120,
        "EINPROGRESS": 119,
    },
}
NUMBERS["unix"] = NUMBERS["esp8266"]


@pytest.mark.parametrize("port", fakes.PORTS)
def test_errno_of_each_port_has_its_own_numbers(port):
    with fakes.board(port) as board:
        found = board.load("errno")
        assert {name: getattr(found, name) for name in NUMBERS[port]} == NUMBERS[port]
        assert not any(hasattr(found, name) for name in ("EPIPE", "EISCONN", "ENETUNREACH", "EWOULDBLOCK"))
        assert found.errorcode[found.EINPROGRESS] == "EINPROGRESS"


@pytest.mark.parametrize("port", fakes.PORTS)
def test_program_imports_the_modules_of_the_board_and_no_others(port):
    with fakes.board(port) as board:
        names = board.execute("import sys, errno, usocket, utime\nfrom sys import modules\nimport uerrno, usys")
        assert names["errno"] is names["uerrno"] is not errno
        assert names["sys"] is names["usys"] is not sys
        assert names["sys"].platform == {"unix": "linux"}.get(port, port)
        assert names["modules"]["utime"] is names["utime"]
        for absent in ("threading", "typing", "no_such_module"):
            with pytest.raises(ImportError):
                board.execute(f"import {absent}")
    assert "usocket" not in vars(sys) and sys.platform == "linux"


@pytest.mark.parametrize("port, present", [("esp8266", True), ("esp32", True), ("unix", False)])
def test_network_module_is_on_the_boards_only(port, present):
    with fakes.board(port) as board:
        if present:
            network = board.load("network")
            assert network.WLAN(network.STA_IF).isconnected()
            assert not network.WLAN(network.AP_IF).active()
        else:
            with pytest.raises(ImportError):
                board.load("network")


def test_program_catches_the_board_s_errors_as_os_error_with_a_number():
    with fakes.board("esp32") as board:
        names = board.execute(
            "import usocket\ntry:\n    usocket.socket().recv(1)\nexcept OSError as error:\n    number = error.errno\n"
        )
        assert names["number"] == 128
        assert board.execute("error = OSError(119)")["error"].errno == 119


def test_program_of_two_boards_has_two_states():
    with fakes.board("esp8266") as first, fakes.board("esp32") as second:
        assert first.load("_wsprotocol") is first.load("_wsprotocol")
        assert first.load("_wsprotocol") is not second.load("_wsprotocol")


def test_program_after_a_soft_reset_is_fresh():
    with fakes.board("esp8266") as board:
        before = board.load("_wsprotocol")
        board.soft_reset()
        assert board.load("_wsprotocol") is not before


def test_unknown_port_is_a_value_error_that_names_the_known():
    with pytest.raises(ValueError, match="esp8266, esp32, unix"):
        fakes.board("esp9000")


def test_time_moves_only_where_the_firmware_waits():
    with fakes.board("esp8266") as board:
        utime = board.load("utime")
        before = utime.ticks_ms()
        assert utime.ticks_ms() == before
        utime.sleep_ms(30)
        utime.sleep(1)
        assert utime.ticks_diff(utime.ticks_ms(), before) == 1030
        board.load("uselect").poll().poll(70)
        assert utime.ticks_diff(utime.ticks_ms(), before) == 1100
        assert utime.ticks_us() == 1100000


def test_ticks_wrap_at_2_to_the_30():
    with fakes.board("esp8266", ticks_start=(1 << 30) - 10) as board:
        utime = board.load("utime")
        before = utime.ticks_ms()
        utime.sleep_ms(15)
        assert (before, utime.ticks_ms()) == ((1 << 30) - 10, 5)
        assert utime.ticks_diff(utime.ticks_ms(), before) == 15


@pytest.mark.parametrize("call", ["utime.ticks_ms()", "sock.read(1)", "poller.poll(0)"])
def test_spin_without_time_passing_is_stuck(call):
    with pytest.raises(fakes.Stuck, match="10000 calls"), fakes.board("esp8266") as board:
        board.execute(f"""
import usocket, uselect, utime
sock = usocket.socket()
sock.setblocking(False)
poller = uselect.poll()
while True:
    try:
        {call}
    except Exception:
        pass
""")


def test_poll_that_nothing_ends_is_stuck():
    with pytest.raises(fakes.Stuck, match="for ever"), fakes.board("esp8266") as board:
        board.load("uselect").poll().poll()


@pytest.mark.parametrize(
    "error, raised",
    [
        ("ENOBUFS", OSError),
        (MemoryError, MemoryError),
        (KeyboardInterrupt, KeyboardInterrupt),
    ],
    ids=["errno", "memory", "interrupt"],
)
def test_fault_is_raised_by_the_call_that_it_was_ordered_for(error, raised):
    with fakes.board("esp32") as board:
        sock, _ = board.pair()
        board.fail("write", error, skip=1)
        assert sock.write(b"x") == 1
        with pytest.raises(raised):
            sock.write(b"x")
        assert sock.write(b"x") == 1
        assert board.calls["write"] == 3


def test_random_bytes_come_from_the_seed():
    def drawn(seed):
        with fakes.board("unix", seed=seed) as board:
            return board.load("os").urandom(16)

    assert drawn(1) == drawn(1) != drawn(2)


def test_print_exception_is_kept():
    with fakes.board("esp8266") as board:
        error = ValueError("no")
        board.load("sys").print_exception(error)
        assert board.printed == [error]


@pytest.mark.parametrize("port", fakes.PORTS)
def test_client_on_each_port_echoes_a_message_and_closes(port):
    with fakes.board(port) as board:
        server = board.listen("10.0.0.2", 80, upgrade=True)
        ws = board.load("uwebsocket_client").createClient()
        told = []
        ws.config({"background": False})
        ws.on("connection", lambda ws: ws.send("hello"))
        ws.on("receive", lambda ws, message, opcode: (told.append((message, opcode)), ws.close()))
        ws.on("close", lambda ws, status: told.append(status))
        ws.connect("ws://10.0.0.2/")
        board.poll_until(ws, lambda: server.peers and ws.connected)
        peer = server.accept()
        board.poll_until(ws, peer.frames)
        peer.frame(peer.frames()[0].opcode, peer.frames()[0].payload)
        board.poll_until(ws, lambda: len(peer.frames()) == 2)
        peer.close_frame(1000)
        peer.close()
        board.poll_until(ws, lambda: not ws.poll(0))
        board.advance(100)
        assert told == [("hello", 1), 0]
        assert peer.logged() == ["connected", "fin sent", "fin received"]
        assert board.open_sockets() == []
