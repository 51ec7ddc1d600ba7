"""tools/faults.py and tools/common/fault_proxy.py: the proxy, the verdict, many short rounds on every interpreter."""

import contextlib
import socket
import threading

import pytest

import faults
from common import fault_proxy, rigs
from common.fault_proxy import Fault, Pause, Plan
from common.rigs import CHIP
from servers import wire

SEED = 20
ROUNDS = 600
CHIP_ROUNDS = 150
HANDSHAKE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
FRAMES = [
    wire.frame(wire.TEXT, b"hello", key=b"mask"),
    wire.frame(wire.BINARY, bytes(range(200)), key=b"keys"),
    wire.frame(wire.BINARY, bytes(70000)),
    wire.frame(wire.CLOSE),
    wire.frame(wire.PING, b"x"),
]


# Plans


def test_plan_of_same_seed_is_the_same():
    plans = [fault_proxy.make_plan(3, number, tls) for tls in (False, True) for number in range(50)]
    assert plans == [fault_proxy.make_plan(3, number, tls) for tls in (False, True) for number in range(50)]
    assert plans[:50] != [fault_proxy.make_plan(4, number) for number in range(50)]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_plans_of_many_connections_hold_every_fault_both_ways(tls):
    planned = {(plan.fault.kind, plan.fault.way) for plan in (fault_proxy.make_plan(1, n, tls) for n in range(400))}
    kinds = set(fault_proxy.KINDS) - ({"frame"} if tls else set())
    assert planned == {(kind, way) for kind in kinds for way in fault_proxy.WAYS}


def test_plans_without_tls_change_no_payload():
    for fault in (fault_proxy.make_plan(1, number).fault for number in range(2000)):
        if fault.kind == "byte":
            assert fault.offset < 160 and 0 < fault.value < 256
        elif fault.kind == "frame":
            header = fault_proxy.Spoiler(Fault("frame", "up", 0, fault.value)).spoil(HANDSHAKE + FRAMES[0])[
                len(HANDSHAKE) :
            ]
            changed, _ = wire.parse(header)
            assert changed.rsv or changed.opcode not in (0, 1, 2, 8, 9, 10) or changed.key is None


# Changing bytes


@pytest.mark.parametrize("step", [1, 2, 7, 1000, 1 << 20])
@pytest.mark.parametrize("number", range(len(FRAMES)))
@pytest.mark.parametrize(
    ("value", "change"),
    [
        pytest.param(0x4000, (0x40, 0), id="rsv1"),
        pytest.param(0x0080, (0, 0x80), id="mask bit"),
    ],
)
def test_spoiler_of_frame_changes_its_header_and_nothing_else(step, number, value, change):
    stream = HANDSHAKE + b"".join(FRAMES)
    spoiler = fault_proxy.Spoiler(Fault("frame", "up", number, value))
    spoiled = b"".join(spoiler.spoil(stream[start : start + step]) for start in range(0, len(stream), step))
    wanted = bytearray(stream)
    start = len(HANDSHAKE) + sum(map(len, FRAMES[:number]))
    wanted[start] ^= change[0]
    wanted[start + 1] ^= change[1]
    assert spoiled == wanted
    assert spoiler.struck


def test_spoiler_of_reserved_opcode_keeps_the_fin_bit():
    spoiled = fault_proxy.Spoiler(Fault("frame", "up", 0, 0xB0000)).spoil(HANDSHAKE + FRAMES[0])
    assert spoiled[len(HANDSHAKE)] == 0x8B


@pytest.mark.parametrize("offset", [0, 3, 26, 27])
def test_spoiler_of_byte_changes_that_byte_only(offset):
    spoiler = fault_proxy.Spoiler(Fault("byte", "up", offset, 0x11))
    spoiled = b"".join(bytes(spoiler.spoil(HANDSHAKE[start : start + 4])) for start in range(0, len(HANDSHAKE), 4))
    wanted = bytearray(HANDSHAKE)
    if offset < len(HANDSHAKE):
        wanted[offset] ^= 0x11
    assert (spoiled, spoiler.struck) == (wanted, offset < len(HANDSHAKE))


# The proxy


@contextlib.contextmanager
def echo_behind(plan):
    """Run an echo server for bytes behind a proxy that plays `plan`; gives the proxy."""

    def serve():
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                threading.Thread(target=echo, args=(peer,), daemon=True).start()

    def echo(peer):
        with peer, contextlib.suppress(OSError):
            while data := peer.recv(1000):
                peer.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with fault_proxy.running(listener.getsockname(), lambda number: plan) as proxy:
            yield proxy
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def receive(sock):
    """Return all that comes, and how it ended."""
    came = b""
    while True:
        try:
            data = sock.recv(1 << 16)
        except TimeoutError:
            return came, "silence"
        except ConnectionResetError:
            return came, "reset"
        if not data:
            return came, "end"
        came += data


