"""How each port's sockets, errors, timers and scheduler differ: data, no behaviour.

A port is a `Profile`; what older firmware does otherwise is in `_BEFORE`. docs/ports.md says how each fact is known.
"""

from dataclasses import dataclass, replace

from mp_runtime import POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT

# What a call gives in a state, where it is not the name of an errno
WAIT = "wait"  # nothing yet: EAGAIN, or blocking
END = "end"  # 0 bytes
SEND = "send"  # into the send buffer
PROCEED = "proceed"  # connect() may begin
CRASH = "crash"  # the board resets


@dataclass(frozen=True)
class State:
    """What a socket does in one state. `read`, `recv`, `write` and `send` are (outcome, next state or None).

    `flags` are polled always, `asked` where the mask asks for them. With `room`, POLLOUT tells of the send buffer.
    """

    read: tuple = (WAIT, None)
    write: tuple = (WAIT, None)
    recv: tuple | None = None
    send: tuple | None = None
    connect: str = "EALREADY"
    nodelay: str = PROCEED
    flags: int = 0
    asked: int = 0
    room: bool = False

    def outcome(self, call):
        """Return (outcome, next state) of read, recv, write or send."""
        return getattr(self, call) or (self.read if call == "recv" else self.write)


@dataclass(frozen=True)
class Profile:
    """One port. Times are in ms, sizes in bytes."""

    name: str
    platform: str
    numbers: dict  # every errno that the port raises
    states: dict
    becomes: dict  # what happens to a connection -> its state
    # TCP
    send_buffer: int
    window: int
    mss: int
    send_queue: int  # segments
    full_queue: str  # what the writer meets when the queue is full: WAIT, or "ENOMEM" (lwip: blocks, then loses)
    out_room: int  # free bytes from which on POLLOUT shows
    syn_timeout_ms: int
    arp_timeout_ms: int  # where no host has the address
    retransmit_ms: int  # a peer that is gone with data in flight
    nodelay: tuple | None = None  # (level, option, named in usocket)
    flush_delay_ms: int = 0
    one_segment_per_read: bool = False
    reset_drops_data: bool = False
    wifi_loss_ms: int | None = None  # how soon sockets notice, None: not at all
    close_timeout_ms: int | None = None
    max_sockets: int | None = None
    # Calls
    address: str = "literal"  # what connect() takes: literal, name or packed
    no_route: str = "EHOSTUNREACH"
    no_route_state: str = "new"
    connect_takes_ms: int = 0
    connect_timeout: str = "ETIMEDOUT"
    receive_slice_ms: int = 0  # time-outs are counted in slices, one more than fit
    send_slice_ms: int = 0
    recv_timeout: str = "ETIMEDOUT"
    empty_send: str | None = None
    # DNS
    unknown_name: object = -2
    dns_unknown_ms: int = 20
    dns_silent_ms: int = 9000
    dns_local_ms: int | None = None
    dns_runs_callbacks: bool = True
    ipv6: bool = False
    # Background
    socket_callback: str | None = None  # "scheduled": once per segment; "level": while idle and readable
    schedule_depth: int = 4
    timer: str | None = None  # "os": any number, survives a soft reset; "hardware"; "virtual" too
    timer_ids: int = 4
    timer_ids_wrap: bool = False
    network: bool = True


# What MicroPython's errno module names
EXPORTED = (
    "EPERM", "ENOENT", "EIO", "EBADF", "EAGAIN", "ENOMEM", "EACCES", "EEXIST", "ENODEV", "EISDIR", "EINVAL",
    "EOPNOTSUPP", "EADDRINUSE", "ECONNABORTED", "ECONNRESET", "ENOBUFS", "ENOTCONN", "ETIMEDOUT", "ECONNREFUSED",
    "EHOSTUNREACH", "EALREADY", "EINPROGRESS",
)  # fmt: skip

_COMMON_NUMBERS = {
    "EPERM": 1, "ENOENT": 2, "EIO": 5, "EBADF": 9, "EAGAIN": 11, "ENOMEM": 12, "EACCES": 13, "EEXIST": 17,
    "ENODEV": 19, "EISDIR": 21, "EINVAL": 22, "ENFILE": 23, "EPIPE": 32, "EOPNOTSUPP": 95, "ECONNRESET": 104,
    "ENOBUFS": 105, "ECONNREFUSED": 111,
}  # fmt: skip

# docs/ports.md, What runs where: MicroPython's own numbers are Linux's
_LINUX_NUMBERS = _COMMON_NUMBERS | {
    "EADDRINUSE": 98, "ENETUNREACH": 101, "ECONNABORTED": 103, "EISCONN": 106, "ENOTCONN": 107, "ETIMEDOUT": 110,
    "EHOSTUNREACH": 113, "EALREADY": 114, "EINPROGRESS": 115,
}  # fmt: skip

