"""Secrets of addresses are replaced wherever an address may be shown."""

import pytest

from pipelines.io.secrets import redact

KEY = "planted-key"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"https://me:{KEY}@host/clip.mp4", "https://me:…@host/clip.mp4"),
        (f"see ftp://:{KEY}@host.", "see ftp://:…@host."),
        (f"s3://bucket/a?X-Amz-Signature={KEY}&x=1", "s3://bucket/a?X-Amz-Signature=…&x=1"),
        (f"https://b.blob/a.mp4?sv=1&sig={KEY}", "https://b.blob/a.mp4?sv=1&sig=…"),
        (f'{{"videos": "https://h/a?token={KEY}"}}', '{"videos": "https://h/a?token=…"}'),
        (f"['https://h/a?api_key={KEY}', 'b']", "['https://h/a?api_key=…', 'b']"),
    ],
)
def test_a_secret_is_replaced_and_nothing_else(text, shown):
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text", ["s3://bucket/a:b@c.mp4", "videos=out/tracks", "a@b.c: d", "https://h/a?page=2&sort=x"]
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text