@pytest.mark.parametrize(
    ("plan", "came", "ending", "struck"),
    [
        pytest.param(Plan(Fault("none")), 5000, "end", None, id="nothing"),
        pytest.param(
            Plan(Fault("none"), (Pause(0, 3), Pause(1, 0)), (Pause(7, 2), Pause(7, 2))), 5000, "end", None, id="pauses"
        ),
        pytest.param(Plan(Fault("fin", "down", 300)), 300, "end", 300, id="fin down"),
        pytest.param(Plan(Fault("fin", "up", 300)), 300, "end", 300, id="fin up"),
        pytest.param(Plan(Fault("stall", "down", 300)), 300, "silence", 300, id="stall down"),
        pytest.param(Plan(Fault("stall", "up", 300)), 300, "silence", 300, id="stall up"),
        pytest.param(Plan(Fault("reset", "down", 300)), None, "reset", 300, id="reset down"),
        pytest.param(Plan(Fault("reset", "up", 0)), None, "reset", 0, id="reset at once"),
    ],
)
def test_proxy_with_plan_ends_the_connection_as_planned(plan, came, ending, struck):
    sent = bytes(range(250)) * 20
    with echo_behind(plan) as proxy, socket.create_connection(proxy.address) as client:
        client.settimeout(0.3)
        with contextlib.suppress(ConnectionError):
            client.sendall(sent)
            if plan.fault.kind == "none":
                client.shutdown(socket.SHUT_WR)
        data, how = receive(client)
        client.close()
        proxy.stop()
        entry = proxy.log[0]
    assert how == ending
    assert came is None or data == sent[:came]
    assert "trouble" not in entry
    assert (entry["struck"] and entry["struck"][plan.fault.way]) == struck


def test_proxy_half_closed_passes_the_other_way_on():
    with echo_behind(Plan(Fault("fin", "down", 0))) as proxy, socket.create_connection(proxy.address) as client:
        client.settimeout(2)
        assert receive(client) == (b"", "end")
        client.sendall(b"x" * 5000)
        client.close()
        proxy.stop()
        assert proxy.log[0]["passed"] == {"up": 5000, "down": 0}


def test_proxy_whose_server_resets_resets_the_client():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plan = Plan(Fault("none"))
        with fault_proxy.running(listener.getsockname(), lambda n: plan) as proxy:
            with socket.create_connection(proxy.address) as client:
                client.settimeout(2)
                client.sendall(b"x")
                peer, _ = listener.accept()
                assert peer.recv(1) == b"x"
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                peer.close()
                assert receive(client) == (b"", "reset")


# The verdict

GOOD = {
    "round": 1,
    "closes": [0],
    "asked": True,
    "opened": 1,
    "sent": 2,
    "echoes": 2,
    "enough": 2,
    "pongs": 0,
    "wrong": None,
    "raised": False,
    "close_code": 1000,
    "errno": None,
    "alive": False,
    "took_ms": 20,
    "longest_ms": 20,
}


def struck(kind, way, down=1000):
    return {"fault": {"kind": kind, "way": way}, "struck": {"up": 1000, "down": down}}


@pytest.mark.parametrize(
    ("entry", "changes"),
    [
        pytest.param(struck("none", "up") | {"struck": None}, {}, id="no fault"),
        pytest.param(struck("stall", "up"), {}, id="after the close"),
        pytest.param(
            struck("reset", "up", down=0), {"closes": [-111], "opened": 0, "asked": False, "sent": 0}, id="refused"
        ),
        pytest.param(struck("reset", "up"), {"closes": [-109], "asked": False}, id="reset"),
        pytest.param(struck("frame", "down"), {"closes": [-202], "asked": False, "raised": 107}, id="broken frame"),
    ],
)
def test_verdict_on_fitting_round_is_silent(entry, changes):
    assert faults.judge("micropython32", "ws", entry, GOOD | changes) == []


def test_verdict_on_the_chip_takes_a_reset_that_came_as_an_end_and_a_close_that_came_before_that_of_the_program():
    for kind, changes in (("reset", {"closes": [-99], "asked": False}), ("frame", {"closes": [-6]})):
        assert faults.judge(CHIP, "ws", struck(kind, "up"), GOOD | changes) == []
        assert faults.judge("micropython32", "ws", struck(kind, "up"), GOOD | changes) != []
    (wrong,) = faults.judge(CHIP, "ws", struck("reset", "up"), GOOD | {"closes": [-19], "asked": False})
    assert "-19" in wrong


