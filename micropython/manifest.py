# manifest.py: freezes the client into a firmware. MIT licence, see LICENSE.
"""Include this file in the manifest of a board's firmware:

    include("<path of this folder>/manifest.py")

Frozen code runs from flash and takes next to no heap. `masker=False` leaves the machine code out, for a build
that has no instruction set to compile it for (the unix port names none by itself); `asyncio=True` adds the front-end
for asyncio, `deflate=True` compression.
"""

options.defaults(masker=True, asyncio=False, deflate=False)

for name in (
    "uwebsocket_axtls.py",
    "uwebsocket_board.py",
    "uwebsocket_client.py",
    "uwebsocket_config.py",
    "uwebsocket_connect.py",
    "uwebsocket_error.py",
    "uwebsocket_network.py",
    "uwebsocket_protocol.py",
    "uwebsocket_receive.py",
    "uwebsocket_reply.py",
    "uwebsocket_request.py",
    "uwebsocket_timer.py",
    "uwebsocket_tls.py",
    "uwebsocket_url.py",
):
    module(name, opt=3)
if options.masker:
    module("uwebsocket_mask.py", opt=3)
if options.asyncio:
    module("uwebsocket_asyncio.py", opt=3)
if options.deflate:
    module("uwebsocket_deflate.py", opt=3)
