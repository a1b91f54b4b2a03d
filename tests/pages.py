"""Pages as a browser takes them, names that try to break them, and rankings to write them of."""

from html.parser import HTMLParser

import numpy as np

from oddlens.ranking import Ranking

HOSTILE = (
    "<script>alert(1)</script>.png",
    '"><img src=x onerror=alert(1)>.png',
    "' onmouseover='alert(1).png",
    "two\nlines\r\t.png",
    "gpj.\u202egnp.exe",
    "{{ 7 * 7 }}{% raw %}.png",
    "&lt;b&gt;&#x3c;.png",
    "lone \udcff surrogate.png",
    "\x00\x1b[31mred.png",
    "long" * 1000 + ".png",
    "http://example.org/a.png",
    "תמונה.png",
    "",
)
VOID = {"br", "hr", "img", "input", "link", "meta"}
# What a page of ours may hold. A tag that is not here came out of a name, or is to be added on purpose.
TAGS = {"a", "b", "bdi", "body", "caption", "circle", "code", "desc", "details", "div", "figcaption", "figure",
        "footer", "h1", "h2", "h3", "head", "header", "html", "i", "image", "li", "main", "meta", "nav", "ol", "p",
        "path", "pre", "rect", "section", "span", "strong", "style", "summary", "svg", "table", "tbody", "td", "text",
        "th", "thead", "title", "tr", "ul", "use"}


class Page(HTMLParser):
    """A page as a person's browser takes it; raises where tags do not balance or an attribute stands twice."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.source = text
        self.tags, self.open, self.said = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes), f"{tag} has an attribute twice: {attributes}"
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another tag, at {self.getpos()}"

    def handle_data(self, data):
        if "style" not in self.open:
            self.said.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.said).split())

    def all(self, tag, **having):
        return [a for t, a in self.tags if t == tag and having.items() <= a.items()]


def ranked(count, flagged=None, names=None, p_values=True):
    scores = np.random.default_rng(0).gamma(2, size=count)
    marks = None if flagged is None else np.isin(np.arange(count), np.argsort(-scores)[:flagged])
    return Ranking(tuple(names or (f"{i}.png" for i in range(count))), scores, {"neighbors": scores},
                   p_values=np.exp(-scores) if p_values else None, flagged=marks)
