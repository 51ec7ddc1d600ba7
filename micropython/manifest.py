# manifest.py: freezes the client into a firmware. MIT licence, see LICENSE.
"""Include this file in the manifest of a board's firmware:

    include("<path of this folder>/manifest.py")

Frozen code runs from flash and takes next to no heap. `masker=False` leaves the machine code out, for a build
that has no instruction set to compile it for (the unix port names none by itself); `asyncio=True` adds the front-end
for asyncio, `deflate=True` compression.
"""

options.defaults(masker=True, asyncio=False, deflate=False)

for name in (
    "_wsaxtls.py",
    "_wsboard.py",
    "uwebsocket_client.py",
    "_wsconfig.py",
    "_wsconnect.py",
    "_wserror.py",
    "_wsnetwork.py",
    "_wsoffers.py",
    "_wsprotocol.py",
    "_wsreceive.py",
    "_wsreply.py",
    "_wsrequest.py",
    "_wstimer.py",
    "_wstls.py",
    "_wsurl.py",
):
    module(name, opt=3)
if options.masker:
    module("uwebsocket_mask.py", opt=3)
if options.asyncio:
    module("uwebsocket_asyncio.py", opt=3)
if options.deflate:
    module("uwebsocket_deflate.py", opt=3)
