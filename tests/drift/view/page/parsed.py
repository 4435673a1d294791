"""A page as a browser reads it."""

import json
import re
from html.parser import HTMLParser
from typing import Any

#: Elements without an end.
VOID = frozenset({"meta", "input", "br", "hr", "img", "link"})


class Page(HTMLParser):
    """What a browser makes of the page: elements, texts by element, and whether all are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data.strip()))

    @property
    def text(self) -> str:
        """What a person reads."""
        shown = [words for tag, words in self.texts if tag not in {"script", "style"}]
        return " ".join(" ".join(shown).split())

    def script(self, id_: str) -> Any:
        found = re.search(
            rf'<script type="application/json" id="{id_}">(.*?)</script>', self.source
        )
        assert found is not None
        return json.loads(found[1])

    def ids(self) -> list[str]:
        return [attrs["id"] or "" for _, attrs in self.elements if "id" in attrs]
