"""Every scenario of servers/scenarios.py, over real sockets, on every interpreter.

One process of each interpreter plays all scenarios of a batch with one client object; the tests then look at what it
printed and at what the server recorded.
"""

import base64
import hashlib
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import rigs
from servers import scenarios, wire
from servers.raw import RawServer
from servers.scenarios import SCENARIOS

_PROGRAM = Path(__file__).parent / "upy" / "status_program.py"
_BATCH_S = 240
_HEAP = "64m"
_LONGEST_POLL_MS = 1000  # 50 ms are asked for; the rest is a busy machine's
_HEAP_GROWTH = 1024

_BATCHES = [
    (rig, heap)
    for rig in rigs.INTERPRETERS
    for heap in dict.fromkeys(scenario.heap for scenario in SCENARIOS.values() if rig in scenario.on)
]
_CASES = [
    pytest.param(rig, name, id=f"{rig}-{name}")
    for rig in rigs.INTERPRETERS
    for name, scenario in SCENARIOS.items()
    if rig in scenario.on
]
# What a ws:// client can meet over a real socket of this kernel.
_STATUSES = [*range(-8, 1), -10, -11, -13, -15, -17, -18, -19, -99, -103, -104, -109, -111, -202, -207]
_DATA_FRAMES = (wire.CONTINUATION, wire.TEXT, wire.BINARY, wire.PING, wire.PONG)


def _target(rig, name):
    return f"{name}?on={rig}"


def _job(server, rig, name, first):
    scenario = SCENARIOS[name]
    ports = {"port": server.port, "closed_port": server.closed_port, "full_port": server.full_port}
    url = server.url(_target(rig, name)) if scenario.url is None else scenario.url.format(**ports)
    return {
        "name": name,
        "first": first,
        "url": url,
        "config": scenario.config,
        "calls": scenario.calls,
        "data": scenario.data,
        "budget_ms": scenario.budget_ms,
    }


def _play(server, rig, heap, folder):
    """Play a batch on one interpreter; return {name: result}."""
    names = [name for name, scenario in SCENARIOS.items() if rig in scenario.on and scenario.heap == heap]
    first_of_status = {SCENARIOS[name].status: name for name in reversed(names)}.values()
    jobs = [_job(server, rig, name, name in first_of_status) for name in names]
    batch = folder / f"{rig}-{heap}.json"
    batch.write_text(json.dumps(jobs, ensure_ascii=False))  # MicroPython's json joins no surrogates
    options = [] if rig == "cpython" else ["-X", f"heapsize={heap or _HEAP}"]
    command = [*rigs.command(rig), *options, str(_PROGRAM), str(batch)]
    try:
        done = subprocess.run(
            command, env=rigs.device_env(rig), capture_output=True, text=True, timeout=_BATCH_S, check=False
        )
        output, errors = done.stdout, f"{done.stderr}ended with {done.returncode}"
    except subprocess.TimeoutExpired as error:
        output, errors = ((part or b"").decode() for part in (error.stdout, error.stderr))
        errors += f"still running after {_BATCH_S} s"
    # MicroPython writes its tracebacks to either stream.
    lines = output.splitlines()
    results = [json.loads(line) for line in lines if line.startswith("{")]
    said = [line for line in lines if not line.startswith("{")]
    return {result["name"]: result for result in results} | {"said": "\n".join([*said, errors])}


@pytest.fixture(scope="module")
def server():
    with RawServer(scenarios.SCRIPTS) as raw:
        yield raw


@pytest.fixture(scope="module")
def results(server, tmp_path_factory):
    """{(rig, heap): {name: result}} of all batches, two at a time."""
    folder = tmp_path_factory.mktemp("batches")
    with ThreadPoolExecutor(2) as pool:
        played = [pool.submit(_play, server, rig, heap, folder) for rig, heap in _BATCHES]
        return {batch: future.result() for batch, future in zip(_BATCHES, played, strict=True)}


def _result(results, rig, name):
    batch = results[rig, SCENARIOS[name].heap]
    assert name in batch, f"not played: {batch['said'][-2000:]}"
    return batch[name]


def _digests(scenario):
    """Return what the program prints for the messages that a scenario must bring."""
    for opcode, payload in scenario.received:
        kind = "data" if scenario.data else "str" if opcode == wire.TEXT else "bytearray"
        yield [opcode, kind, len(payload), hashlib.sha256(payload).hexdigest()[:16]]


