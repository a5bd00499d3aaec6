"""URLs that clients name, and what redirects make of them."""

import pytest

from clipzy_storage.errors import UrlRefused
from clipzy_storage.outbound.target_url import MAX_URL_LENGTH, TargetUrl


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "https://videos.example.com/a/b.mp4?x=1&y=%20#t=3",
            ("https", "videos.example.com", 443, "/a/b.mp4?x=1&y=%20"),
        ),
        ("http://EXAMPLE.com", ("http", "example.com", 80, "/")),
        ("HTTPS://example.com:8443/", ("https", "example.com", 8443, "/")),
        ("http://[::FFFF:127.0.0.1]:80/v.mp4", ("http", "::ffff:7f00:1", 80, "/v.mp4")),
        ("http://bücher.example/ü.mp4", ("http", "xn--bcher-kva.example", 80, "/%C3%BC.mp4")),
        ("http://１２７.0.0.1/", ("http", "127.0.0.1", 80, "/")),
    ],
)
def test_what_is_asked_for(text: str, parts: tuple[str, str, int, str]) -> None:
    url = TargetUrl.parse(text)
    assert (url.scheme, url.host, url.port, url.target) == parts


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "video.mp4",
            "//example.com/a",
            "/a",
            "ftp://example.com/a",
            "file:///etc/passwd",
            "gopher://a/",
            "data:,",
        ),
        *("http://", "http:///a", "http://user@example.com/", "http://user:pw@example.com/", "http://@example.com/"),
        *(
            "http://a b.example/",
            "http://example.com/\r\nHost: x",
            "http://example.com/\t",
            "http://example.com\\@[::1]/",
        ),
        *("http://example.com:0/", "http://example.com:99999/", "http://example.com:x/", "http://[::1/", "http://[x]/"),
        *("http://[fe80::1%25eth0]/", "http://exa$mple/", "http://a..b/", f"http://a/{'x' * MAX_URL_LENGTH}"),
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(UrlRefused):
        TargetUrl.parse(text)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b.mp4", "https://example.com/b.mp4"),
        ("b.mp4?x", "https://example.com/a/b.mp4?x"),
        ("//other.example/b.mp4", "https://other.example/b.mp4"),
        ("https://other.example:444/b.mp4", "https://other.example:444/b.mp4"),
    ],
)
def test_redirects(location: str, target: str) -> None:
    assert TargetUrl.parse("https://example.com/a/v.mp4?q").joined(location) == TargetUrl.parse(target)


@pytest.mark.parametrize(
    "location",
    [
        *("http://example.com/b.mp4", "https://me:pw@example.com/", "file:///etc/passwd"),
        *("https://[::1/", "https://[x]/", "//exa\u2100mple.com/"),
    ],
)
def test_redirects_that_are_not_followed(location: str) -> None:
    with pytest.raises(UrlRefused):
        TargetUrl.parse("https://example.com/a/v.mp4").joined(location)


def test_path_and_query_are_not_shown() -> None:
    assert "secret" not in repr(TargetUrl.parse("https://example.com/secret/v.mp4?token=secret"))
