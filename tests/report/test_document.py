import json
from html.parser import HTMLParser
from typing import Any

from pipelines.report.document import chart, document, facts, heading, json_script, note, table

HOSTILE = "</script><script>alert('&\"')</script>"


class Elements(HTMLParser):
    """Collects the elements of a page by name, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.names.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_text_from_users_is_escaped():
    body = heading(HOSTILE, HOSTILE) + facts({HOSTILE: HOSTILE}) + note(HOSTILE) + table([HOSTILE], [[HOSTILE]])
    elements = Elements(document(HOSTILE, body, plotly=False))
    assert "script" not in elements.names
    assert elements.texts.count(HOSTILE) == 8


def test_data_cannot_end_its_script_element():
    text = json_script("data", {"name": HOSTILE})
    assert text.count("</script>") == 1
    assert json.loads(Elements(text).texts[0]) == {"name": HOSTILE}


def test_columns_of_numbers_are_aligned_right():
    text = table(["name", "error"], [["walk", "3.1 mm"], ["sit", 12]])
    assert text.count('<td class="number">') == 2
    assert '<th scope="col" class="number">error' in text
    assert '<td class="number">walk' not in text


def test_a_chart_is_drawn_in_the_colours_of_the_page(open_page):
    body = heading("Curves") + chart(
        "loss", [{"y": [3, 2, 1], "name": HOSTILE}], {"yaxis": {"title": {"text": "mm"}}}, label="Loss by epoch"
    )
    page = open_page(document("Curves", body), color_scheme="dark")
    assert page.locator("#loss svg path.js-line").count() == 1
    assert page.evaluate("document.getElementById('loss').layout.font.color") == "#e6eaef"
    page.emulate_media(color_scheme="light")
    page.wait_for_function("document.getElementById('loss').layout.font.color === '#1b2430'")
