"""Numbers of things, as people say them."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 event`, `2 events`; `many` where it is more than an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
