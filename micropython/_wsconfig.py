# _wsconfig: checks what is given to config(). MIT licence, see LICENSE.
"""The configuration of a client: one tuple, in the order of `KEYS`.

Loaded when `config()` is called, and let go again.
"""

# The order is that of the indices in the other modules. The
# limits are those of an integer; 1 << 29 is the range of utime.ticks_add.
KEYS = (
    "headers",
    "protocols",
    "connect_timeout_ms",
    "close_timeout_ms",
    "send_timeout_ms",
    "ping_interval_ms",
    "ping_limit",
    "max_message",
    "tls",
    "reconnect",
    "reconnect_min_ms",
    "reconnect_max_ms",
    "compression",
    "background",
    "timer",
)


def _token(key, text):
    # a name as RFC 7230 3.2.6 has it
    good = isinstance(text, str) and text
    if good:
        for c in text:
            good = good and "!" <= c < "\x7f" and c not in '"(),/:;<=>?@[\\]{}'
    if not good:
        raise ValueError("config: {} must be made of letters, digits, - and the like: {!r}".format(key, text))


def header_fields(values):
    """Return `values`, a dict of the user's request headers, if they may go into a request.

    Names and values are `str`. Raises `ValueError` for a name of the client's own (`Upgrade`,
    `Connection`, `Sec-WebSocket-*` but `-Protocol`), and for CR, LF or NUL.
    """
    if not isinstance(values, dict):
        raise ValueError("config: headers must be a dict or a function that returns one")
    for name, value in values.items():
        _token("headers", name)
        if not isinstance(value, str) or "\r" in value or "\n" in value or "\0" in value:
            raise ValueError("config: header {} must be a str without CR, LF and NUL".format(name))
        low = name.lower()
        if low == "sec-websocket-protocol":
            for item in value.split(","):
                _token("header " + name, item.strip())
        elif low in ("upgrade", "connection") or low.startswith("sec-websocket-"):
            raise ValueError("config: header {} is the client's own".format(name))
    return values


def _whole(key, value, least=0, limit=1 << 29):
    if type(value) is not int or not least <= value < limit:
        raise ValueError("config: {} must be a whole number from {} to {}".format(key, least, limit - 1))


def _switch(key, value):
    if value is not True and value is not False:
        raise ValueError("config: {} must be True or False".format(key))


def _tls(value, load):
    for key, item in value.items():
        if key == "verify":
            _switch("tls verify", item)
        elif key == "server_hostname":
            if not isinstance(item, str) or not item:
                raise ValueError("config: tls server_hostname must be a str")
        elif key not in ("ca", "cert", "key"):
            raise ValueError("config: unknown tls key {!r}".format(key))
        elif not isinstance(item, (str, bytes, bytearray)) or not item:
            raise ValueError("config: tls {} must be a file name or bytes".format(key))
        elif isinstance(item, str) and item.lstrip().startswith("-----BEGIN"):
            raise ValueError(
                "config: tls {}: PEM must be bytes, a str is a file name; add a b or .encode()".format(key)
            )
    if ("cert" in value) != ("key" in value):
        raise ValueError("config: tls cert and key go together")
    if value.get("verify", "ca" in value):
        if "ca" not in value:
            raise ValueError("config: tls verify needs ca, the certificates to trust")
        if not load("_wstls").can_verify():
            raise ValueError("config: tls: this firmware cannot verify a server; leave out ca and verify")


def _check(key, value, load):
    # the value as it is kept
    if key == "headers":
        if callable(value):
            return value
        return dict(header_fields(value))
    if key == "protocols":
        if not isinstance(value, (tuple, list)):
            raise ValueError("config: protocols must be a tuple or list of str")
        for item in value:
            _token("protocols", item)
        return tuple(value)
    if key == "tls":
        if not isinstance(value, dict):
            raise ValueError("config: tls must be a dict")
        _tls(value, load)
        return dict(value)
    if key == "ping_limit":
        _whole(key, value, 1)
    elif key == "max_message":
        if value is not None:
            _whole(key, value, 0, 1 << 62)
    elif key == "timer":
        if value is not None:
            _whole(key, value, -1)
    elif key == "background":
        if value is not True and value is not False:
            _whole(key, value, 1)
    elif key in ("reconnect", "compression"):
        _switch(key, value)
        if key == "compression" and value:
            load("uwebsocket_deflate", True)
    else:
        _whole(key, value)
        if key == "ping_interval_ms" and not value:
            return (1 << 29) - 1  # _NEVER in uwebsocket_client
    return value


def update(options, params, load):
    """Return `options` with the items of `params` in it; `options` itself stays as it is.

    `options`: a tuple in the order of `KEYS`; `params`: what the user gave to `config()`; `load`: the client's way
    to a module.
    Raises `TypeError` when that is no dict, `ValueError` that names an unknown key or a value of
    a wrong type or range, `ImportError` for compression without `uwebsocket_deflate`.
    """
    if not isinstance(params, dict):
        raise TypeError("config: params must be a dict")
    new = list(options)
    for key, value in params.items():
        if key not in KEYS:
            raise ValueError("config: unknown key {!r}".format(key))
        new[KEYS.index(key)] = _check(key, value, load)
    if new[KEYS.index("reconnect_min_ms")] > new[KEYS.index("reconnect_max_ms")]:
        raise ValueError("config: reconnect_min_ms must not exceed reconnect_max_ms")
    return tuple(new)
