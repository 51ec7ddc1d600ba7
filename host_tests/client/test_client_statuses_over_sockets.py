"""Every scenario of host_tests/servers/scenarios.py, over real sockets, on every interpreter and the virtual ESP8266.

One process of each interpreter plays all scenarios of a batch with one client object, the chip ten at a time; the tests
then look at what was printed and at what the server recorded.
"""

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest

from common import rigs
from common.rigs import CHIP
from servers import scenarios
from servers.raw import RawServer
from servers.scenarios import SCENARIOS
from support import status_player

_HEAP_GROWTH = 1024

_RIGS = (*rigs.INTERPRETERS, CHIP)


def _heap(rig, scenario):
    return None if rig == CHIP else scenario.heap


_BATCHES = [
    (rig, heap)
    for rig in reversed(_RIGS)  # the chip takes longest
    for heap in dict.fromkeys(_heap(rig, scenario) for scenario in SCENARIOS.values() if rig in scenario.on)
]
_CASES = [
    pytest.param(rig, name, id=f"{rig}-{name}")
    for rig in _RIGS
    for name, scenario in SCENARIOS.items()
    if rig in scenario.on
]
# What a ws:// client can meet over a real socket of this kernel.
_STATUSES = [*range(-8, 1), -10, -11, -13, -15, -17, -18, -19, -99, -103, -104, -109, -111, -202, -207]


def _target(rig, name):
    return f"{name}?on={rig}"


def _url(server, rig, name):
    ports = {"port": server.port, "closed_port": server.closed_port, "full_port": server.full_port}
    url = SCENARIOS[name].url
    return server.url(_target(rig, name)) if url is None else url.format(**ports)


def _play(server, rig, heap, folder):
    """Play a batch on one interpreter; return {name: result}."""
    names = [name for name, scenario in SCENARIOS.items() if rig in scenario.on and _heap(rig, scenario) == heap]
    return status_player.play(rig, status_player.jobs(names, lambda name: _url(server, rig, name)), folder, heap)


@pytest.fixture(scope="module")
def server():
    with RawServer(scenarios.SCRIPTS) as raw:
        yield raw


@pytest.fixture(scope="module")
def results(server, tmp_path_factory):
    """{(rig, heap): {name: result}} of all batches, the chip's beside two others at a time."""
    folder = tmp_path_factory.mktemp("batches")
    with ThreadPoolExecutor(3) as pool:
        played = [pool.submit(_play, server, rig, heap, folder) for rig, heap in _BATCHES]
        return {batch: future.result() for batch, future in zip(_BATCHES, played, strict=True)}


def _result(results, rig, name):
    batch = results[rig, _heap(rig, SCENARIOS[name])]
    assert name in batch, f"not played: {batch['said'][-2000:]}"
    return batch[name]


@pytest.mark.parametrize(("rig", "name"), _CASES)
def test_status_of_scenario_is_told_once(results, rig, name):
    status_player.check_client(_result(results, rig, name), SCENARIOS[name])


@pytest.mark.parametrize(("rig", "name"), [case for case in _CASES if SCENARIOS[case.values[1]].url is None])
def test_server_of_scenario_sees_what_the_rules_ask(server, results, rig, name):
    _result(results, rig, name)
    scenario, record = SCENARIOS[name], server.record(_target(rig, name), timeout_s=0)
    if record is None:
        assert scenario.calls.get("start"), "only a client that gives up at once may leave no request"
        return
    status_player.check_server(record, scenario)


def _records(server, rig):
    names = [name for name, scenario in SCENARIOS.items() if rig in scenario.on and scenario.url is None]
    return [record for name in names if (record := server.record(_target(rig, name), timeout_s=0))]


@pytest.mark.parametrize("rig", _RIGS)
def test_masking_keys_of_frames_are_all_different(server, results, rig):
    keys = [came.key for record in _records(server, rig) for came in record.frames]
    assert len(keys) > 100
    assert len(set(keys)) > len(keys) * 0.99


@pytest.mark.parametrize("rig", _RIGS)
def test_keys_of_requests_are_all_different(server, results, rig):
    keys = [record.header("Sec-WebSocket-Key") for record in _records(server, rig)]
    assert len(keys) > 100
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("rig", _RIGS)
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
