"""A web server on loopback that offers files, as the pages do from which firmware is downloaded."""

import contextlib
import http.server
import threading

_CUT_AT = 1000
_LOOK_S = 0.05


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        site = self.server
        site.asked.append(self.path)
        content = site.pages.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write((content or b"")[: _CUT_AT if self.path in site.cut else None])

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def running(pages):
    """Offer `pages`, {path: content or None}; the site has `url`, `pages`, `asked`, and `cut`: what breaks off."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as site:
        site.url = f"http://127.0.0.1:{site.server_port}"
        site.pages, site.asked, site.cut = dict(pages), [], []
        thread = threading.Thread(target=site.serve_forever, args=(_LOOK_S,))
        thread.start()
        try:
            yield site
        finally:
            site.shutdown()
            thread.join()
