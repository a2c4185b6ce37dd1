"""Tests of the parts of web pages."""

from html_page import Page

from wavenet_tf.reports import html


def test_any_text_can_be_put_into_a_page(tmp_path):
    odd = 'a < b & "c" \udcff\ud800 é 語 </title><script>'
    page = html.page(
        odd,
        odd,
        html.section(
            odd,
            html.card(odd, html.paragraph(odd), html.facts({odd: odd}), html.bars([(odd, 1, odd)])),
            html.card("", html.details(odd, html.table([[odd, 12345]], header=[odd, odd]))),
            html.card("", html.picture(b"\x89PNG", odd, odd)),
        ),
    )
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    read = Page(tmp_path / "page.html")
    assert "script" not in read.tags
    shown = odd.replace("\udcff", "\\udcff").replace("\ud800", "\\ud800")
    assert read.text.count(shown) == 15
    assert read.cards[0]["heading"] == shown
    assert read.cards[1]["rows"][-1] == [shown, "12,345"]
