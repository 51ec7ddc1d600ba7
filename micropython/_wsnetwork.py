# _wsnetwork: whether an ESP32 has a network. MIT licence, see LICENSE.
"""The ESP32's part of `_wsboard`, which takes it in there: an ESP8266 has no room to spare for it."""

from uwebsocket_client import errno, usocket


def isconnected():
    """Return False where the network has no link.

    To ask for the station would start the Wi-Fi driver, on a board with Ethernet too. But without a link lwIP
    refuses to send anything: an empty datagram to an address for documentation (RFC 5737), port 9 (discard).
    """
    try:
        sock = usocket.socket(usocket.AF_INET, usocket.SOCK_DGRAM)
        try:
            sock.sendto(b"", ("192.0.2.1", 9))
        finally:
            sock.close()
    except OSError as error:
        return error.errno not in (errno.EHOSTUNREACH, 114)  # 114: ENETUNREACH
    return True
