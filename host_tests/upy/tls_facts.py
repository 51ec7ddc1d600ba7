"""What mbedTLS does: `tls_facts.py PORT PORT PORT CA` prints a line "name: value" for each fact.

The servers are those of `test_shim_tls.py`. Runs alike on MicroPython's unix port and on CPython with the shim. An
OSError is told as its number, a ValueError by the shape of its text.
"""

import sys

import tls
import uselect
import usocket
import utime

PORTS = [int(port) for port in sys.argv[1:4]]  # of servers: good, FIN within the handshake, plain
CA = sys.argv[4]  # the file of one that has not signed their certificates
REQUEST = "GET /{} HTTP/1.1\r\n\r\n"
READY = uselect.POLLIN | uselect.POLLOUT
SETTLE_MS = 60


def raw_socket(port):
    sock = usocket.socket()
    sock.connect(usocket.getaddrinfo("127.0.0.1", port, 0, usocket.SOCK_STREAM)[0][-1])
    sock.setblocking(False)
    return sock


def wrapped(port, name="localhost", verify=tls.CERT_NONE):
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = verify
    if verify:
        with open(CA, "rb") as file:
            context.load_verify_locations(file.read())
    return context.wrap_socket(raw_socket(port), server_hostname=name, do_handshake_on_connect=False)


def outcome(call, *args):
    """Return what a call returns, or the number of its OSError."""
    try:
        return call(*args)
    except OSError as error:
        return "error {}".format(error.args[0])
    except ValueError as error:
        text = str(error)
        return "ValueError, text in line breaks" if text[0] == text[-1] == "\n" else "ValueError"


def flags(sock, mask=READY):
    poller = uselect.poll()
    poller.register(sock, mask)
    return sum(found for _, found in poller.ipoll(SETTLE_MS))


def settled(call, *args):
    """Call until that gives something, and return it."""
    for _ in range(200):
        result = outcome(call, *args)
        if result is not None:
            return result
        utime.sleep_ms(5)


def ask(script):
    """Return a connection whose server has been told what to do, and has done it."""
    sock = wrapped(PORTS[0])
    settled(sock.write, REQUEST.format(script))
    utime.sleep_ms(SETTLE_MS)
    return sock


def handshake():
    sock = wrapped(PORTS[0])
    first = flags(sock), outcome(sock.read, 1)
    return first, settled(sock.write, REQUEST.format("digits")), settled(sock.read, 10)


def defaults():
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    unnamed = outcome(lambda: context.wrap_socket(raw_socket(PORTS[0])))
    return context.verify_mode == tls.CERT_REQUIRED, unnamed


def pending():
    sock = ask("digits")
    settled(sock.read, 2)
    return flags(sock), sock.read(3), flags(sock, uselect.POLLIN), sock.read(), flags(sock), sock.read(1)


def close_notify():
    sock = ask("notify")
    return settled(sock.read, 1), outcome(sock.read, 1), outcome(sock.readinto, bytearray(1))


def fin():
    sock = ask("fin")
    return settled(sock.read, 1), outcome(sock.read, 1)


def refused():
    sock = wrapped(PORTS[0], verify=tls.CERT_REQUIRED)
    first = settled(sock.write, b"x")
    return first, outcome(sock.write, b"x"), outcome(sock.read, 1), flags(sock)


def fin_within_handshake():
    return settled(wrapped(PORTS[1]).write, b"x")


def plain_server():
    sock = wrapped(PORTS[2])
    return settled(sock.write, b"x"), flags(sock)


def garbage():
    sock = ask("garbage")
    first = settled(sock.read, 1)
    return str(first)[:5], outcome(sock.write, b"x") == first, flags(sock)


def forms():
    sock = wrapped(PORTS[0])
    sizes = settled(sock.write, b"GET / HTTP", 5), sock.write(b"..digits..", 2, 6), sock.write(" HTTP/1.1\r\n\r\n")
    buffer = bytearray(12)
    utime.sleep_ms(SETTLE_MS)
    settled(sock.read, 1)
    sizes += sock.readinto(buffer, 4), sock.readinto(buffer), bytes(buffer), sock.readline(8)
    return sizes, hasattr(sock, "settimeout"), hasattr(sock, "setsockopt"), hasattr(sock, "recv")


for fact in (
    handshake,
    defaults,
    pending,
    close_notify,
    fin,
    refused,
    fin_within_handshake,
    plain_server,
    garbage,
    forms,
):
    print("{}: {!r}".format(fact.__name__, fact()))