_NEWLIB_NUMBERS = _COMMON_NUMBERS | {
    "EADDRINUSE": 112, "ECONNABORTED": 113, "ENETUNREACH": 114, "ETIMEDOUT": 116, "EHOSTUNREACH": 118,
    "EINPROGRESS": 119, "EALREADY": 120, "EISCONN": 127, "ENOTCONN": 128,
}  # fmt: skip


def _always(error, **more):
    """Return a state whose every transfer raises `error`."""
    return State(read=(error, None), write=(error, None), **more)


def _lwip_failure(error, flags, asked=0):
    """Return lwip's state after `error`: reading tells it once, and then EBADF."""
    return State(
        read=(error, "bad"),
        write=(error, None),
        send=(error, "bad"),
        connect="EBADF",
        nodelay=CRASH,
        flags=flags,
        asked=asked,
    )


_LWIP_STATES = {
    "new": State(write=("ENOTCONN", None), connect=PROCEED, flags=POLLHUP, room=True),
    "connecting": State(),
    "connected": State(write=(SEND, None), connect="EISCONN", room=True),
    "peer_closed": State(read=(END, None), write=(SEND, None), asked=POLLIN | POLLOUT),
    "reset": State(
        read=("ECONNRESET", "reset_told"),
        write=("ECONNRESET", None),
        send=("ECONNRESET", "bad"),
        connect="EBADF",
        nodelay=CRASH,
        flags=POLLERR | POLLHUP,
        asked=POLLIN | POLLOUT,
    ),
    # The pcb is gone, the state says connected: writing follows a null pointer (docs/ports.md, How a connection ends)
    "reset_told": State(
        read=(END, None), write=(CRASH, None), connect="EBADF", nodelay=CRASH, flags=POLLHUP, asked=POLLIN
    ),
    "aborted": _lwip_failure("ECONNABORTED", POLLERR),
    "bad": _always("EBADF", connect="EBADF", nodelay=CRASH, flags=POLLNVAL),
    "closed": _always("EBADF", connect="EBADF", nodelay=CRASH, flags=POLLNVAL),
}

_LWIP_1_24_STATES = _LWIP_STATES | {
    "connecting": State(write=(SEND, None), room=True),
}

_LWIP_1_27_RESET = {
    # Raised by the stream methods for ever; recv and send look at the pcb first
    "reset": State(
        read=("ECONNRESET", None),
        write=("ECONNRESET", None),
        recv=("ECONNRESET", "bad"),
        send=("ECONNRESET", "bad"),
        connect="EBADF",
        nodelay=CRASH,
        flags=POLLHUP,
        asked=POLLOUT,
    ),
    "aborted": State(
        read=("ECONNABORTED", None),
        write=("ECONNABORTED", None),
        recv=("ECONNABORTED", "bad"),
        send=("ECONNABORTED", "bad"),
        connect="EBADF",
        nodelay=CRASH,
        flags=POLLERR,
    ),
}

# docs/ports.md, Poll: HUP only where it is asked for, ERR never
_ESP32_BROKEN = {"connect": "ENOTCONN", "nodelay": "EINVAL", "asked": POLLIN | POLLOUT | POLLHUP}

_ESP32_STATES = {
    "new": _always("ENOTCONN", connect=PROCEED, flags=POLLHUP, asked=POLLOUT),
    "connecting": State(),
    "connected": State(write=(SEND, None), connect="EISCONN", room=True),
    "peer_closed": State(read=(END, None), write=(SEND, None), connect="EISCONN", asked=POLLIN, room=True),
    # The error waits twice: in the receive queue, and as the connection's own, which writing takes too
    "reset": State(read=("ECONNRESET", "reset_queue_read"), write=("ECONNRESET", "reset_told"), **_ESP32_BROKEN),
    "reset_queue_read": State(read=("ECONNRESET", "dead"), write=("ECONNRESET", "dead"), **_ESP32_BROKEN),
    "reset_told": State(read=("ECONNRESET", "dead"), write=("ENOTCONN", None), **_ESP32_BROKEN),
    "aborted": State(read=("ECONNABORTED", "dead"), write=("ECONNABORTED", "dead"), **_ESP32_BROKEN),
    "dead": _always("ENOTCONN", **_ESP32_BROKEN),
    "no_route": State(),
    "closed": _always("EBADF", connect="EBADF", nodelay="EBADF", flags=POLLNVAL),
}


def _unix_failure(error):
    """Return the kernel's state with a pending error, which the first transfer takes."""
    return State(
        read=(error, "hung_up"),
        write=(error, "hung_up"),
        connect=PROCEED,
        flags=POLLERR | POLLHUP,
        asked=POLLIN | POLLOUT,
    )


