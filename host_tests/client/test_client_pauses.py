"""The pauses between the attempts of `reconnect`: what makes them grow, and what begins their row anew."""

import pytest

from support.client_session import FIRMWARE, HOST, PORT, URL, Session, each

OPTIONS = {"reconnect": True, "reconnect_min_ms": 1000, "reconnect_max_ms": 60000, "ping_interval_ms": 0}
FIRST_MS = 2000  # the longest of the first pauses
TICKS_HALF = 1 << 29  # ticks_diff cannot tell more


def pauses(session):
    """Return the ms between one "close" and the next."""
    told = [when for when, event in zip(session.times, session.events, strict=True) if event[0] == "close"]
    return [after - before for before, after in zip(told, told[1:], strict=False)]


def fail(session, times):
    """Let attempts fail, so many more."""
    session.board.refuse(HOST, PORT)
    wanted = len(session.statuses) + times
    session.until(lambda: len(session.statuses) >= wanted, 10000000, 100000)


@each(FIRMWARE)
def test_reconnect_min_0_pauses_all_the_same_and_ever_longer(firmware):
    with Session(firmware, OPTIONS | {"reconnect_min_ms": 0, "reconnect_max_ms": 8000}) as session:
        session.board.refuse(HOST, PORT)
        session.ws.connect(URL)
        fail(session, 30)
        taken = pauses(session)
        assert max(taken[15:]) > 2000 and max(taken) <= 8100
        assert sum(taken[15:]) / len(taken[15:]) > 1000


@each(FIRMWARE)
@pytest.mark.parametrize("state", ["waiting", "closed"])
def test_connect_of_the_program_begins_the_row_of_pauses_anew(firmware, state):
    for seed in range(3):
        with Session(firmware, OPTIONS, seed=seed) as session:
            session.board.refuse(HOST, PORT)
            session.ws.connect(URL)
            fail(session, 8)
            assert max(pauses(session)[4:]) > 2 * FIRST_MS
            if state == "closed":
                session.ws.close()
                session.until(lambda session=session: not session.poll())
            before = len(pauses(session))
            session.ws.connect(URL)
            fail(session, 2)
            assert pauses(session)[before + 1] <= FIRST_MS + 100


@each(FIRMWARE)
@pytest.mark.parametrize("stood_ms", [60000, TICKS_HALF - 60000, TICKS_HALF + 60000, 2 * TICKS_HALF - 60000])
def test_connection_that_stood_for_days_begins_the_row_of_pauses_anew(firmware, stood_ms):
    with Session(firmware, OPTIONS) as session:
        session.board.refuse(HOST, PORT)
        session.ws.connect(URL)
        fail(session, 10)
        session.server = session.board.listen(HOST, PORT, upgrade=True)
        session.until(lambda: session.ws.connected, 200000)
        session.board.advance(stood_ms)
        session.poll(0)
        session.board.refuse(HOST, PORT)
        session.server.peers[-1].reset()
        session.until(lambda: session.statuses[-1] == -109, 100000)
        fail(session, 2)
        assert pauses(session)[-2] <= FIRST_MS + 100
