# _wsoffers: what the client offers beside itself. MIT licence, see LICENSE.
"""The subprotocols and extensions that the upgrade request offers (RFC 6455 1.9, 9.1).

Loaded for a connection that has headers, subprotocols or compression configured, and let go again, see `_wsurl`.
"""

from micropython import const

# Indices of the options, see KEYS in _wsconfig
_PROTOCOLS = const(1)
_COMPRESSION = const(12)


def step(ws, connection, load):
    """Put what is offered into the headers of the request; leaves `connection.fields` as `_wsurl` does.

    Of the subprotocols, which come from the option and the header, each is offered once. Raises what the loading of
    `uwebsocket_deflate` raises.
    """
    connection.step = "_wsconnect"
    given = connection.fields[0]
    fields = dict(given)
    comma = str(b", ", "utf-8")  # a literal of its length is a name
    offered = comma.join(ws._options[_PROTOCOLS])
    for name in given:
        if name.lower() == "sec-websocket-protocol":
            offered += comma + fields.pop(name)
    protocols = []
    for name in offered.split(comma.strip()):
        name = name.strip()
        if name and name not in protocols:
            protocols.append(name)
    if protocols:
        fields["Sec-WebSocket-Protocol"] = comma.join(protocols)
    match = None
    if ws._options[_COMPRESSION]:
        extension = load("uwebsocket_deflate", True).step(ws, connection)
        fields = extension.offers(fields)
        match = extension.match
    connection.fields = fields, protocols, match
