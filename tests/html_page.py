"""Reads the pages of `wavenet_tf.reports` as a browser does."""

import base64
import html.parser

VOID_TAGS = {"meta", "img"}


class Page(html.parser.HTMLParser):
    """The contents of a page.

    Args:
        path: HTML file.

    Attributes:
        source: text of the file.
        tags: names of all tags.
        text: visible text.
        cards: heading, table rows, text, pictures ("img") and players ("audio") of each card.
    """

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.open_tags, self.tags, self.cards = [], set(), []
        self.text = ""
        self.feed(self.source)
        self.close()
        assert not self.open_tags

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        if tag not in VOID_TAGS:
            self.open_tags.append(tag)
        if attributes.get("class") == "card":
            self.cards.append({"heading": "", "rows": [], "text": "", "img": [], "audio": []})
        if tag == "tr" and self.cards:
            self.cards[-1]["rows"].append([])
        if tag in ("td", "th") and self.cards:
            self.cards[-1]["rows"][-1].append("")
        if "src" in attributes:
            kind, _, contents = attributes["src"].partition(";base64,")
            assert kind == {"img": "data:image/png", "audio": "data:audio/flac"}[tag]
            self.cards[-1][tag].append(base64.b64decode(contents, validate=True))

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag

    def handle_data(self, text):
        self.text += text
        if not (self.cards and self.open_tags):
            return
        self.cards[-1]["text"] += text
        if self.open_tags[-1] == "h3":
            self.cards[-1]["heading"] += text
        elif self.open_tags[-1] in ("td", "th"):
            self.cards[-1]["rows"][-1][-1] += text

    def card(self, heading):
        (card,) = (card for card in self.cards if card["heading"] == heading)
        return card

    def facts(self, heading):
        return {row[0]: row[1] for row in self.card(heading)["rows"]}
