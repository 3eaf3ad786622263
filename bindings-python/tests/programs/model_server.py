"""A model server as `--run` starts one: it writes its process id to a file and answers every chat alike."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ANSWER = {"choices": [{"index": 0, "message": {"content": "from the server"}, "finish_reason": "stop"}]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer({"object": "list", "data": [{"id": "tiny"}]})

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.answer(ANSWER)

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


file, port = sys.argv[1:]
server = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
Path(file).write_text(str(os.getpid()))
print("the model is loaded", flush=True)
server.serve_forever()
