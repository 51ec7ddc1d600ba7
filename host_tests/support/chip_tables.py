"""The tables of upy/ for the virtual ESP8266, whose heap holds a part of each at a time, and no long stream.

Instead of the module with the tables a program gets what this computer sends: an object of the same name.
"""

from upy import config_cases, deflate_cases, handshake_cases, protocol_cases

LONGEST = 1200  # bytes of a stream, and of a message
_EVERY = 6  # of many runs one
_SHOWN = ("KEY", "ACCEPT", "PROTOCOLS")


def fits(stream, told=()):
    """Return whether the chip can be fed a stream, and note what is told: either is there several times."""
    contents = [word[1] for word in told if isinstance(word, tuple)]
    return all(len(data) <= LONGEST for data in [stream, *contents] if hasattr(data, "__len__"))


def mask_runs():
    """Return the runs of protocol_cases.mask_runs() that the chip plays."""
    return [run for run in protocol_cases.mask_runs() if run[1] + run[2] <= 2 * LONGEST][::_EVERY]


def plays_option(key):
    """Return whether the chip can look at an option's values: it has no TLS."""
    return key != "tls"


def _literal(value):
    """Return the source of a value; of a function that of another one."""
    if callable(value):
        return "(lambda: {})"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_literal(key)}:{_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        items = "".join(f"{_literal(item)}," for item in value)
        return f"[{items}]" if isinstance(value, list) else f"({items})"
    return repr(value)


def _parts(cases, most):
    """Cut a table into lists whose source is about so many bytes."""
    part, size = [], 0
    for case in cases:
        taken = len(_literal(case))
        if part and size + taken > most:
            yield part
            part, size = [], 0
        part.append(case)
        size += taken
    if part:
        yield part


def _module(name, **values):
    """Return the code that puts an object with these values, each a source, in the place of a module."""
    body = "".join(f" {key} = {value}\n" for key, value in values.items())
    return f"import sys\nclass Part:\n{body}sys.modules[{name!r}] = Part\n"


def _handshake(topic):
    tables = {"urls": "URLS", "requests": "REQUESTS", "replies": "REPLIES", "headers": "HEADERS"}
    table = tables[topic]
    used = {"urls": 2, "requests": 4, "replies": 3, "headers": 2}[topic]
    shown = {name: _literal(getattr(handshake_cases, name)) for name in _SHOWN}
    cases = [
        (*case[:used], *[None] * (len(case) - used))
        for case in getattr(handshake_cases, table)
        if topic == "urls" or topic == "requests" or fits(case[1])
    ]
    for part in _parts(cases, 3000):
        yield _module("handshake_cases", **shown, **{table: _literal(part)})


def _protocol(topic, *_):
    if topic == "receiver":
        cases = [
            (name, stream, None, options) for name, stream, told, options in protocol_cases.runs() if fits(stream, told)
        ]
        for part in _parts(cases, 3000):
            yield _module("protocol_cases", runs=f"lambda: {_literal(part)}")
    elif topic == "mask":
        source = protocol_cases.SOURCE[: 2 * LONGEST]
        for part in _parts(mask_runs(), 3000):
            values = {"SOURCE": _literal(source), "KEY": _literal(protocol_cases.KEY)}
            yield _module("protocol_cases", **values, mask_runs=f"lambda: {_literal(part)}")
    else:
        names = ("KEY", "EDGES", "BAD_TEXTS", "GOOD_BYTES")
        yield _module("protocol_cases", **{name: _literal(getattr(protocol_cases, name)) for name in names})


def _config():
    shown = {name: _literal(getattr(config_cases, name)) for name in ("DEFAULTS", "NOT_DICTS", "UNKNOWN")}
    for name in ("GOOD", "BAD"):
        cases = [case for case in getattr(config_cases, name) if plays_option(case[1])]
        for part in _parts(cases, 1500):
            yield _module("config_cases", **shown, **{"GOOD": "()", "BAD": "()"} | {name: _literal(part)})


def _deflate(topic):
    pieces = _module("protocol_cases", in_pieces="None")
    if topic == "replies":
        cases = [(*case[:3], None) for case in deflate_cases.REPLIES]
        for part in _parts(cases, 3000):
            yield pieces + _module("deflate_cases", REPLIES=_literal(part))
    else:
        runs = deflate_cases.runs(protocol_cases.in_pieces)
        cases = [(name, stream, None, options) for name, stream, told, options in runs if fits(stream, told)]
        for part in _parts(cases, 2000):
            yield pieces + _module("deflate_cases", runs=f"lambda in_pieces: {_literal(part)}")


_PROGRAMS = {
    "config_program": _config,
    "deflate_program": _deflate,
    "handshake_program": _handshake,
    "protocol_program": _protocol,
}


def parts(program, arguments):
    """Generate the code that comes before each run of a program: that of its tables, or nothing once."""
    return _PROGRAMS[program](*arguments) if program in _PROGRAMS else [""]
