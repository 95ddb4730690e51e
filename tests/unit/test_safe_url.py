"""Where secrets may be sent to."""

import pytest

from payouts.safe_url import is_safe, why_no_issuer


@pytest.mark.parametrize(
    "url",
    [
        "https://id.example.com",
        "https://id.example.com:8443/tenant/",
        "http://localhost:9000",
        "http://127.0.0.1:1/x",
        "http://127.9.9.9",
        "http://[::1]:80",
    ],
)
def test_tls_and_this_machine_are_safe(url: str) -> None:
    assert is_safe(url)
    assert why_no_issuer(url) is None


@pytest.mark.parametrize(
    "url",
    [
        *("", "id.example.com", "http://id.example.com", "ftp://id.example.com", "https://", "https:///x"),
        *(
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://10.0.0.1",
            "http://0.0.0.0",
        ),
        *("https://me:secret@id.example.com", "javascript:alert(1)", "https://id.example.com:x"),
        *("https://id.example.com/a b", "https://ïd.example.com", "https://id.example.com\n"),
    ],
)
def test_nothing_else_is_safe(url: str) -> None:
    assert not is_safe(url)
    assert why_no_issuer(url) is not None


@pytest.mark.parametrize("end", ["?a=b", "?", "#x", "/" + "x" * 255])
def test_an_issuer_is_a_plain_address(end: str) -> None:
    assert why_no_issuer(f"https://id.example.com{end}") is not None
