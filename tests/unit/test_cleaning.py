"""What others say is kept without secrets and without the addresses of people."""

import pytest

from payouts.cleaning import cleaned


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Invalid `to` field: jane.roe+x@mail.example.org.", "Invalid `to` field: ***."),
        ('to <Jürgen@bücher.example>, "o\'b@a.example"', 'to <***>, "o\'***"'),
        ("no route to mysql://payouts:pass@db.example/x", "no route to mysql://payouts:***@db.example/x"),
        ("key R0UT1NGKEY is wrong", "key *** is wrong"),
        ("signed with whsec_hunter2", "signed with whsec_***"),
        ("notice 252857197141609472 at 5 @ noon", "notice 252857197141609472 at 5 @ noon"),
    ],
)
def test_what_must_not_be_kept_is_taken_out(said: str, kept: str) -> None:
    assert cleaned(said, ["R0UT1NGKEY"]) == kept


def test_a_long_text_without_an_address_takes_no_time() -> None:
    assert cleaned("a" * 1_000_000) == "a" * 1_000_000
