"""Web pages that are one file each: headings, tables, pictures and players, nothing to fetch.

Every argument that is not an `Html` is text, and is escaped.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from wavenet_tf import audio

if TYPE_CHECKING:
    import matplotlib.figure

# Pixels of a picture per CSS pixel: many screens are sharper than one to one.
_PIXEL_RATIO = 1.5

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header><h1>{title}</h1><p>{subtitle}</p></header>
<main>
{content}</main>
</body>
</html>
"""

_STYLE = """\
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --text: #1f2328; --faint: #5f6671; --line: #dde1e7;
  --accent: #1f77b4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #121417; --card: #1a1d21; --text: #e3e6ea; --faint: #9aa1ac; --line: #30353c;
    --accent: #3d94d1;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 70rem; padding: 2.5rem 1.25rem 4rem;
  background: var(--page); color: var(--text);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0; }
header p { color: var(--faint); font-size: 1.1rem; margin: .4rem 0 0; }
h2 { font-size: 1.3rem; margin: 3rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0 0 .75rem; }
p { margin: .75rem 0; max-width: 46rem; }
.grid {
  display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr));
}
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1.1rem 1.25rem; margin: 1rem 0; min-width: 0;
}
.card > :last-child { margin-bottom: 0; }
.grid > .card { margin: 0; }
figure { margin: 0; }
figcaption { color: var(--faint); font-size: .875rem; margin-top: .4rem; }
img { display: block; height: auto; max-width: 100%; margin: 0 auto; }
audio { display: block; width: 100%; height: 2.5rem; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .9375rem; }
th, td { padding: .3rem 1.5rem .3rem 0; text-align: left; vertical-align: top; }
th { color: var(--faint); font-weight: normal; }
.facts th { white-space: nowrap; }
tr + tr > * { border-top: 1px solid var(--line); }
tr > :last-child { padding-right: 0; }
td.number { text-align: right; }
.bars { width: 100%; }
.bars th {
  max-width: 14rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; width: 1%;
}
.bars td { vertical-align: middle; width: 99%; }
.bars td + td { text-align: right; white-space: nowrap; width: 1%; }
.bars tr > * { border: 0; padding-bottom: .1rem; padding-top: .1rem; }
.bar { background: var(--accent); border-radius: .15rem; height: .7rem; min-width: 1px; }
details { margin: .75rem 0; }
summary { cursor: pointer; }
details table { margin: .5rem 0 0 1rem; }
"""


class Html(str):
    """Text that is already HTML, and is not escaped again."""


def page(title: str, subtitle: str, *sections: Html) -> Html:
    """Returns a whole page.

    Args:
        title: the page's title and first heading.
        subtitle: the line below the title.
        *sections: what `section` returns.

    Returns:
        The page. It can be encoded as UTF-8, whatever characters its text has.
    """
    return Html(
        _PAGE.format(
            title=_escape(title),
            subtitle=_escape(subtitle),
            style=_STYLE,
            content="".join(sections),
        )
    )


def section(heading: str, *parts: Any) -> Html:
    """Returns a section of a page, with its heading."""
    return _element("section", _element("h2", heading), *parts)


def paragraph(*parts: Any) -> Html:
    """Returns a paragraph of text.

    Example:
    >>> print(paragraph("1 < 2"), end="")
    <p>1 &lt; 2</p>
    """
    return _element("p", *parts)


def grid(*cards: Html) -> Html:
    """Returns cards side by side, as many in a row as fit on the screen."""
    return _element("div", *cards, class_="grid")


def card(heading: str, *parts: Any) -> Html:
    """Returns a box with a heading."""
    return _element("div", _element("h3", heading), *parts, class_="card")


def details(summary: str, *parts: Any) -> Html:
    """Returns parts that are shown once their summary is clicked."""
    return _element("details", _element("summary", summary), *parts)


def facts(values: Mapping[str, Any]) -> Html:
    """Returns a table of two columns: names and values."""
    rows = (
        _element("tr", _element("th", name, scope="row"), _cell(value))
        for name, value in values.items()
    )
    return _element("table", *rows, class_="facts")


def table(rows: Iterable[Sequence[Any]], header: Sequence[str] = ()) -> Html:
    """Returns a table.

    Args:
        rows: the cells of each row; numbers are aligned to the right.
        header: names of the columns; empty for a table without a header.
    """
    names = [_element("th", name, scope="col") for name in header]
    first = [_element("tr", *names)] if names else []
    return _element("table", *first, *(_element("tr", *map(_cell, row)) for row in rows))


def bars(rows: Sequence[tuple[str, float, str]]) -> Html:
    """Returns a bar chart with one horizontal bar per row.

    Args:
        rows: name, value and label of each bar; the bar of the largest value has the full width.
    """
    largest = max(value for _, value, _ in rows)
    return _element(
        "table",
        *(
            _element(
                "tr",
                _element("th", name, scope="row"),
                _element("td", _element("div", class_="bar", style=f"width:{value / largest:.1%}")),
                _element("td", label),
            )
            for name, value, label in rows
        ),
        class_="bars",
    )


def picture(image: matplotlib.figure.Figure | bytes, alternative: str, caption: str = "") -> Html:
    """Returns a picture that is no wider than the page.

    Args:
        image: a figure, drawn in `pictures.page_style`; or the bytes of a PNG file.
        alternative: a description, for readers who do not see the picture.
        caption: text below the picture.
    """
    attributes = {}
    if not isinstance(image, bytes):
        attributes["width"] = f"{image.get_size_inches()[0] * image.dpi:.0f}"
        contents = io.BytesIO()
        image.savefig(contents, format="png", dpi=_PIXEL_RATIO * image.dpi)
        image = contents.getvalue()
    attributes |= {"alt": alternative, "src": _data_uri("image/png", image)}
    below = [_element("figcaption", caption)] if caption else []
    return _element("figure", _start("img", attributes), *below)


def player(waveform: np.ndarray, sample_rate: int) -> Html:
    """Returns an audio player, whose audio is FLAC of 16 bits inside the page.

    Args:
        waveform: float `[samples]` in [-1, 1].
        sample_rate: in Hz.
    """
    contents = io.BytesIO()
    samples = audio.to_16_bits(waveform)
    soundfile.write(contents, samples, sample_rate, format="FLAC", subtype="PCM_16")
    source = _data_uri("audio/flac", contents.getvalue())
    return _element("audio", controls="", preload="metadata", src=source)


def _cell(value: Any) -> Html:
    if isinstance(value, int | float):
        return _element("td", f"{value:,}", class_="number")
    return _element("td", value)


def _element(tag: str, *parts: Any, **attributes: str) -> Html:
    attributes = {name.rstrip("_"): value for name, value in attributes.items()}
    return Html(f"{_start(tag, attributes)}{''.join(map(_escape, parts))}</{tag}>\n")


def _start(tag: str, attributes: dict[str, str]) -> Html:
    values = "".join(f' {name}="{_escape(value)}"' for name, value in attributes.items())
    return Html(f"<{tag}{values}>")


def _escape(part: Any) -> Html:
    if isinstance(part, Html):
        return part
    # Bytes of a file name that are not UTF-8 are surrogates in it, which cannot be encoded.
    text = str(part).encode("utf-8", "backslashreplace").decode("utf-8")
    return Html(html.escape(text))


def _data_uri(media_type: str, contents: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(contents).decode()}"
