"""Stands in for the firmware's `tls` on a chip without: notes what of the heap is free when TLS begins, and fails."""

import errno
import gc

PROTOCOL_TLS_CLIENT = 0
free = None


class SSLContext:
    def __init__(self, protocol):
        pass

    def wrap_socket(self, sock, server_hostname=None):
        """Raise `OSError`."""
        global free
        gc.collect()
        free = gc.mem_free()
        raise OSError(errno.ECONNRESET)
