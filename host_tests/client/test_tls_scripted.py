"""wss over the scripted libraries: axTLS of the ESP8266, mbedTLS of the ESP32 and of the unix port, by version."""

import random

import pytest

from fakes import Tls
from fakes.tls import AUTHORITY, OTHER_AUTHORITY
from servers import wire
from support.client_session import each, named
from support.tls_session import ADDRESS, AXTLS, MBEDTLS, NAME, URL, VERIFIED, TlsSession

ALL = AXTLS + MBEDTLS
NEWEST = [AXTLS[-1], ("esp32", (1, 28)), ("unix", (1, 28))]
OTHER_NAME = "other.example"

# What goes wrong within the handshake
BROKEN_HANDSHAKES = ["alert", "plain", "garbage", "fin", "reset"]

# What goes wrong later -> status, and how the server does it
ENDINGS = {
    "fin": (-99, lambda peer: peer.close()),
    "close-notify": (-99, lambda peer: peer.close_notify()),
    "close-notify-then-fin": (-99, lambda peer: (peer.close_notify(), peer.close(20))),
    "half-a-record-then-fin": (-99, lambda peer: (peer.raw(b"\x17\x03\x03\x01\x00half"), peer.close(20))),
    "reset": (-109, lambda peer: peer.reset()),
    "garbage": (-161, lambda peer: peer.raw(bytes(range(100, 200)))),
    "plaintext-frame": (-161, lambda peer: peer.raw(wire.frame(wire.TEXT, b"in clear"))),
    "damaged-record": (-161, lambda peer: peer.raw(b"\x17\x03\x03\x00\x10" + bytes(16))),
    "alert": (-161, lambda peer: peer.alert(20)),
    "close-frame": (-6, lambda peer: (peer.close_frame(1000), peer.close_notify(20), peer.close(40))),
}

# The server's certificate, the client's options -> whether the connection opens
VERDICTS = {
    "good": (Tls(), {"ca": AUTHORITY}, True),
    "good-of-two-names": (Tls(names=(OTHER_NAME, NAME)), {"ca": AUTHORITY}, True),
    "wrong-ca": (Tls(), {"ca": OTHER_AUTHORITY}, False),
    "wrong-name": (Tls(names=(OTHER_NAME,)), {"ca": AUTHORITY}, False),
    "expired": (Tls(fault="The certificate validity has expired"), {"ca": AUTHORITY}, False),
    "not-yet-valid": (Tls(fault="The certificate validity starts in the future"), {"ca": AUTHORITY}, False),
    "name-as-configured": (Tls(names=(OTHER_NAME,)), {"ca": AUTHORITY, "server_hostname": OTHER_NAME}, True),
    "not-verified": (Tls(fault="expired", names=(OTHER_NAME,)), {}, True),
    "not-verified-with-ca": (Tls(fault="expired"), {"ca": AUTHORITY, "verify": False}, True),
    "ca-is-no-certificate": (Tls(), {"ca": b"nothing"}, False),
}


def bytes_of(size, seed=0):
    return random.Random(seed).randbytes(size)


def is_axtls(firmware):
    return firmware[0] == "esp8266"


# The handshake


@each(ALL)
@pytest.mark.parametrize(
    ("url", "config", "told"),
    [
        (URL, {}, NAME),
        (URL, {"tls": {"server_hostname": OTHER_NAME}}, OTHER_NAME),
        (f"wss://{ADDRESS}/", {}, None),
        (f"wss://{ADDRESS}/", {"tls": {"server_hostname": OTHER_NAME}}, OTHER_NAME),
    ],
    ids=["name", "configured", "address", "address-configured"],
)
def test_handshake_tells_the_server_its_name(firmware, url, config, told):
    with TlsSession(firmware, config) as session:
        assert session.open(url).hello["name"] == told


@each(ALL)
def test_host_header_of_wss_names_no_port_443(firmware):
    with TlsSession(firmware) as session:
        assert session.open().request().header("Host") == NAME


@each(MBEDTLS)
@pytest.mark.parametrize("verdict", VERDICTS)
def test_certificate_is_judged_as_configured(firmware, verdict):
    script, options, opens = VERDICTS[verdict]
    with TlsSession(firmware, {"tls": options}, script=script) as session:
        if opens:
            session.open()
        else:
            session.connect()
            assert session.finish() == -128
            assert session.events == [("close", -128)]


@each(MBEDTLS)
def test_certificate_of_an_address_is_accepted_from_1_25_on(firmware):
    with TlsSession(firmware, VERIFIED, script=Tls(names=(ADDRESS,))) as session:
        if firmware[1] >= (1, 25):
            assert session.open(f"wss://{ADDRESS}/").hello["name"] == ADDRESS
        else:
            session.connect(f"wss://{ADDRESS}/")
            assert session.finish() == -128


