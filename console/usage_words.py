"""What is wrong with the words of a command, in plainer words than those of typer and pydantic."""

import re


def usage_words(said: str) -> str:
    """The message of a usage error as a person is told it, without a full stop. Others stay as they are."""
    said = said.replace(": Value error, ", ": ").rstrip(".")
    for pattern, words in _WORDS:
        said = pattern.sub(words, said)
    return said


_WORDS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"Input should be a valid integer, .*", "it takes a whole number"),
        (r"Input should be a valid number, .*", "it takes a number, as 1.5"),
        (r"Input should be greater than or equal to (\S+)", r"it takes \1 or more"),
        (r"Input should be less than or equal to (\S+)", r"it takes \1 at the most"),
        # What begins with a dash is read as an option, also where an amount was meant.
        (r"^No such option: (-[\d.,]+).*", r"\1 is less than nothing: amounts and numbers here are not"),
    )
)
