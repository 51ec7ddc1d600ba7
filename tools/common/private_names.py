"""Private names of the device code, and those that stand for them in compiled files.

MicroPython keeps each name of a program for ever, in some 18 bytes of heap, unless the firmware has it anyway. So in
.mpy files each private name of the client is another one: a word that the firmware of the ESP8266 has, and the unix
port, and that means nothing else in the client. In the .py files, which people read, nothing changes; in a traceback,
and in `dir()`, the client's private names are those on the right.
"""

import tokenize

REPLACED = {
    # methods and functions
    "_allocate": "calcsize",
    "_authority": "pack_into",
    "_begin": "heappush",
    "_check": "issubset",
    "_clean": "isupper",
    "_close_status": "errorcode",
    "_due": "time_pulse_us",
    "_end": "umount",
    "_enter": "setdefault",
    "_fail": "pend_throw",
    "_good": "issuperset",
    "_left": "ticks_cpu",
    "_length": "difference",
    "_lost": "discard",
    "_open": "mount",
    "_refused": "isdisjoint",
    "_settle": "setter",
    "_switch": "isenabled",
    "_take": "popleft",
    "_tell": "log",
    "_text": "unpack",
    "_tick": "time_ns",
    "_tls": "isspace",
    "_token": "isalpha",
    "_whole": "isfinite",
    "_write": "writeblocks",
    "fields": "makefile",
    "handlers": "iterable",
    "header_fields": "separators",
    "info": "mem_info",
    "long": "LONG",
    "memory": "bytes_at",
    "offers": "readlines",
    "parse_url": "unpack_from",
    "offered": "pack",
    "receiver": "readblocks",
    "reply": "rmdir",
    "request": "rsplit",
    "seen": "union",
    "utf8": "islower",
    "wake": "kbd_intr",
    "ws": "poly",
    # of the client
    "_addresses": "ARRAY",
    "_asked": "BFINT8",
    "_config": "default",
    "_connection": "PTR",
    "_deadline": "localtime",
    "_ended": "TaskQueue",
    "_handlers": "OrderedDict",
    "_news": "BFUINT8",
    "_noted": "Signal",
    "_options": "namedtuple",
    "_owner": "INT8",
    "_state": "_machine",
    "_tries": "getrandbits",
    "_unmade": "UINT8",
    "_url": "atan2",
    # of a connection
    "doing": "TextIOWrapper",
    "got_ms": "gmtime",
    "heard": "readonly",
    "more": "BF_LEN",
    "opened_ms": "mktime",
    "pause_ms": "sleep_us",
    "ping": "SO_BROADCAST",
    "pings": "BF_POS",
    "pollable": "POLLERR",
    "raw": "SOCK_RAW",
    "ready": "AUTO",
    "sent_ms": "mtime",
    "torn": "VOID",
    # of a connection for asyncio
    "_cause": "radians",
    "_expect": "acos",
    "_inbox": "asin",
    "_last": "copysign",
    "_lock": "degrees",
    "_patience": "fabs",
    "_poll": "fmod",
    "_room": "frexp",
    "_socket": "ldexp",
    "_status": "isinf",
    "_tasks": "isnan",
    # in every method a byte less, for it stands among the first names of each module
    "self": "const",
    # of modules
    "Connection": "symmetric_difference",
    "_board": "_build",
    "_clients": "deque",
    "_folder": "vfs",
    "_keep": "statvfs",
    "_loading": "python_compiler",
    "_NETWORK": "ViperTypeError",
    "_number": "uint",
    "_period": "progsize",
    "_scheduled": "NATIVE",
    "_statuses": "EEXIST",
    "_ticked_ms": "threshold",
    "keep": "disable",
    "timer": "intersection",
}


def replaced(source):
    """Return the bytes of a Python file with each private name replaced; lines stay where they are.

    What is no Python is left to the compiler to refuse.
    """
    lines = source.decode(errors="surrogateescape").splitlines(keepends=True)
    try:
        tokens = list(tokenize.generate_tokens(iter([*lines, ""]).__next__))
    except (tokenize.TokenError, SyntaxError):
        return source
    for token in reversed(tokens):
        if token.type == tokenize.NAME and token.string in REPLACED:
            row, start = token.start
            line = lines[row - 1]
            lines[row - 1] = line[:start] + REPLACED[token.string] + line[token.end[1] :]
    return "".join(lines).encode(errors="surrogateescape")
