# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""An API server, or a proxy before one, that shows in each answer the headers of the request."""

from __future__ import annotations

import http.server
import json
import threading


class TelltaleServer:
    """It refuses everything, the requests in turn with the status codes; use it as a context manager.

    :ivar url: where it is.
    :ivar seen: the Authorization header of each request.
    """

    def __init__(self, *statuses):
        self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(handler):
                status = statuses[len(self.seen) % len(statuses)]
                self.seen.append(handler.headers.get("Authorization", ""))
                shown = f"no way for {dict(handler.headers)}"
                text = json.dumps({"message": shown}) if len(self.seen) % 2 else shown
                handler.send_response(status)
                handler.send_header("Location", f"{self.url}/elsewhere")
                handler.send_header("Content-Length", str(len(text)))
                handler.end_headers()
                handler.wfile.write(text.encode())

            do_GET = do_POST = do_PATCH = do_DELETE = answer

            def log_message(handler, *_arguments):
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error):
        self._server.shutdown()
        self._server.server_close()
