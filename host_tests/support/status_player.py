"""Plays scenarios with host_tests/upy/status_program.py on an interpreter: what the tests over real sockets share."""

import hashlib
import itertools
import json
import subprocess
from pathlib import Path

from common import rigs, virtual_esp8266_client
from common.rigs import CHIP
from common.virtual_esp8266 import FatalException
from servers import wire
from servers.scenarios import ANYTHING, SCENARIOS

_PROGRAM = Path(__file__).resolve().parents[1] / "upy" / "status_program.py"
_BATCH_S = 240
_JOBS_OF_THE_CHIP = 10
_SILENCE_S = 60
_IN_USE = ("fds", "heap")
_HEAP = "64m"
LONGEST_POLL_MS = 4000  # 50 ms are asked for; a poll that waits for the server waits for a time-out, 5 s or more
_DATA_FRAMES = (wire.CONTINUATION, wire.TEXT, wire.BINARY, wire.PING, wire.PONG)


def jobs(names, url_of, **config):
    """Return the jobs that play these scenarios, each with its `url_of(name)` and more of a configuration."""
    first_of_status = {SCENARIOS[name].status: name for name in reversed(names)}.values()
    return [job(name, SCENARIOS[name], url_of(name), name in first_of_status, **config) for name in names]


def job(name, scenario, url, first=False, **config):
    """Return the job that plays a scenario; `first`: it is also played once before counting begins."""
    return {
        "name": name,
        "first": first,
        "url": url,
        "config": scenario.config | config,
        "calls": scenario.calls,
        "data": scenario.data,
        "budget_ms": scenario.budget_ms,
    }


def play(rig, jobs, folder, heap=None):
    """Play a list of jobs, written into `folder`; return {name: result}, with "said": what else was printed.

    The result of the name "" has what was in use before and after all jobs; it is absent where the program broke off.
    """
    if rig == CHIP:
        return _play_on_the_chip(jobs, folder)
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


def _play_on_the_chip(jobs, folder):
    """Play a list of jobs in the chip's heap, so many at a time as that can hold; return what play() returns.

    Of what was in use the worst counts, sockets instead of descriptors.
    """
    flash, batch = folder / "flash", folder / "batch.json"
    virtual_esp8266_client.prepare("romfs", flash, sorted(_PROGRAM.parent.glob("*.py")))
    results, said, uses = {}, [], []
    with virtual_esp8266_client.running("romfs", flash) as session:
        for start in range(0, len(jobs), _JOBS_OF_THE_CHIP):
            batch.write_text(json.dumps(jobs[start : start + _JOBS_OF_THE_CHIP], ensure_ascii=False))
            try:
                session.fresh()
                session.copy(batch, batch.name)
                output = session.run(_PROGRAM.stem, batch.name, timeout_s=_SILENCE_S)
            except (virtual_esp8266_client.ProgramError, FatalException) as error:
                output = str(error)
            told = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
            said += [line for line in output.splitlines() if not line.startswith("{")]
            results |= {result["name"]: result for result in told}
            uses += [result for result in told if result["name"] == ""]
    if len(uses) * _JOBS_OF_THE_CHIP >= len(jobs):
        results[""] = {kind: max((use[kind] for use in uses), key=lambda pair: pair[1] - pair[0]) for kind in _IN_USE}
    else:
        results.pop("", None)
    return results | {"said": "\n".join(said)}


def check_client(result, scenario):
    """See to it that the client told what the scenario asks for."""
    statuses = scenario.status if isinstance(scenario.status, tuple) else (scenario.status,)
    assert len(result["closes"]) == 1 and result["closes"][0] in statuses, result
    assert not any(result["alive"]) and not result["connected"]
    assert result["got"] == list(_digests(scenario))
    assert result["raised"] == list(scenario.raised)
    assert (result["http_status"], result["protocol"]) == (scenario.http_status, scenario.protocol)
    if scenario.heard is not ANYTHING:
        assert (result["close_code"], result["close_reason"]) == scenario.heard
    assert result["longest_poll_ms"] < LONGEST_POLL_MS or "flood" in str(scenario.calls)


def check_server(record, scenario):
    """See to it that the server saw what the scenario and the rules ask for."""
    assert record.trouble is None
    assert record.close_code == scenario.sent
    assert record.ending is not None, "the client left its socket open"
    assert scenario.first in (None, record.first)
    assert all(came.key is not None and came.rsv == 0 and came.shortest for came in record.frames)
    closes = [came.opcode == wire.CLOSE for came in record.frames]
    assert True not in closes[:-1], "nothing may follow a Close frame, not even another one"
    if scenario.answers is not ANYTHING:
        assert [(came.opcode, came.payload) for came in record.frames if came.opcode in _DATA_FRAMES] == list(
            scenario.answers
        )


def _digests(scenario):
    """Return what the program prints for the messages that a scenario must bring."""
    for (opcode, payload), same in itertools.groupby(scenario.received):
        kind = "data" if scenario.data else "str" if opcode == wire.TEXT else "bytearray"
        yield [opcode, kind, len(payload), hashlib.sha256(payload).hexdigest()[:16], len(list(same))]
