# uwebsocket_config: checks what is given to config(). MIT licence, see LICENSE.
"""The configuration of a client: one tuple, in the order of `KEYS`.

Loaded when `config()` is called, and let go again.
"""

from uwebsocket_handshake import check_headers, check_token

# The order is that of the indices in uwebsocket_client and uwebsocket_connect. The
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


def _whole(key, value, least=0, limit=1 << 29):
    if type(value) is not int or not least <= value < limit:
        raise ValueError(
            "config: {} must be a whole number from {} to {}".format(key, least, limit - 1)
        )


def _switch(key, value):
    if value is not True and value is not False:
        raise ValueError("config: {} must be True or False".format(key))


def _tls(value):
    for key, item in value.items():
        if key == "verify":
            _switch("tls verify", item)
        elif key not in ("ca", "cert", "key", "server_hostname"):
            raise ValueError("config: unknown tls key {!r}".format(key))
        elif not isinstance(item, (str, bytes)) or key == "server_hostname" and not isinstance(item, str):
            raise ValueError("config: tls {} must be a file name or bytes".format(key))
    if ("cert" in value) != ("key" in value):
        raise ValueError("config: tls cert and key go together")


def _check(key, value):
    # the value as it is kept
    if key == "headers":
        if callable(value):
            return value
        if not isinstance(value, dict):
            raise ValueError("config: headers must be a dict or a function that returns one")
        check_headers(value)
        return dict(value)
    if key == "protocols":
        if not isinstance(value, (tuple, list)):
            raise ValueError("config: protocols must be a tuple or list of str")
        for item in value:
            check_token("protocols", item)
        return tuple(value)
    if key == "tls":
        if not isinstance(value, dict):
            raise ValueError("config: tls must be a dict")
        _tls(value)
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
            __import__("uwebsocket_deflate")
    else:
        _whole(key, value)
    return value


def update(options, params):
    """Return `options` with the items of `params` in it; `options` itself stays as it is.

    `options`: a tuple in the order of `KEYS`; `params`: what the user gave to `config()`.
    Raises `TypeError` when that is no dict, `ValueError` that names an unknown key or a value of
    a wrong type or range, `ImportError` for compression without `uwebsocket_deflate`.
    """
    if not isinstance(params, dict):
        raise TypeError("config: params must be a dict")
    new = list(options)
    for key, value in params.items():
        if key not in KEYS:
            raise ValueError("config: unknown key {!r}".format(key))
        new[KEYS.index(key)] = _check(key, value)
    if new[KEYS.index("reconnect_min_ms")] > new[KEYS.index("reconnect_max_ms")]:
        raise ValueError("config: reconnect_min_ms must not exceed reconnect_max_ms")
    return tuple(new)
