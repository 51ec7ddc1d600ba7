"""Scripted boards: the device code runs in this process, on sockets and a clock that do what a port's do.

    with fakes.board("esp8266", version=(1, 28)) as board:
        client = board.load("uwebsocket_client")          # a fresh import under the board's modules
        server = board.listen("10.0.0.2", 80)             # or upgrade=True: each request is answered by itself
        ws = client.createClient()
        ws.connect("ws://10.0.0.2/")
        board.poll_until(ws, lambda: server.peers)
        peer = server.accept()
        board.poll_until(ws, peer.received)
        peer.upgrade()
        board.poll_until(ws, lambda: ws.connected)
        peer.frame(wire.TEXT, "hello", after_ms=20)
        ws.poll(1000)

Ports are `fakes.PORTS`: esp8266, esp32, unix; `version` picks what older firmware did otherwise (ESP8266: before 1.28
resets, before 1.25 connecting, before 1.23 Nagle). What they do is data in `profiles`, after docs/ports.md.

board: a Board
    load(name)                          a module of micropython/; execute(source) runs a text; soft_reset() forgets all
    listen, refuse, blackhole           what answers at (host, port); a host of one of them refuses other ports, a host
                                        of none never answers
    hosts[name] = address               for DNS; None: no server answers; absent: unknown name
    advance(ms), run_background(ms)     time passes in other code; at the idle prompt
    pair()                              a plain connected socket and its Peer, without a client
    poll_until(client, condition)       polls a client, AssertionError after 10 s of the fake clock
    wifi_lost(), wifi_back(), memory_short(for_ms), fail(call, error, skip=, times=)
    open_sockets()                      what was not closed
    calls, printed, warnings, lost_callbacks, timers, clock.now, latency_ms
    mem_free, largest_block, idf_free   settable: what is left of the heaps; axTLS crashes where there is too little
server: accept() gives the next Peer; peers
peer: a Peer
    received(), request(), frames()     what came; frames are servers.wire.ClientFrame
    send, frame, close_frame, upgrade   each with after_ms
    fin, close, reset, stop_reading, resume_reading, vanish
    log, segments                       when the connection began and ended, and each TCP segment

Time moves only where the firmware would wait: in `ipoll`, `sleep`, DNS, blocking calls, and by `advance`. All network
traffic, timers and callbacks happen at their exact millisecond; random bytes come from a seed. Each call of the
firmware runs one pending callback before, as an interrupted program would. No module of the host is replaced: a
board has its own import system, its own built-in names (`OSError` as MicroPython has it, no `TimeoutError`) and its
own `sys.modules`.

BoardCrash is raised for what crashes a real board, Stuck for 10000 calls without time passing or a wait without an
end. Neither is an Exception, and one that is swallowed comes again at the end of the `with` block.

TLS: `board.listen(host, 443, tls=fakes.Tls(...))` gives TlsPeers, which send and receive through records; the board's
own library is axTLS or mbedTLS, under the name that its version has. Both wrap the FakeSocket, which has the stream
methods of MicroPython's C interface (`_receive`, `_transmit`, `poll_flags`).
"""

from .board import Board as board
from .board import BoardCrash, Stuck
from .profiles import NEWEST, PORTS
from .tls import Tls

__all__ = ["NEWEST", "PORTS", "BoardCrash", "Stuck", "Tls", "board"]