@pytest.mark.parametrize(("rig", "name"), _CASES)
def test_status_of_scenario_is_told_once(results, rig, name):
    result, scenario = _result(results, rig, name), SCENARIOS[name]
    statuses = scenario.status if isinstance(scenario.status, tuple) else (scenario.status,)
    assert len(result["closes"]) == 1 and result["closes"][0] in statuses, result
    assert not any(result["alive"]) and not result["connected"]
    assert result["got"] == list(_digests(scenario))
    assert result["raised"] == list(scenario.raised)
    assert (result["http_status"], result["protocol"]) == (scenario.http_status, scenario.protocol)
    if scenario.heard is not scenarios.ANYTHING:
        assert (result["close_code"], result["close_reason"]) == scenario.heard
    assert result["longest_poll_ms"] < _LONGEST_POLL_MS or "flood" in str(scenario.calls)


@pytest.mark.parametrize(("rig", "name"), [case for case in _CASES if SCENARIOS[case.values[1]].url is None])
def test_server_of_scenario_sees_what_the_rules_ask(server, results, rig, name):
    _result(results, rig, name)
    scenario, record = SCENARIOS[name], server.record(_target(rig, name), timeout_s=0)
    if record is None:
        assert scenario.calls.get("start"), "only a client that gives up at once may leave no request"
        return
    assert record.trouble is None
    assert record.close_code == scenario.sent
    assert record.ending is not None, "the client left its socket open"
    assert scenario.first in (None, record.first)
    assert all(came.key is not None and came.rsv == 0 and came.shortest for came in record.frames)
    closes = [came.opcode == wire.CLOSE for came in record.frames]
    assert True not in closes[:-1], "nothing may follow a Close frame, not even another one"
    if scenario.answers is not scenarios.ANYTHING:
        assert [(came.opcode, came.payload) for came in record.frames if came.opcode in _DATA_FRAMES] == list(
            scenario.answers
        )


def _records(server, rig):
    names = [name for name, scenario in SCENARIOS.items() if rig in scenario.on and scenario.url is None]
    return [record for name in names if (record := server.record(_target(rig, name), timeout_s=0))]


@pytest.mark.parametrize("rig", rigs.INTERPRETERS)
def test_masking_keys_of_frames_are_all_different(server, results, rig):
    keys = [came.key for record in _records(server, rig) for came in record.frames]
    assert len(keys) > 100
    assert len(set(keys)) > len(keys) * 0.99


@pytest.mark.parametrize("rig", rigs.INTERPRETERS)
def test_keys_of_requests_are_all_different(server, results, rig):
    keys = [record.header("Sec-WebSocket-Key") for record in _records(server, rig)]
    assert len(keys) > 100
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("rig", rigs.INTERPRETERS)
def test_requests_of_scenarios_are_as_rfc_6455_asks(server, results, rig):
    record = server.record(_target(rig, "subprotocol-chosen"))
    assert record.request_line == f"GET /{_target(rig, 'subprotocol-chosen')} HTTP/1.1"
    assert record.header("Host") == f"127.0.0.1:{server.port}"
    assert record.header("Upgrade").lower() == "websocket"
    assert record.header("Connection").lower() == "upgrade"
    assert record.header("Sec-WebSocket-Version") == "13"
    assert [name.strip() for name in record.header("Sec-WebSocket-Protocol").split(",")] == ["chat", "superchat"]
    assert len(base64.b64decode(record.header("Sec-WebSocket-Key"), validate=True)) == 16
    assert record.header("Sec-WebSocket-Extensions") is None


@pytest.mark.parametrize(("rig", "heap"), _BATCHES)
def test_client_after_all_scenarios_holds_no_socket_and_no_more_heap(results, rig, heap):
    batch = results[rig, heap]
    assert "" in batch, f"the batch did not end: {batch['said'][-2000:]}"
    assert batch[""]["fds"][0] == batch[""]["fds"][1]
    assert batch[""]["heap"][1] - batch[""]["heap"][0] < _HEAP_GROWTH


@pytest.mark.parametrize("status", _STATUSES)
def test_table_of_scenarios_has_the_status(status):
    assert any(scenario.status == status for scenario in SCENARIOS.values())
