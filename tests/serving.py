"""The review page served for a test, and a plain client that sends what it is told, no more."""

import copy
import http.client
import re
import threading
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from oddlens.review.server import serving


def elsewhere(opened, folder):
    """An opened run whose labels are kept in another folder, so that it need not be opened again."""
    run = copy.copy(opened)
    run.folder = folder
    return run


class Server:
    """A review of a run on a port of its own, in a thread."""

    def __init__(self, folder, **options):
        self.of, self.options = folder, options
        self.folder = folder if isinstance(folder, Path) else folder.folder

    def __enter__(self):
        self.stack = ExitStack()
        self.server, listening, self.address = self.stack.enter_context(
            serving(self.of, **{"name": "Ada", **self.options}))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listening]})
        self.thread.start()
        parts = urlsplit(self.address)
        self.host, self.port, self.base = parts.netloc, parts.port, parts.path
        return self

    def __exit__(self, *error):
        self.server.should_exit = True
        self.thread.join()
        self.stack.close()

    def client(self):
        return Client(self)


class Client:
    """One browser, as far as a server can tell: it keeps its cookie and says where a form was sent from."""

    def __init__(self, server):
        self.server, self.cookie = server, None

    def send(self, method, path, body=None, headers=None, base=None, host=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            connection.putrequest(method, (self.server.base if base is None else base) + path, skip_host=True,
                                  skip_accept_encoding=True)
            sent = {"Host": self.server.host if host is None else host,
                    **({"Cookie": self.cookie} if self.cookie else {}), **(headers or {})}
            if body is not None:
                sent.setdefault("Content-Length", str(len(body)))
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if found := answer.headers.get("set-cookie"):
            self.cookie = found.partition(";")[0]
        return Answer(answer.status, content, answer.headers)

    def get(self, path, **options):
        return self.send("GET", path, **options)

    def post(self, path, fields, headers=None, **options):
        sent = {"Origin": f"http://{self.server.host}", "Sec-Fetch-Site": "same-origin", "X-Part": "stage",
                "Content-Type": "application/x-www-form-urlencoded"}
        return self.send("POST", path, urlencode(fields, doseq=True).encode(),
                         {k: v for k, v in {**sent, **(headers or {})}.items() if v is not None}, **options)

    def row(self):
        """The number of the image that the page shows."""
        return shown(self.get("").text)

    def label(self, row, label, **options):
        return self.post("label", {"row": row, "label": label}, **options)


class Answer:
    def __init__(self, status, content, headers):
        self.status, self.content, self.headers = status, content, headers

    @property
    def text(self):
        return self.content.decode()


def shown(text):
    found = re.search(r'data-row="(\d*)"', text)
    return int(found[1]) if found[1] else None