@each(AXTLS)
@pytest.mark.parametrize("options", [{"ca": AUTHORITY}, {"ca": AUTHORITY, "verify": True}], ids=["ca", "verify"])
def test_config_of_a_firmware_that_cannot_verify_is_refused(firmware, options):
    with TlsSession(firmware) as session:
        with pytest.raises(ValueError, match="cannot verify"):
            session.ws.config({"tls": options})
        session.ws.config({"tls": {"ca": AUTHORITY, "verify": False}})
        session.open()


@each(ALL)
def test_client_certificate_reaches_the_server(firmware):
    with TlsSession(
        firmware, {"tls": {"cert": b"mine", "key": b"my key"}}, script=Tls(client_certificate=b"mine")
    ) as session:
        assert session.open().hello["certificate"] == b"mine"


@each(ALL)
def test_client_certificate_of_pem_files_reaches_the_server_as_the_library_takes_it(firmware, tmp_path):
    pem = b"-----BEGIN SOMETHING-----\nbWluZQ==\n-----END SOMETHING-----\n"
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_bytes(pem)
    options = {"cert": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
    with TlsSession(firmware, {"tls": options}) as session:
        assert session.open().hello["certificate"] == (b"mine" if is_axtls(firmware) else pem)


@each(ALL)
def test_client_certificate_that_is_missing_is_minus_128(firmware):
    with TlsSession(firmware, script=Tls(client_certificate=b"yours")) as session:
        session.connect()
        assert session.finish() == -128


@each(ALL)
@pytest.mark.parametrize("answer", BROKEN_HANDSHAKES)
def test_handshake_that_breaks_is_minus_128(firmware, answer):
    with TlsSession(firmware, script=Tls(answer=answer, after_ms=50)) as session:
        session.connect()
        assert session.finish() == -128
        assert session.events == [("close", -128)]
        assert session.ws.close_code == 1006
        assert session.board.clock.now < 1000


@each(ALL)
@pytest.mark.parametrize("answer", ["never", "certificate"])
def test_handshake_that_never_ends_is_minus_18_in_time(firmware, answer):
    with TlsSession(firmware, {"connect_timeout_ms": 3000}, script=Tls(answer=answer, after_ms=5000)) as session:
        session.connect()  # its polls must be short, see Session.poll
        assert session.finish() == -18
        assert 2990 <= session.ended_ms <= 3200


@each(ALL)
def test_handshake_given_up_by_close_is_0(firmware):
    with TlsSession(firmware, {"connect_timeout_ms": 3000}, script=Tls(answer="never")) as session:
        session.connect()
        session.ws.close()
        assert session.finish() == 0


@each([one for one in ALL if one[1] >= (1, 25)])
def test_tcp_refused_under_tls_is_minus_111(firmware):
    with TlsSession(firmware) as session:
        session.board.refuse(ADDRESS, 443)
        session.connect()
        assert session.finish() == -111


# Records


@each(ALL)
@pytest.mark.parametrize("pieces", [None, 7], ids=["whole", "cut"])
@pytest.mark.parametrize("record", [1, 3, 100, 5000])
def test_messages_arrive_whatever_the_records(firmware, record, pieces):
    sizes = (0, 1, 125, 126, 700, 3000)
    with TlsSession(firmware, script=Tls(record=record, pieces=pieces), spin_limit=100000) as session:
        peer = session.open()
        for size in sizes:
            peer.frame(wire.BINARY, bytes_of(size))
        session.until(lambda: len(session.messages) == len(sizes), 60000)
        assert session.messages == [bytes_of(size) for size in sizes]


@each(ALL)
def test_frames_of_one_record_arrive_in_one_go(firmware):
    with TlsSession(firmware) as session:
        peer = session.open()
        peer.records(b"".join(wire.frame(wire.TEXT, b"%d" % number) for number in range(50)))
        session.board.advance(100)
        for _ in range(51):
            session.poll()
        assert session.messages == [str(number) for number in range(50)]


@each(ALL)
def test_records_that_come_at_once_arrive_in_one_go(firmware):
    with TlsSession(firmware) as session:
        peer = session.open()
        peer.records(*(wire.frame(wire.TEXT, b"%d" % number) for number in range(50)))
        session.board.advance(100)
        for _ in range(51):
            session.poll()
        assert session.messages == [str(number) for number in range(50)]


@each(NEWEST)
@pytest.mark.parametrize("size", [5067, 5068])
def test_record_larger_than_axtls_takes_is_minus_161(firmware, size):
    header = 4
    with TlsSession(firmware) as session:
        peer = session.open()
        peer.frame(wire.BINARY, bytes(size - header))
        if is_axtls(firmware) and size > 5067:
            assert session.finish() == -161
        else:
            session.until(lambda: session.messages)


@each(ALL)
@pytest.mark.parametrize("size", [1, 125, 126, 1024, 1025, 4096, 4097, 20000, 65536])
def test_message_sent_arrives_whatever_its_size(firmware, size):
    with TlsSession(firmware) as session:
        session.open()
        session.ws.send(bytes_of(size))
        assert session.frames() == [(wire.BINARY, bytes_of(size))]


@each(ALL)
def test_data_of_a_large_message_arrives_in_pieces(firmware):
    content = bytes_of(60000)
    with TlsSession(firmware, script=Tls(record=4000)) as session:
        session.on("data")
        session.open().frame(wire.BINARY, content)
        session.until(lambda: session.events[-1][0] == "data" and session.events[-1][3], 60000)
        assert b"".join(event[1] for event in session.events[1:]) == content


# How it ends


@each(ALL)
@pytest.mark.parametrize("ending", ENDINGS)
def test_end_after_the_handshake_has_its_status(firmware, ending):
    status, end = ENDINGS[ending]
    with TlsSession(firmware) as session:
        peer = session.open()
        peer.frame(wire.TEXT, "first")
        session.until(lambda: session.messages)
        end(peer)
        assert session.finish() == status
        assert session.messages == ["first"]


@each(ALL)
def test_message_before_fin_arrives(firmware):
    with TlsSession(firmware) as session:
        peer = session.open()
        peer.frame(wire.TEXT, "last")
        peer.close()
        assert session.finish() == -99
        assert session.messages == ["last"]


@each(ALL)
def test_close_of_the_user_is_0_and_the_server_ends_tcp_first(firmware):
    with TlsSession(firmware) as session:
        peer = session.open()
        session.ws.close(1001, "bye")
        session.until(peer.frames)
        peer.close_frame(1001)
        peer.close_notify()
        peer.close()
        assert session.finish() == 0
        assert session.frames() == [(wire.CLOSE, wire.close_payload(1001, "bye"))]
        events = [event for event in peer.logged() if event.startswith("fin")]
        assert events == ["fin sent", "fin received"]


@each(ALL)
def test_close_that_nobody_answers_ends_in_time(firmware):
    with TlsSession(firmware, {"close_timeout_ms": 1000}) as session:
        session.open()
        before = session.board.clock.now
        session.ws.close()
        assert session.finish() == 0
        assert 1000 <= session.ended_ms - before <= 1200


@each(ALL)
def test_ping_that_nobody_answers_is_minus_19(firmware):
    with TlsSession(firmware, {"ping_interval_ms": 1000, "ping_limit": 2}) as session:
        session.open()
        assert session.finish() == -19


# Writing


@each(ALL)
def test_send_to_a_server_that_never_reads_is_minus_103(firmware):
    with TlsSession(firmware, {"send_timeout_ms": 2000}) as session:
        peer = session.open()
        peer.stop_reading()
        with pytest.raises(OSError):
            for _ in range(1000):
                session.ws.send(bytes(1000))
        assert session.finish() == -103


@each(ALL)
def test_send_waits_for_a_server_that_reads_again(firmware):
    content = [bytes_of(30000, seed) for seed in range(12 if firmware[0] == "unix" else 2)]
    with TlsSession(firmware) as session:
        peer = session.open()
        peer.stop_reading()
        session.board.clock.after(500, peer.resume_reading)
        for message in content:
            session.ws.send(message)
        assert session.frames() == [(wire.BINARY, message) for message in content]


@each(ALL)
def test_pong_of_a_full_send_buffer_waits_behind_what_was_written(firmware):
    with TlsSession(firmware, {"send_timeout_ms": 3000}) as session:
        peer = session.open()
        session.ws.send(b"before")
        peer.frame(wire.PING, b"1")
        peer.frame(wire.PING, b"2")
        session.idle(200)
        session.ws.send(b"after")
        kinds = [opcode for opcode, _ in session.frames()]
        assert kinds[0] == wire.BINARY and sorted(kinds[1:]) == [wire.BINARY, wire.PONG, wire.PONG]


@each(ALL)
def test_send_over_half_a_record_waits_for_the_rest(firmware):
    with TlsSession(firmware, script=Tls(record=600)) as session:
        peer = session.open()
        sealed = []
        raw, peer.raw = peer.raw, lambda data, after_ms=0: sealed.append(data)
        peer.frame(wire.BINARY, bytes_of(500))
        peer.raw = raw
        record = b"".join(sealed)
        peer.raw(record[:200])
        session.idle(100)
        peer.raw(record[200:], after_ms=300)
        session.ws.send(b"answer")
        session.until(lambda: session.messages)
        assert session.messages == [bytes_of(500)]
        assert session.frames() == [(wire.BINARY, b"answer")]


@each(AXTLS)
def test_send_over_half_a_record_whose_rest_never_comes_is_minus_103(firmware):
    with TlsSession(firmware, {"send_timeout_ms": 2000}) as session:
        peer = session.open()
        peer.raw(b"\x17\x03\x03\x01\x00half")
        session.idle(100)
        with pytest.raises(OSError):
            session.ws.send(b"answer")
        assert session.finish() == -103


@pytest.mark.parametrize("seed", range(6))
@each(ALL)
def test_talk_in_both_directions_through_random_records_is_whole(firmware, seed):
    chance = random.Random(f"{seed}{named(firmware)}")
    pieces, pause_ms = chance.choice([(3, 0), (40, 3), (400, 30), (1400, 30), (1400, 0)])
    script = Tls(record=chance.choice([20, 100, 1000, 5000]), pieces=pieces, pause_ms=pause_ms, seed=seed)
    sent, answers, got = [], [], []

    def answer(ws, message, opcode):
        got.append(bytes(message))
        if chance.random() < 0.3:
            answers.append(chance.randbytes(chance.choice([1, 100, 600])))
            ws.send(answers[-1])

    with TlsSession(firmware, script=script, latency_ms=chance.choice([0, 5, 20]), spin_limit=100000) as session:
        peer = session.open()
        session.ws.on("receive", answer)
        for _ in range(100):
            sent.append(chance.randbytes(int(5000 ** chance.random())))
            if chance.random() < 0.1:
                peer.frame(wire.PING, b"?")
            peer.frame(wire.BINARY, sent[-1], after_ms=chance.choice([0, 0, 0, 5, 50]))
            if chance.random() < 0.5:
                session.ws.poll(chance.randint(0, 30))
            if chance.random() < 0.1:
                answers.append(chance.randbytes(chance.choice([1, 100, 600])))
                session.ws.send(answers[-1])
        while len(got) < len(sent):
            assert session.ws.poll(1000)
        assert got == sent
        assert [payload for opcode, payload in session.frames() if opcode == wire.BINARY] == answers


# Memory


@each(AXTLS)
@pytest.mark.parametrize(("mem_free", "largest_block"), [(16000, None), (25000, 5300)], ids=["all", "in-one-piece"])
def test_heap_too_small_for_axtls_is_minus_101_without_trying(firmware, mem_free, largest_block):
    with TlsSession(firmware) as session:
        session.board.mem_free, session.board.largest_block = mem_free, largest_block
        session.connect()
        assert session.finish() == -101
        assert not session.board.calls["wrap_socket"]


@each([one for one in MBEDTLS if one[0] == "esp32"])
@pytest.mark.parametrize(("idf_free", "opens"), [(20000, False), (34000, False), (36000, True)])
def test_heap_of_the_esp32_too_small_for_tls_is_minus_101(firmware, idf_free, opens):
    with TlsSession(firmware) as session:
        session.board.idf_free = idf_free
        if opens:
            session.open()
        else:
            session.connect()
            assert session.finish() == -101


@each(ALL)
def test_memory_of_tls_is_given_back_after_each_connection(firmware):
    with TlsSession(firmware) as session:
        before = session.board.mem_free, session.board.idf_free
        for _ in range(5):
            session.open().close()
            session.finish()
            assert (session.board.mem_free, session.board.idf_free) == before


@each(ALL)
def test_plain_connection_loads_nothing_of_tls(firmware):
    with TlsSession(firmware) as session:
        session.board.listen(ADDRESS, 80, upgrade=True)
        session.connect(f"ws://{ADDRESS}/")
        session.until(lambda: session.ws.connected)
        assert not {"tls", "ssl", "_wstls", "_wsaxtls"} & set(session.board.modules)


# More than one


@each(NEWEST)
def test_reconnect_of_wss_opens_again(firmware):
    with TlsSession(firmware, {"reconnect": True, "reconnect_min_ms": 10, "reconnect_max_ms": 100}) as session:
        session.open().reset()
        session.until(lambda: session.statuses)
        session.until(lambda: session.ws.connected)
        assert session.statuses == [-109]


@each([AXTLS[-1], ("esp32", (1, 28))])
def test_background_brings_the_events_of_wss(firmware):
    with TlsSession(firmware, {"background": True}) as session:
        session.connect()
        session.board.run_background(1000)
        assert session.events == [("connection",)]
        peer = session.server.accept()
        peer.records(b"".join(wire.frame(wire.TEXT, b"%d" % number) for number in range(20)))
        session.board.run_background(1000)
        assert session.messages == [str(number) for number in range(20)]
        peer.close_frame(1000)
        peer.close(50)
        session.board.run_background(6000)
        assert session.statuses == [-6]