_UNIX_STATES = {
    "new": State(read=("ENOTCONN", None), write=("EPIPE", None), connect=PROCEED, flags=POLLHUP, asked=POLLOUT),
    "connecting": State(),
    "connected": State(write=(SEND, None), connect="EISCONN", room=True),
    "peer_closed": State(read=(END, None), write=(SEND, None), connect="EISCONN", asked=POLLIN, room=True),
    "refused": _unix_failure("ECONNREFUSED"),
    "reset": _unix_failure("ECONNRESET"),
    "timed_out": _unix_failure("ETIMEDOUT"),
    "hung_up": State(read=(END, None), write=("EPIPE", None), connect=PROCEED, flags=POLLHUP, asked=POLLIN | POLLOUT),
    "closed": _always("EBADF", connect="EBADF", nodelay="EBADF", flags=POLLNVAL),
}

_ALL = {
    "esp8266": Profile(
        name="esp8266",
        platform="esp8266",
        numbers=_LINUX_NUMBERS,
        states=_LWIP_STATES,
        becomes={"refused": "reset", "reset": "reset", "unanswered": "aborted", "gone": "aborted"},
        send_buffer=2920,
        window=5840,
        mss=1460,
        send_queue=8,
        full_queue="ENOMEM",
        out_room=1,
        syn_timeout_ms=6000,
        arp_timeout_ms=6000,
        retransmit_ms=13 * 60000,
        # All of lwip's options share one number space: this is its TF_NODELAY, not POSIX's 1
        nodelay=(6, 0x40, True),
        one_segment_per_read=True,
        close_timeout_ms=5000,
        connect_takes_ms=1,
        socket_callback="scheduled",
        timer="os",
    ),
    "esp32": Profile(
        name="esp32",
        platform="esp32",
        numbers=_NEWLIB_NUMBERS,
        states=_ESP32_STATES,
        becomes={
            "refused": "reset",
            "reset": "reset",
            "unanswered": "aborted",
            "gone": "aborted",
            "wifi_lost": "aborted",
        },
        # POLLOUT shows from lwIP's TCP_SNDLOWAT on: two segments and a byte
        send_buffer=5744,
        window=5744,
        mss=1436,
        send_queue=16,
        full_queue=WAIT,
        out_room=2873,
        syn_timeout_ms=18000,
        arp_timeout_ms=60000,
        retransmit_ms=13 * 60000,
        nodelay=(6, 1, True),
        wifi_loss_ms=30,
        max_sockets=10,
        address="name",
        no_route_state="no_route",
        receive_slice_ms=100,
        send_slice_ms=1000,
        empty_send="EAGAIN",
        unknown_name=-202,
        dns_silent_ms=7000,
        dns_local_ms=12000,
        dns_runs_callbacks=False,
        socket_callback="level",
        schedule_depth=8,
        timer="hardware",
    ),
    "unix": Profile(
        name="unix",
        platform="linux",
        numbers=_LINUX_NUMBERS,
        states=_UNIX_STATES,
        becomes={"refused": "refused", "reset": "reset", "unanswered": "timed_out", "gone": "timed_out"},
        send_buffer=262144,
        window=131072,
        mss=1448,
        send_queue=1 << 20,
        full_queue=WAIT,
        out_room=262144 // 3,
        syn_timeout_ms=127000,
        arp_timeout_ms=127000,
        retransmit_ms=924000,
        nodelay=(6, 1, False),
        address="packed",
        no_route="ENETUNREACH",
        recv_timeout="EAGAIN",
        unknown_name="[addrinfo error -2]",
        dns_silent_ms=10000,
        ipv6=True,
        network=False,
    ),
}

# What firmware before a version does otherwise, newest first; all that apply are applied in this order.
_BEFORE = {
    "esp8266": [
        ((1, 28), {"states": _LWIP_STATES | _LWIP_1_27_RESET, "reset_drops_data": True}),
        ((1, 25), {"states": _LWIP_1_24_STATES | _LWIP_1_27_RESET}),
        ((1, 23), {"nodelay": None, "flush_delay_ms": 125, "connect_timeout": "EINPROGRESS"}),
    ],
    "esp32": [
        ((1, 24), {"timer_ids_wrap": True}),
        ((1, 23), {"nodelay": None}),
    ],
    "unix": [],
}
_SINCE = {
    "esp8266": [],
    "esp32": [((1, 29), {"timer": "virtual"})],
    "unix": [],
}

PORTS = tuple(_ALL)
NEWEST = (1, 28)


def profile(port, version=NEWEST):
    """Return the profile of a port as a firmware version, a tuple, has it; ValueError for an unknown port."""
    if port not in _ALL:
        raise ValueError(f"no profile {port!r} (one of: {', '.join(PORTS)})")
    found = _ALL[port]
    for bound, changes in _BEFORE[port]:
        if version < bound:
            found = replace(found, **changes)
    for bound, changes in _SINCE[port]:
        if version >= bound:
            found = replace(found, **changes)
    return found
