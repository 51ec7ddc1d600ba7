# _wstls: wss:// on the TLS library of the firmware. MIT licence, see LICENSE.
"""TLS for a connection that is being opened.

Loaded for a wss:// URL when TCP is connected, and let go again. mbedTLS (ESP32, PC) shakes hands in the first
writes; axTLS (ESP8266) is kept in hand by `_wsaxtls`.
"""

import gc
from sys import platform

from micropython import const
from uwebsocket_client import binascii

_TLS = const(8)  # index of the option, see KEYS in _wsconfig

# Bytes of the ESP-IDF's heap that a handshake has been seen to need on an ESP32 (MicroPython 1.23 to 1.26): with 31 KB
# it returned nothing for ever, with 36 KB it always succeeded.
_ESP32_HEAP = const(35000)


def library():
    """Return the module that has the firmware's TLS: `tls` (1.23 and later) or `ssl`. Raises `ImportError`."""
    try:
        return __import__("tls")
    except ImportError:
        return __import__("ssl")


def can_verify():
    """Return whether the firmware can verify a server: axTLS, on the ESP8266, cannot."""
    return hasattr(library(), "CERT_REQUIRED")


def _data(value):
    # certificates and keys as the library takes them: bytes, or the contents of a named file
    if isinstance(value, str):
        with open(value, "rb") as file:
            return file.read()
    return bytes(value)


def _der(data):
    # the blocks of a PEM text as DER, which every library reads; DER is one block
    blocks = []
    for part in data.split(b"-----BEGIN ")[1:]:
        blocks.append(binascii.a2b_base64(part.split(b"-----")[1]))
    return blocks or [data]


def _context(tls, config, verify):
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    verifies = hasattr(tls, "CERT_REQUIRED")
    if verifies:
        # never the default: the modules `tls` and `ssl` differ in it
        context.verify_mode = tls.CERT_REQUIRED if verify else tls.CERT_NONE
        if "ca" in config:
            for block in _der(_data(config["ca"])):
                context.load_verify_locations(block)
    elif verify:
        raise ValueError("this firmware cannot verify a server")
    if "cert" in config:
        cert = _data(config["cert"])
        key = _data(config["key"])
        try:
            if not verifies:
                raise ValueError  # axTLS knows no PEM, and says so only in the handshake
            context.load_cert_chain(cert, key)
        except ValueError:
            # the certificate goes without its chain; in a key's file its parameters may come first
            context.load_cert_chain(_der(cert)[0], _der(key)[-1])
    return context


def step(ws, connection, load):
    """Put TLS over the connected socket, and let the poller watch it; for axTLS make its context.

    Raises `OSError` and `ValueError` when the certificates cannot be read; the handshake of mbedTLS comes with the
    first writes. `MemoryError` when there is too little memory to begin.
    """
    gc.collect()
    connection.step = "_wsrequest"
    connection.doing = "time-out: TLS"
    connection.heard = None
    try:
        tls = library()
    except ImportError:
        raise ValueError("this firmware has no TLS")
    config = ws._options[_TLS] or {}
    verify = config.get("verify", "ca" in config)
    name = config.get("server_hostname")
    if name is None:
        # an address is no server name (RFC 6066 3), but a certificate may hold one
        host = connection.args[1].decode()
        literal = ":" in host or host.replace(".", "").isdigit()
        name = None if literal and not verify else host
    if not hasattr(tls, "MBEDTLS_VERSION") and platform != "esp32":
        connection.args += (_context(tls, config, verify), name)
        connection.step = "_wsaxtls"  # when this module has gone, for axTLS needs what memory there is
        return
    if platform == "esp32":
        import esp32

        if sum([region[1] for region in esp32.idf_heap_info(esp32.HEAP_DATA)]) < _ESP32_HEAP:
            ws.error = "the ESP-IDF's heap has too little for TLS"
            raise MemoryError
    sock = _context(tls, config, verify).wrap_socket(
        connection.raw, server_hostname=name, do_handshake_on_connect=False
    )
    # While hands are shaken the SSLSocket knows which way it waits.
    connection.poller.unregister(connection.raw)
    connection.poller.register(sock, connection.flags)
    connection.socket = connection.pollable = sock
