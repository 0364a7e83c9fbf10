"""An HTTPS server with the faults that servers have, and a proxy, for the tests of outgoing calls.

Arguments: files with a certificate and its key each. Prints the port of each server and then that of the proxy, one a
line, and serves until its standard input ends.
"""

import gzip
import json
import select
import socket
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.Lock()
seen = {}


def visits(path):
    """How often a path was asked for, this time included."""
    with lock:
        seen[path] = seen.get(path, 0) + 1
        return seen[path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def reply(self, status, body=b"{}", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_any(self):
        path = self.path.split("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        count = visits(path)
        if path.startswith("/echo"):
            said = {
                "method": self.command, "path": self.path, "body": body.decode(),
                "headers": {name.lower(): value for name, value in self.headers.items()},
            }
            self.reply(200, json.dumps(said).encode(), Content_Type="application/json", Cache_Control="max-age=60")
        elif path == "/slow":
            time.sleep(20)
        elif path == "/trickle":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            for _ in range(200):
                self.wfile.write(b"x")
                time.sleep(0.1)
        elif path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"only this")
            self.close_connection = True
        elif path == "/nothing":
            self.close_connection = True
        elif path == "/huge":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for _ in range(4096):
                self.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        elif path == "/bomb":
            self.reply(200, gzip.compress(b"\0" * (64 << 20)), Content_Encoding="gzip")
        elif path == "/headers":
            self.send_response(200)
            for number in range(200):
                self.send_header("X-Long-%d" % number, "x" * 1000)
            self.end_headers()
        elif path == "/garbage":
            self.wfile.write(b"\x16\x03\x01 what is this\r\n\r\n")
            self.close_connection = True
        elif path.startswith("/throttled"):
            if count == 1:
                self.reply(429, Retry_After=path.split("/")[2])
            else:
                self.reply(200, str(count).encode())
        elif path.startswith("/flaky"):
            self.reply(503 if count == 1 else 200, str(count).encode())
        elif path == "/broken":
            self.reply(503)
        elif path == "/loop":
            self.reply(302, Location="/loop")
        elif path.startswith("/to/"):
            self.reply(302, Location=self.path.split("?to=", 1)[1])
        elif path == "/seen":
            with lock:
                self.reply(200, json.dumps(seen).encode())
        else:
            self.reply(404)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        pass


def serve(pem):
    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


class Proxy(BaseHTTPRequestHandler):
    """Tunnels for whoever logs in as ada."""

    def log_message(self, *arguments):
        pass

    def do_CONNECT(self):
        visits("proxy")
        if self.headers.get("Proxy-Authorization") != "Basic YWRhOmhpZGRlbg==":
            self.send_response(407)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        host, port = self.path.rsplit(":", 1)
        far = socket.create_connection((host.strip("[]"), int(port)))
        self.send_response(200)
        self.end_headers()
        near = self.connection
        while True:
            for ready in select.select([near, far], [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                (far if ready is near else near).sendall(data)


for name in sys.argv[1:]:
    print(serve(name), flush=True)
proxy = Server(("127.0.0.1", 0), Proxy)
threading.Thread(target=proxy.serve_forever, daemon=True).start()
print(proxy.server_address[1], flush=True)
sys.stdin.read()
