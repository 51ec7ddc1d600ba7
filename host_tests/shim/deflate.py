"""MicroPython's `deflate` over zlib: raw streams only, which is what the client uses."""

import io
import zlib

from mp_runtime import PortError

AUTO, RAW, ZLIB, GZIP = range(4)

_CHUNK = 256
_EINVAL = 22
_LEAST = 9  # zlib's compressor has no smaller window


class Inflater:
    """A stream that inflates what it reads from `stream`: what most firmware has."""

    def __init__(self, stream, format=AUTO, wbits=0, close=False):
        if format != RAW or close:
            raise ValueError("format")
        if wbits and not 5 <= wbits <= 15:
            raise ValueError("wbits")
        self._stream = stream
        self._inflater = zlib.decompressobj(-max(wbits or 8, 8))
        self._pending = b""

    def readinto(self, buffer):
        """Fill `buffer`, less only at the end; EOFError where the stream ends before, OSError for invalid data."""
        view = memoryview(buffer)
        got = 0
        while got < len(view) and not self._inflater.eof:
            try:
                out = self._inflater.decompress(self._pending, len(view) - got)
            except zlib.error:
                raise PortError(_EINVAL) from None
            self._pending = self._inflater.unconsumed_tail
            view[got : got + len(out)] = out
            got += len(out)
            if self._inflater.eof:
                # the firmware reads no further than it needs
                self._stream.seek(-len(self._inflater.unused_data), io.SEEK_CUR)
            elif not out and not self._pending:
                self._pending = self._stream.read(_CHUNK)
                if not self._pending:
                    raise EOFError
        return got


class DeflateIO(Inflater):
    """One that also deflates what is written to it: what firmware built with MICROPY_PY_DEFLATE_COMPRESS has."""

    def __init__(self, stream, format=AUTO, wbits=0, close=False):
        super().__init__(stream, format, wbits, close)
        strategy = zlib.Z_DEFAULT_STRATEGY if wbits >= _LEAST else zlib.Z_HUFFMAN_ONLY
        self._deflater = zlib.compressobj(wbits=-max(wbits, _LEAST), strategy=strategy)

    def write(self, data):
        """Compress `data`."""
        self._stream.write(self._deflater.compress(data))
        return len(data)

    def close(self):
        """Write the end of what was compressed."""
        self._stream.write(self._deflater.flush())
