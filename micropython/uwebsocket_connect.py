# uwebsocket_connect: from a host name to a sent request. MIT licence, see LICENSE.
"""DNS and TCP, one step at a time.

Loaded when the request is ready, and let go again, see `uwebsocket_url`.
"""

import errno
import gc

import machine
import uselect
import usocket
from micropython import const

_RECONNECT = const(9)  # index of the option, see KEYS in uwebsocket_config


def connect(ws, target, call):
    """Connect `ws` and send the request; a generator.

    `target`: what `uwebsocket_request.prepare` returned; `call`: the client's way into a module that
    it does not keep. Sets `_sock` and `_poller` of `ws`.

    The first step does all that may block: DNS, and on an ESP8266 in the background TCP. Yields 0
    when there is nothing to do until the poller or the clock moves. Ends when the request is sent,
    with what `uwebsocket_reply.read` expects, or after yielding the status (below 0). Raises
    `OSError` of the network.
    """
    if isinstance(target, int):
        yield target
        return
    tls, host, port, text, accept, protocols = target
    wrapped = False
    board = None
    if hasattr(machine, "Timer"):  # a PC has none
        import uwebsocket_board as board

        if not board.start(ws):
            yield -104
            return
    host = host.decode()
    found = ws._found
    if found:
        ws._found = None  # unless they serve again, they are looked up next time
    else:
        try:
            found = usocket.getaddrinfo(host, port, 0, usocket.SOCK_STREAM)
        except OSError:
            found = ()
        # the ESP32 lists IPv6 results without an address
        found = [info for info in found if info[4]]
        if not found:
            yield -5
            return

    gc.collect()
    for info in found:
        try:
            ws._sock = sock = usocket.socket(info[0], info[1])
            sock.setblocking(False)
            try:
                # TCP_NODELAY: lwIP has a number of its own, the unix port 1 without a name, firmware
                # before 1.23 no such option. Before connect(): after a reset it crashes on lwIP.
                sock.setsockopt(6, getattr(usocket, "TCP_NODELAY", 1), 1)
            except OSError:
                pass
            try:
                sock.connect(info[4])
            except OSError as error:
                if error.errno != errno.EINPROGRESS:
                    raise
            ws._poller = poller = uselect.poll()
            # with HUP, for the ESP32 to show a failure
            poller.register(sock, uselect.POLLIN | uselect.POLLOUT | uselect.POLLHUP)
            poller.ipoll(0)  # makes the tuple that it gives each time, before there is something to wait for
            waited = board and board.watch(ws)
            if not waited:
                yield 0
            try:
                if tls:
                    start = 0
                    while not start:
                        for _, start in poller.ipoll(0):
                            pass
                        if not start:
                            yield 0
                    if start & ~uselect.POLLOUT:
                        sock.read(1)  # raises what made TCP fail
                    raw = sock
                    wrapped = True
                    sock = call("tls", "wrap", ws, host)
                    poller = ws._poller
                start = 0
                while start < len(text):
                    n = sock.write(text, start, len(text) - start)
                    if n:
                        start += n
                    else:
                        yield 0
            except (OSError, ValueError) as error:
                if not wrapped:
                    raise
                ws.errno = error.errno if isinstance(error, OSError) else None
                raw.close()  # mbedTLS has forgotten it
                yield -128
                return
            poller.modify(sock, uselect.POLLIN | uselect.POLLHUP)
            if ws._options[_RECONNECT]:
                ws._found = found
            if waited:
                yield 0  # the first step ends here, for no handler runs in the client's connect()
            return accept, protocols, tls
        except OSError as error:
            ws.errno = error.errno
            if info is found[-1]:
                # lwIP tells a refused connection as a reset; EPIPE is 32
                if error.errno in (errno.ECONNRESET, 32):
                    yield -111
                    return
                raise
            sock.close()