@pytest.mark.parametrize(
    ("entry", "changes", "text"),
    [
        pytest.param(None, {}, "no connection", id="not seen"),
        pytest.param(struck("fin", "up"), {"closes": []}, "came 0 times", id="no close"),
        pytest.param(struck("fin", "up"), {"closes": [-99, -99], "asked": False}, "came 2 times", id="two closes"),
        pytest.param(struck("fin", "up"), {"closes": [-109], "asked": False}, "-99", id="another status"),
        pytest.param(struck("fin", "up"), {"closes": [-99]}, "status -99, where [0] fit", id="own close"),
        pytest.param(
            struck("none", "up") | {"struck": None}, {"closes": [-19], "asked": False}, "status -19", id="no reason"
        ),
        pytest.param(
            struck("reset", "up", down=0),
            {"closes": [-109], "opened": 0, "asked": False, "sent": 0},
            "status -109",
            id="refused, told as reset",
        ),
        pytest.param(
            struck("stall", "up"), {"wrong": "message 1 is not as it was sent"}, "as it was sent", id="changed"
        ),
        pytest.param(struck("stall", "up"), {"echoes": 1}, "before all messages", id="lost"),
        pytest.param(struck("stall", "up"), {"opened": 2}, "wrong time", id="opened twice"),
        pytest.param(struck("stall", "up"), {"raised": 5}, "raised 5", id="another error"),
        pytest.param(struck("stall", "up"), {"alive": True}, "still alive", id="alive"),
        pytest.param(struck("stall", "up"), {"took_ms": 9000}, "took 9000 ms", id="slow"),
        pytest.param(struck("stall", "up"), {"longest_ms": 3000}, "one poll", id="blocked"),
        pytest.param(struck("stall", "up") | {"trouble": "KeyError"}, {}, "the proxy failed", id="trouble"),
    ],
)
def test_verdict_on_unfitting_round_says_why(entry, changes, text):
    (wrong,) = faults.judge("micropython32", "ws", entry, GOOD | changes)
    assert text in wrong


@pytest.mark.parametrize(
    ("use", "number"),
    [
        ({"fds": [4, 4], "heap": [1000, 1100]}, 0),
        ({"fds": [4, 5], "heap": [0, 0]}, 1),
        ({"fds": [4, 4], "heap": [0, 9000]}, 1),
    ],
    ids=["same", "descriptor", "heap"],
)
def test_verdict_on_use_finds_leaks(use, number):
    assert len(faults.judge_use(use)) == number


@pytest.mark.parametrize(
    ("program", "text"),
    [
        pytest.param("raise ValueError('spoilt')", "spoilt", id="raises"),
        pytest.param("import os; os._exit(9)", "ended with 9", id="crashes"),
        pytest.param("print('nothing')", "ended with 0", id="plays nothing"),
    ],
)
def test_play_of_failing_program_names_the_round(tmp_path, program, text):
    path = tmp_path / "program.py"
    path.write_text(program)
    outcome = faults.play("cpython", "ws", SEED, 5, 2, 9, program=path)
    ((number, problem),) = outcome.problems
    assert number == 5 and text in problem


# The rounds


@pytest.fixture(scope="module")
def outcomes():
    """{(interpreter, scheme): Outcome}, all played at once."""
    played = faults.run(rigs.INTERPRETERS, faults.SCHEMES, SEED, 0, ROUNDS)
    return {(outcome.rig, outcome.scheme): outcome for outcome in played}


@pytest.mark.parametrize("scheme", faults.SCHEMES)
@pytest.mark.parametrize("rig", rigs.INTERPRETERS)
def test_rounds_behind_faulty_proxy_end_intact_or_with_a_fitting_status(outcomes, rig, scheme):
    outcome = outcomes[rig, scheme]
    assert [problem for _, problem in outcome.problems] == []
    assert len(outcome.results) == ROUNDS


def test_rounds_on_the_chip_end_intact_or_with_a_fitting_status():
    (outcome,) = faults.run((CHIP,), faults.SCHEMES, SEED, 0, CHIP_ROUNDS)
    assert [problem for _, problem in outcome.problems] == []
    assert (outcome.scheme, len(outcome.results)) == ("ws", CHIP_ROUNDS)


@pytest.mark.parametrize("scheme", faults.SCHEMES)
def test_rounds_of_all_interpreters_meet_every_fault(outcomes, scheme):
    struck = {
        (entry["fault"]["kind"], entry["fault"]["way"], bool(outcome.results[number]["opened"]))
        for outcome in outcomes.values()
        if outcome.scheme == scheme
        for number, entry in outcome.log.items()
        if entry["struck"]
    }
    for kind in set(fault_proxy.KINDS) - {"none", "frame", "byte"}:
        assert {(kind, way, opened) for way in fault_proxy.WAYS for opened in (False, True)} <= struck


def test_tool_with_a_round_of_its_own_prints_the_table(capsys):
    assert faults.main(["--only", "2", "--on", "cpython", "--seed", "1"]) == 0
    assert "cpython ws" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--on", "lua"], ["--schemes", "http"], ["--runs", "0"]], ids=" ".join)
def test_tool_with_wrong_arguments_is_a_usage_error(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        faults.main(arguments)
    assert ended.value.code == 2
    assert "--on takes" in capsys.readouterr().err
