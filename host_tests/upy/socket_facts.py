"""What sockets do: `socket_facts.py LISTEN_PORT CLOSED_PORT` prints a line "name: value" for each fact.

Runs alike on MicroPython's unix port and on CPython with the shim; `test_shim_facts.py` compares. An OSError is told
as its number, or its text where it has no number.
"""

import sys

import micropython
import uselect
import usocket
import utime

LISTEN_PORT, CLOSED_PORT = int(sys.argv[1]), int(sys.argv[2])
SETTLE_MS = 20


def address(port):
    return usocket.getaddrinfo("127.0.0.1", port, 0, usocket.SOCK_STREAM)[0][-1]


def outcome(call, *args):
    """Return what a call returns or the number of its OSError."""
    try:
        return call(*args)
    except OSError as error:
        return "error {}".format(error.args[0])


def flags(sock, mask=uselect.POLLIN | uselect.POLLOUT):
    poller = uselect.poll()
    poller.register(sock, mask)
    return sum(found for _, found in poller.ipoll(SETTLE_MS))


def reset(peer):
    peer.setsockopt(usocket.SOL_SOCKET, usocket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    utime.sleep_ms(SETTLE_MS)


listener = usocket.socket()
listener.setsockopt(usocket.SOL_SOCKET, usocket.SO_REUSEADDR, 1)
listener.bind(address(LISTEN_PORT))
listener.listen(4)


class Pair:
    """A non-blocking client socket and its blocking peer."""

    def __enter__(self):
        self.client = usocket.socket()
        self.client.connect(address(LISTEN_PORT))
        self.client.setblocking(False)
        self.peer = listener.accept()[0]
        return self.client, self.peer

    def __exit__(self, *_):
        self.client.close()
        self.peer.close()


def fact_new_socket_polls():
    sock = usocket.socket()
    found = flags(sock), flags(sock, uselect.POLLIN)
    sock.close()
    return found


def fact_new_socket_transfers():
    sock = usocket.socket()
    found = outcome(sock.read, 1), outcome(sock.write, b"x")
    sock.close()
    return found


def fact_closed_socket():
    sock = usocket.socket()
    poller = uselect.poll()
    poller.register(sock)
    sock.close()
    return [found for _, found in poller.poll(0)], outcome(sock.read, 1), outcome(sock.send, b"x")


def fact_connect_in_progress():
    sock = usocket.socket()
    sock.setblocking(False)
    found = outcome(sock.connect, address(LISTEN_PORT)), flags(sock)
    listener.accept()[0].close()
    sock.close()
    return found


def fact_connect_second():
    with Pair() as (client, _):
        return outcome(client.connect, address(LISTEN_PORT))


def fact_connect_tuple():
    sock = usocket.socket()
    try:
        sock.connect(("127.0.0.1", LISTEN_PORT))
    except TypeError:
        return "TypeError"
    finally:
        sock.close()


def fact_refused():
    sock = usocket.socket()
    sock.setblocking(False)
    found = [outcome(sock.connect, address(CLOSED_PORT)), flags(sock)]
    found += [outcome(sock.read, 4), outcome(sock.read, 4), outcome(sock.write, b"x"), flags(sock)]
    sock.close()
    return found


def fact_nothing_to_read():
    with Pair() as (client, _):
        return (
            client.read(4),
            client.read(),
            client.readinto(bytearray(4)),
            client.readline(),
            outcome(client.recv, 4),
            flags(client),
            flags(client, uselect.POLLIN),
        )


def fact_part_to_read():
    with Pair() as (client, peer):
        peer.write(b"abc")
        utime.sleep_ms(SETTLE_MS)
        buffer = bytearray(8)
        return flags(client), client.readinto(buffer, 2), bytes(buffer), client.read(8), client.read(0)


def fact_readline():
    with Pair() as (client, peer):
        peer.write(b"one\ntwo\nthr")
        utime.sleep_ms(SETTLE_MS)
        return client.readline(), client.readline(2), client.readline(), client.readline(), client.readline()


def fact_write_forms():
    with Pair() as (client, peer):
        counts = (
            client.write(b"abcd", 2),
            client.write(b"abcd", 1, 2),
            client.write(b"abcd", 9, 2),
            client.write("\u00e9"),
            client.write(b""),
            client.write(bytearray(b"xyz"), -1),
            client.send(b"s"),
        )
        return counts, peer.recv(100)


def fact_no_buffer():
    found = []
    with Pair() as (client, _):
        for call, argument in ((client.write, 5), (client.readinto, b"constant"), (client.send, None)):
            try:
                call(argument)
            except TypeError:
                found.append("TypeError")
    return found


def fact_full_buffer():
    with Pair() as (client, peer):
        part = True
        while part is not None:
            last, part = part, client.write(bytes(300000))
        return last > 0, part, outcome(client.send, b"x"), flags(client)


def fact_end():
    with Pair() as (client, peer):
        peer.write(b"abc")
        peer.close()
        utime.sleep_ms(SETTLE_MS)
        found = [flags(client), client.readinto(bytearray(5)), flags(client), client.read(5), client.read()]
        return found + [client.readinto(bytearray(5)), client.readline(), client.recv(5), client.write(b"x")]


def fact_reset_after_data():
    with Pair() as (client, peer):
        peer.write(b"abc")
        reset(peer)
        found = [flags(client), flags(client, uselect.POLLIN), outcome(client.readinto, bytearray(2))]
        found += [outcome(client.readinto, bytearray(5)), flags(client), outcome(client.read, 5)]
        return found + [outcome(client.write, b"x")]


def fact_reset_then_recv():
    with Pair() as (client, peer):
        peer.write(b"abc")
        reset(peer)
        return outcome(client.recv, 10), outcome(client.recv, 10), outcome(client.recv, 10)


def fact_reset_then_write():
    with Pair() as (client, peer):
        reset(peer)
        return outcome(client.write, b"x"), flags(client), outcome(client.write, b"x"), outcome(client.read, 5)


def fact_close_with_unread_data():
    with Pair() as (client, peer):
        peer.write(b"abc")
        utime.sleep_ms(SETTLE_MS)
        client.close()
        utime.sleep_ms(SETTLE_MS)
        return outcome(peer.read, 1)


def fact_timeout():
    with Pair() as (client, peer):
        client.settimeout(0.02)
        found = [outcome(client.read, 3), outcome(client.readinto, bytearray(3)), outcome(client.recv, 3)]
        peer.write(b"ab")
        found += [outcome(client.read, 3)]
        client.settimeout(0)
        return found + [client.read(3)]


def fact_options():
    with Pair() as (client, _):
        try:
            client.setsockopt(usocket.SOL_SOCKET, 20, lambda sock: None)
        except TypeError:
            callback = "TypeError"
        return callback, client.setsockopt(6, 1, 1), outcome(client.setsockopt, 1, 20, 5)


def fact_poll_set():
    with Pair() as (client, peer):
        poller = uselect.poll()
        found = [outcome(poller.modify, client, 1), poller.unregister(client), poller.register(client, 0)]
        found += [poller.poll(0), len(poller.poll(0)), poller.modify(client, 4), poller.poll()[0][1]]
        found += [poller.register(client, 5), [(sock is client, flag) for sock, flag in poller.ipoll(0, 1)]]
        found += [len(poller.poll(0)), poller.register(client), poller.unregister(client), len(poller.poll(0))]
        return found


def fact_unknown_host():
    return outcome(usocket.getaddrinfo, "no.such.host.invalid", 80)


def fact_address_family():
    return [usocket.getaddrinfo(host, 80, 0, usocket.SOCK_STREAM)[0][0] for host in ("127.0.0.1", "::1")]


def fact_ticks():
    late = utime.ticks_add((1 << 30) - 1, 5)
    found = [late, utime.ticks_diff(late, (1 << 30) - 2), utime.ticks_diff((1 << 30) - 2, late)]
    for delta in (1 << 29, -(1 << 29)):
        try:
            utime.ticks_add(0, delta)
        except OverflowError:
            found.append("OverflowError")
    return found + [utime.ticks_add(0, 1 - (1 << 29)), 0 <= utime.ticks_ms() < 1 << 30]


def fact_schedule():
    order = []

    def outer(_):
        for number in range(9):
            try:
                micropython.schedule(order.append, number)
            except RuntimeError:
                order.append("full")
                break
        order.append("outer done")

    micropython.schedule(outer, None)
    utime.sleep_ms(1)
    for _ in range(9):  # one callback for each check
        utime.sleep_ms(1)
    return order


def fact_os_error():
    return OSError(104).args, isinstance(OSError(104), OSError)


for name, fact in sorted(globals().copy().items()):
    if name.startswith("fact_"):
        print("{}: {}".format(name[5:], repr(fact())))
listener.close()
