"""Servers on this machine for tests of addresses: a plain one of files, and one that answers as S3 does."""

import functools
import http.server
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


@contextmanager
def served(folder, kind=None):
    """A server of the files in a folder; its address, with a slash at the end."""
    handler = functools.partial(kind or Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Bucket(Quiet):
    """As much of S3 as listing and reading take: ListObjectsV2, HEAD, GET with a range."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        if "list-type" in query:
            self.list(query.get("prefix", [""])[0], query.get("delimiter", [""])[0])
        else:
            self.answer(body=True)

    def key(self):
        return unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]

    def answer(self, body):


        path = Path(self.directory) / self.key()
        if not self.key() or path.is_dir():
            return self.send(200 if path.is_dir() and not self.key() else 404, b"", body)
        if not path.is_file():
            return self.send(404, b"<Error><Code>NoSuchKey</Code></Error>", body)
        content = path.read_bytes()
        ranged = self.headers.get("Range")
        if ranged is None:
            return self.send(200, content, body)
        first, _, last = ranged.removeprefix("bytes=").partition("-")
        part = content[int(first) : int(last or len(content)) + 1]
        place = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
        return self.send(206, part, body, {"Content-Range": place})

    def list(self, prefix, delimiter):


        keys = sorted(path.relative_to(self.directory).as_posix() for path in Path(self.directory).rglob("*")
                      if path.is_file())
        rows, folders = [], set()
        for key in keys:
            rest = key.removeprefix(prefix)
            if not key.startswith(prefix):
                continue
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
                continue
            size = (Path(self.directory) / key).stat().st_size
            rows.append(f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                        f'<ETag>"0"</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>')
        rows += [f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in sorted(folders)]
        xml = ('<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>'
               f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{len(rows)}</KeyCount><MaxKeys>1000</MaxKeys>"
               f"<IsTruncated>false</IsTruncated>{''.join(rows)}</ListBucketResult>")
        self.send(200, xml.encode(), True, {"Content-Type": "application/xml"})

    def send(self, code, content, body, headers=None):
        self.send_response(code)
        for name, value in {"Content-Length": str(len(content)), "ETag": '"0"',
                            "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)
