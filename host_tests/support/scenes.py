"""What the tortured client is doing when something happens to it: a state, and a method called in it."""

from dataclasses import dataclass, field

from servers import wire
from torture import LARGE, SMALL

_OVERHEAD = 20  # bytes of a frame's header, and of a record


@dataclass(frozen=True)
class Scene:
    """`prepare(run)` makes the state, `operate(run)` is what is tortured.

    `statuses` are those that the scene itself may end with, `options` the client's. `fragment`: the program is between
    the fragments of a message at first. `reconnects`: connections follow by themselves. `news`: the messages that the
    server sends, beside one ping; an open connection has them all in the end.
    """

    prepare: object
    operate: object
    statuses: tuple = ()
    options: dict = field(default_factory=dict)
    fragment: bool = False
    reconnects: bool = False
    news: list = ()


def _nothing(run):
    pass


def _connecting(run):
    run.near.connect()


def _open(run):
    run.near.open()


def _polls(run, times=6, timeout_ms=0):
    for _ in range(times):
        run.near.poll(timeout_ms)
        run.board.advance(10)


def _poll_until_open(run):
    for _ in range(40):
        if run.near.ws.connected or not run.near.poll(5):
            break
        run.board.advance(3)


def _news(run):
    run.near.open()
    peer = run.near.peer
    peer.frame(wire.TEXT, "one")
    peer.frame(wire.PING, "ping")
    peer.frame(wire.BINARY, b"tw", fin=False)
    peer.frame(wire.PONG, "pong")
    peer.frame(wire.CONTINUATION, b"o" * 600)
    peer.frame(wire.TEXT, "three")
    run.board.advance(100)


def _silent(run):
    run.near.open()
    run.board.advance(1100)


def _within_a_message(run):
    run.near.open()
    run.near.send(SMALL, wire.BINARY, False)


def _slow(run):
    # the server reads nothing for a while
    run.near.open()
    peer = run.near.peer
    peer.stop_reading()
    run.board.clock.after(400, peer.resume_reading)


def _full(run):
    # no room in the send buffer for a while; then what waited goes out
    _slow(run)
    connection = next(sock.connection for sock in run.board.open_sockets() if sock.connection.peer is run.near.peer)
    while connection.free > _OVERHEAD:
        # over TLS a large message is many records: the last ones are small
        largest = 60000 if run.plain else 4000 if connection.free > 8000 else 900
        if run.near.send(min(connection.free - _OVERHEAD, largest)):
            run.problem("the send buffer could not be filled")
            break


def _full_with_news(run):
    _full(run)
    run.near.peer.frame(wire.PING, "ping")
    run.near.peer.frame(wire.TEXT, "one")
    run.board.advance(100)


def _full_and_silent(run):
    _full(run)
    run.board.advance(200)


def _closed_by_server(run):
    run.near.open()
    run.near.serving = False
    run.near.peer.close_frame(1001)
    run.near.peer.fin()
    run.board.advance(100)


def _lost(run):
    run.near.open()
    run.near.peer.fin()
    run.board.advance(100)


def _reset(run):
    run.near.open()
    run.near.peer.reset()
    run.board.advance(100)


def _against_rfc(run):
    run.near.open()
    run.near.peer.send(b"\x83\x01x")
    run.board.advance(100)


def _broken(run):
    # a message and the reason lie there, and writing has failed
    run.near.open()
    run.near.serving = False
    run.near.peer.frame(wire.TEXT, "one")
    run.near.peer.close_frame(1011)
    run.near.peer.reset()
    run.board.advance(100)
    run.near.send(SMALL)


def _asks_what_to_wait_for(run):
    run.near.ws.waits_for()


def _closing(run):
    run.near.open()
    run.near.close()
    run.board.advance(100)


def _waiting(run):
    _lost(run)
    run.near.poll()


def _poll_through_waiting(run):
    for _ in range(12):
        run.near.poll(50)


def _news_with_answers(run):
    # handlers that send, as programs do
    _news(run)
    run.in_handler[run.near.name, "receive"] = lambda: run.near.send(SMALL)


def _far_connecting(run):
    if not run.far.connects:
        run.far.connect()


def _both_connecting(run):
    _far_connecting(run)
    run.near.connect()


def _both_open(run):
    if not run.far.ws.connected:
        _far_connecting(run)
        run.until(lambda: run.far.ws.connected)
    run.near.open()


NEWS = [b"one", b"tw" + b"o" * 600, b"three"]
RECONNECT = {"reconnect": True}
BACKGROUND = {"background": True}

SCENES = {
    "connect": Scene(_nothing, lambda run: run.near.connect()),
    "opening": Scene(_connecting, _poll_until_open),
    "idle": Scene(_open, lambda run: _polls(run, 2, 30)),
    "news": Scene(_news, _polls, news=NEWS),
    "news-answered": Scene(_news_with_answers, _polls, news=NEWS),
    "ping-due": Scene(_silent, _polls, options={"ping_interval_ms": 1000}),
    "send-small": Scene(_open, lambda run: run.near.send(SMALL)),
    "send-ping": Scene(_open, lambda run: run.near.send(SMALL, wire.PING)),
    "send-large": Scene(_open, lambda run: run.near.send(LARGE)),
    "send-slow": Scene(_slow, lambda run: run.near.send(LARGE)),
    "send-fragment": Scene(_within_a_message, lambda run: run.near.send(SMALL, wire.CONTINUATION), fragment=True),
    "full-send": Scene(_full, lambda run: run.near.send(SMALL)),
    "full-news": Scene(_full_with_news, lambda run: _polls(run, 8, 40), news=[b"one"]),
    "full-ping-due": Scene(
        _full_and_silent, lambda run: _polls(run, 8, 40), options={"ping_interval_ms": 150, "ping_limit": 9}
    ),
    "full-close": Scene(_full, lambda run: run.near.close()),
    "close": Scene(_open, lambda run: run.near.close()),
    "closing": Scene(_closing, _polls),
    "closed-by-server": Scene(_closed_by_server, _polls, (-6,)),
    "lost": Scene(_lost, _polls, (-99,)),
    "reset": Scene(_reset, _polls, (-109, -99)),
    "against-rfc": Scene(_against_rfc, _polls, (-202,)),
    "broken": Scene(_broken, _polls, (-6, -109)),
    "broken-close": Scene(_broken, lambda run: run.near.close(), (-6, -109)),
    "close-with-code": Scene(_open, lambda run: run.near.close(4000, "program")),
    "config": Scene(_open, lambda run: run.near.config("ping_limit", 7)),
    "waits-for": Scene(_lost, _asks_what_to_wait_for, (-99,)),
    "waiting": Scene(_waiting, _poll_through_waiting, (-99,), RECONNECT, reconnects=True),
    "background-first": Scene(_nothing, lambda run: run.near.connect(), options=BACKGROUND),
    "background-connect": Scene(_far_connecting, lambda run: run.near.connect(), options=BACKGROUND),
    "background-opening": Scene(_both_connecting, _poll_until_open, options=BACKGROUND),
    "background-send": Scene(_both_open, lambda run: run.near.send(LARGE), options=BACKGROUND),
    "background-close": Scene(_both_open, lambda run: run.near.close(), options=BACKGROUND),
}
