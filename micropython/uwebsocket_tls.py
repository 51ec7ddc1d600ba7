# uwebsocket_tls: wss:// on the TLS library of the firmware. MIT licence, see LICENSE.
"""TLS for a connection that is being opened.

Loaded for a wss:// URL when TCP is connected, and let go again. mbedTLS (ESP32, PC) does the
handshake in the first writes; axTLS (ESP8266) is kept in hand by `uwebsocket_axtls`.
"""

import gc
import sys
from binascii import a2b_base64

import uselect
from micropython import const

# Indices of the options, see KEYS in uwebsocket_config
_TLS = const(8)

_ROOM = const(4096)  # payload bytes of one write: about the record that mbedTLS makes on an ESP32
_ESP32_HEAP = const(45000)  # with less in all, mbedTLS has been seen to wait for ever


class _Poller:
    # The poll object of a connection over mbedTLS. While hands are shaken the SSLSocket knows which
    # way it waits; afterwards TCP itself is asked, which wakes at once. What mbedTLS has decrypted
    # is never left, for the client reads until there is nothing.

    def __init__(self, poller, raw, sock):
        self._poller = poller
        self._raw = raw
        self._sock = sock
        poller.unregister(raw)
        poller.register(sock, uselect.POLLIN | uselect.POLLOUT | uselect.POLLHUP)
        self.ipoll = poller.ipoll

    def modify(self, sock, flags):
        if self._sock is not None:  # the first time, when the request is sent
            self._poller.unregister(sock)
            self._poller.register(self._raw, flags)
            self._sock = None
        else:
            self._poller.modify(self._raw, flags)


def library():
    """Return the module that has the firmware's TLS: `tls` (1.23), `ssl` (1.21) or `ussl`."""
    for name in ("tls", "ssl"):
        try:
            return __import__(name)
        except ImportError:
            pass
    return __import__("ussl")


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
        blocks.append(a2b_base64(part.split(b"-----")[1]))
    return blocks or [data]


def _own(tls, config):
    # the client's certificate and key; axTLS knows no PEM, and says so only in the handshake
    cert = _data(config["cert"])
    key = _data(config["key"])
    if not hasattr(tls, "CERT_REQUIRED"):
        # the certificate goes without its chain; in a key's file its parameters may come first
        return _der(cert)[0], _der(key)[-1]
    return cert, key


def _context(tls, config, verify):
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    if hasattr(tls, "CERT_REQUIRED"):  # axTLS has none
        # never the default: the modules `tls` and `ssl` differ in it
        context.verify_mode = tls.CERT_REQUIRED if verify else tls.CERT_NONE
        if "ca" in config:
            for block in _der(_data(config["ca"])):
                context.load_verify_locations(block)
    if "cert" in config:
        cert, key = _own(tls, config)
        try:
            context.load_cert_chain(cert, key)
        except ValueError:  # a library that knows no PEM
            context.load_cert_chain(_der(cert)[0], _der(key)[-1])
    return context


def _wrap_old(tls, sock, config, verify, name, arguments):
    # firmware up to 1.20
    if "cert" in config:
        arguments["cert"], arguments["key"] = _own(tls, config)
    if verify:
        arguments["cert_reqs"] = tls.CERT_REQUIRED
        arguments["cadata"] = _data(config["ca"])
    return tls.wrap_socket(sock, server_hostname=name, **arguments)


def wrap(ws, host):
    """Put TLS over the connected socket of `ws`, and return the new one.

    `host`: `str`, of the URL. Sets `_sock` and `_poller` of `ws`. Raises `OSError` and `ValueError`
    when the certificates cannot be read or the handshake of axTLS fails; that of mbedTLS comes with
    the first writes. `MemoryError` when there is too little memory to begin.
    """
    gc.collect()
    tls = library()
    config = ws._options[_TLS] or {}
    verify = config.get("verify", "ca" in config)
    name = config.get("server_hostname")
    if name is None:
        # an address is no server name (RFC 6066 3), but a certificate may hold one
        literal = ":" in host or host.replace(".", "").isdigit()
        name = None if literal and not verify else host
    raw = ws._sock
    if not hasattr(tls, "MBEDTLS_VERSION") and sys.platform != "esp32":
        from uwebsocket_axtls import AxTLS

        if hasattr(tls, "SSLContext"):
            context = _context(tls, config, verify)
            sock = AxTLS(ws, lambda gate: context.wrap_socket(gate, server_hostname=name))
        else:
            sock = AxTLS(ws, lambda gate: _wrap_old(tls, gate, config, verify, name, {}))
        ws._sock = ws._poller = sock
        return sock
    if sys.platform == "esp32":
        import esp32

        if sum([region[1] for region in esp32.idf_heap_info(esp32.HEAP_DATA)]) < _ESP32_HEAP:
            raise MemoryError
    if hasattr(tls, "SSLContext"):
        sock = _context(tls, config, verify).wrap_socket(raw, server_hostname=name, do_handshake_on_connect=False)
    else:
        sock = _wrap_old(tls, raw, config, verify, name, {"do_handshake": False})
    ws._sock = sock
    ws._poller = _Poller(ws._poller, raw, sock)
    ws._room = _ROOM
    return sock
