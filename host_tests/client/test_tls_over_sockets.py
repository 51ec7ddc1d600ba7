"""wss over real sockets, on every interpreter: certificates, broken handshakes, and the scenarios that ws has too."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from common import rigs
from servers import tls, wire
from servers.scenarios import SCENARIOS, SCRIPTS, Scenario, pattern
from servers.steps import Await, Close, Echo, Fin, Frame, Listen, Pause, Raw, Reply, Reset, Together
from servers.wire import BINARY, CLOSE, TEXT
from support import status_player

_HEAP_GROWTH = 4096  # what the collector takes for a pointer to a context may keep one


@dataclass(frozen=True)
class Case:
    """A connection: the server's kind, the client's options by the names of files, and what must come of it."""

    server: str = "good"
    options: dict = field(default_factory=dict)
    scenario: Scenario = field(default_factory=lambda: Scenario((Reply(), Close(1000)), sent=1000))
    host: str = tls.HOST

    def files(self, authority):
        """Return the options with paths in place of names."""
        return {
            key: str(authority.file(value)) if key in ("ca", "cert", "key") else value
            for key, value in self.options.items()
        }


_TRUSTED = {"ca": "ca.pem"}
_REFUSED = Scenario(status=-128, heard=(1006, ""))
_MINE = {"cert": "client.pem", "key": "client-key.pem"}
_HALF = b"\x17\x03\x03\x01\x00half"
_SIZES = (0, 1, 125, 126, 4096, 16384, 16385, 65535, 65536)
_ECHO = Scenario(
    (Reply(), Echo(len(_SIZES)), Close(1000)), sent=1000,
    calls={"connection": [["send", {"pattern": size}] for size in _SIZES]},
    received=tuple((BINARY, pattern(size)) for size in _SIZES),
)  # fmt: skip


def _open(*steps, **expected):
    return Case(scenario=Scenario((Reply(), *steps), **expected))


CASES = {
    "verified": Case(options=_TRUSTED),
    "verified-der": Case(options={"ca": "ca.der"}),
    "verified-one-of-two-cas": Case(options={"ca": "both-cas.pem"}),
    "verified-address": Case(options=_TRUSTED, host=tls.ADDRESS),
    "verified-intermediate": Case("intermediate", _TRUSTED),
    "verified-tls-1.2": Case("tls-1.2", _TRUSTED),
    "verified-name-as-configured": Case("wrong-name", _TRUSTED | {"server_hostname": tls.OTHER_NAME}),
    "not-verified": Case(),
    "not-verified-address": Case(host=tls.ADDRESS),
    "client-certificate": Case("asks-for-certificate", _TRUSTED | _MINE),
    "client-certificate-der": Case("asks-for-certificate", _TRUSTED | _MINE | {"cert": "client.der"}),
    "client-certificate-missing": Case("asks-for-certificate", _TRUSTED, _REFUSED),
    "ca-is-no-certificate": Case(options={"ca": "client-key.pem"}, scenario=_REFUSED),
    "ca-file-missing": Case(options={"ca": "missing.pem"}, scenario=_REFUSED),
    "key-of-another-certificate": Case("asks-for-certificate", _TRUSTED | _MINE | {"cert": "ca.pem"}, _REFUSED),
    "key-is-no-key": Case("asks-for-certificate", _TRUSTED | _MINE | {"key": "ca.pem"}, _REFUSED),
    "fin-without-close-notify": _open(Frame(TEXT, b"last"), Fin(), status=-99, received=((TEXT, b"last"),)),
    "close-notify-without-fin": _open(tls.CloseNotify(), Listen(1000), status=-99, first="client"),
    "close-notify-and-fin": _open(tls.CloseNotify(), Fin(), status=-99),
    "close-frame-close-notify-fin": _open(Close(1001, b"bye"), Await(CLOSE), tls.CloseNotify(), Fin(),
                                          status=-6, sent=1001, heard=(1001, "bye"), first="server"),
    "garbage-later": _open(Pause(50), tls.Under(bytes(range(256))), status=-161),
    "frame-in-clear-later": _open(Pause(50), tls.Under(wire.frame(TEXT, b"hello")), status=-161),
    "damaged-record-later": _open(Pause(50), tls.Under(b"\x17\x03\x03\x00\x20" + bytes(32)), status=-161),
    "half-a-record-then-fin": _open(Pause(50), tls.Under(_HALF), Fin(), status=-99),
    "half-a-record-then-reset": _open(Pause(50), tls.Under(_HALF), Pause(50), Reset(), status=-109),
    "half-a-record-for-ever": _open(Pause(50), tls.Under(_HALF), Listen(2000), status=-19, sent=1001,
                                    config={"ping_interval_ms": 200, "close_timeout_ms": 200}),
    "reset-later": _open(Pause(50), Reset(), status=-109),
    "frames-in-one-record": _open(
        Together(tuple(Frame(TEXT, b"%d" % number) for number in range(500))), Close(1000), sent=1000,
        received=tuple((TEXT, b"%d" % number) for number in range(500)),
    ),
    "frames-across-records": _open(
        *(Raw(wire.frame(BINARY, pattern(3000))[start:start + 7]) for start in range(0, 3004, 7)), Close(1000),
        sent=1000, received=((BINARY, pattern(3000)),),
    ),
    "echo-of-all-sizes": Case(scenario=_ECHO),
    "echo-of-all-sizes-tls-1.2": Case("tls-1.2", scenario=_ECHO),
} | {
    f"verified-{kind}": Case(kind, _TRUSTED, _REFUSED)
    for kind in ("wrong-name", "expired", "not-yet-valid", "wrong-ca", "self-signed")
} | {
    f"not-verified-{kind}": Case(kind)
    for kind in ("wrong-name", "expired", "not-yet-valid", "wrong-ca", "self-signed")
} | {
    f"not-verified-with-ca-{kind}": Case(kind, _TRUSTED | {"verify": False}) for kind in ("expired", "wrong-ca")
} | {
    f"handshake-{answer}": Case(answer, scenario=_REFUSED) for answer in tls.HANDSHAKES if answer != "never"
} | {
    "handshake-never": Case("never", scenario=Scenario(status=-18, config={"connect_timeout_ms": 400})),
    "handshake-closed-by-user": Case("never", scenario=Scenario(
        status=0, calls={"start": [["poll", 50], ["poll", 50], ["close"]]})),
}  # fmt: skip

# What TLS changes: the server has been heard before it resets.
_STATUSES = {"reset-instead-of-reply": -109}
_SHARED = [name for name, scenario in SCENARIOS.items() if scenario.url is None and not scenario.heap]
_RUNS = [
    pytest.param(rig, name, id=f"{rig}-{name}")
    for rig in rigs.INTERPRETERS
    for name in _SHARED
    if rig in SCENARIOS[name].on
]
_CASES = [pytest.param(rig, name, id=f"{rig}-{name}") for rig in rigs.INTERPRETERS for name in CASES]


@pytest.fixture(scope="module")
def authority():
    with tls.Authority() as issued:
        yield issued


@pytest.fixture(scope="module")
def servers(authority):
    """{kind: server}; the good one has the scripts of ws, too."""
    scripts = SCRIPTS | {name: case.scenario.steps for name, case in CASES.items()}
    with ExitStack() as stack:
        made = {kind: tls.TlsServer(scripts, authority.context(kind)) for kind in tls.CERTIFICATES}
        made |= {answer: tls.BrokenServer(answer) for answer in tls.HANDSHAKES}
        yield {kind: stack.enter_context(server) for kind, server in made.items()}


def _target(rig, name):
    return f"{name}?on={rig}"


def _play(rig, authority, servers, folder):
    shared = [name for name in _SHARED if rig in SCENARIOS[name].on]
    jobs = status_player.jobs(shared, lambda name: servers["good"].url(_target(rig, name)), tls={})
    for name, case in CASES.items():
        url = servers[case.server].url(_target(rig, name), case.host)
        jobs.append(status_player.job(name, case.scenario, url, True, tls=case.files(authority)))
    return status_player.play(rig, jobs, folder)


@pytest.fixture(scope="module")
def results(authority, servers, tmp_path_factory):
    """{rig: {name: result}}, two interpreters at a time."""
    folder = tmp_path_factory.mktemp("wss")
    with ThreadPoolExecutor(2) as pool:
        played = {rig: pool.submit(_play, rig, authority, servers, folder) for rig in rigs.INTERPRETERS}
        return {rig: future.result() for rig, future in played.items()}


def _result(results, rig, name):
    assert name in results[rig], f"not played: {results[rig]['said'][-2000:]}"
    return results[rig][name]


@pytest.mark.parametrize(("rig", "name"), _CASES)
def test_status_of_case_is_told_once(results, rig, name):
    result = _result(results, rig, name)
    status_player.check_client(result, CASES[name].scenario)


@pytest.mark.parametrize(("rig", "name"), [case for case in _CASES if CASES[case.values[1]].scenario.steps])
def test_server_of_case_sees_what_the_rules_ask(servers, results, rig, name):
    _result(results, rig, name)
    case = CASES[name]
    record = servers[case.server].record(_target(rig, name), timeout_s=0)
    if case.scenario.status != -128:
        status_player.check_server(record, case.scenario)


@pytest.mark.parametrize("rig", rigs.INTERPRETERS)
def test_servers_are_asked_for_the_name_of_the_host_or_the_configured_one(results, servers, rig):
    _result(results, rig, "verified")
    # mbedTLS also names an address, where it is to be verified
    assert set(servers["good"].names) - {tls.ADDRESS} == {tls.HOST, None}
    assert set(servers["wrong-name"].names) == {tls.OTHER_NAME, tls.HOST}


@pytest.mark.parametrize(("rig", "name"), _RUNS)
def test_status_of_scenario_is_the_same_over_tls(results, rig, name):
    scenario = SCENARIOS[name]
    result = _result(results, rig, name)
    if name in _STATUSES:
        assert result["closes"] == [_STATUSES[name]]
    else:
        status_player.check_client(result, scenario)


@pytest.mark.parametrize(("rig", "name"), _RUNS)
def test_server_of_scenario_sees_the_same_over_tls(servers, results, rig, name):
    _result(results, rig, name)
    record = servers["good"].record(_target(rig, name), timeout_s=0)
    if record is None:
        assert SCENARIOS[name].calls.get("start"), "only a client that gives up at once may leave no request"
        return
    status_player.check_server(record, SCENARIOS[name])


@pytest.mark.parametrize("rig", rigs.INTERPRETERS)
def test_client_after_all_connections_holds_no_socket_and_no_more_heap(results, rig):
    assert "" in results[rig], f"the batch did not end: {results[rig]['said'][-2000:]}"
    end = results[rig][""]
    assert end["fds"][0] == end["fds"][1]
    assert end["heap"][1] - end["heap"][0] < _HEAP_GROWTH
