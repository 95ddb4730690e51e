"""A call's parameters, read by name and type. Whatever is wrong with one is said by its name, before
anything is done; a parameter that nobody read is unknown."""

from sandbox.errors import StripeError, bad_parameter
from sandbox.shared import Json

MAX_METADATA_KEYS = 50
MAX_METADATA_NAME = 40
MAX_METADATA_VALUE = 500
MAX_TEXT = 5000
_COMPARES = ("gt", "gte", "lt", "lte")

Range = dict[str, int]
"""`gt`, `gte`, `lt`, `lte`, each with its bound."""


class Params:
    def __init__(self, given: Json) -> None:
        self._given = given
        self._read = {"expand"}

    def raw(self, name: str) -> object:
        """As it came; None where it is absent."""
        self._read.add(name)
        return self._given.get(name)

    def has(self, name: str) -> bool:
        return name in self._given

    def text(self, name: str, max_length: int = MAX_TEXT) -> str | None:
        """None where it is absent or empty."""
        value = self.raw(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise bad_parameter(name, f"Invalid string: {name}")
        if len(value) > max_length:
            raise bad_parameter(name, f"Invalid {name}: must be at most {max_length} characters")
        return value

    def required_text(self, name: str) -> str:
        return self.text(name) or _absent(name)

    def integer(self, name: str) -> int | None:
        value = self.text(name)
        return None if value is None else _integer(name, value)

    def required_integer(self, name: str) -> int:
        return _integer(name, self.required_text(name))

    def boolean(self, name: str) -> bool | None:
        value = self.text(name)
        if value is None:
            return None
        if value not in ("true", "false"):
            raise bad_parameter(name, f"Invalid boolean: {value}")
        return value == "true"

    def one_of(self, name: str, *allowed: str) -> str | None:
        value = self.text(name)
        if value is not None and value not in allowed:
            raise bad_parameter(name, f"Invalid {name}: must be one of {', '.join(allowed)}")
        return value

    def texts(self, name: str, most: int | None = None) -> list[str] | None:
        value = self.raw(name)
        if value is None or value == "":
            return None
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise bad_parameter(name, f"Invalid array: {name}")
        if most is not None and len(value) > most:
            raise bad_parameter(name, f"Invalid array: {name} may hold at most {most} values")
        return value

    def range(self, name: str) -> Range | None:
        """Of timestamps in seconds: one value, or an object of bounds."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, str):
            exact = _integer(name, value)
            return {"gte": exact, "lte": exact}
        if not isinstance(value, dict) or not set(value) <= set(_COMPARES):
            raise bad_parameter(name, f"Invalid {name}: a timestamp, or gt, gte, lt, lte with one each")
        return {compare: _integer(f"{name}[{compare}]", str(bound)) for compare, bound in value.items()}

    def metadata(self, before: dict[str, str] | None = None) -> dict[str, str] | None:
        """`before` with what was given: an empty value unsets its key, an empty `metadata` all of them.
        None where nothing was given."""
        value = self.raw("metadata")
        if value is None:
            return None
        if value == "":
            return {}
        if not isinstance(value, dict):
            raise bad_parameter("metadata", "Invalid object: metadata")
        after = {**(before or {}), **value}
        for key, text in value.items():
            if not isinstance(text, str) or len(text) > MAX_METADATA_VALUE:
                raise bad_parameter(
                    f"metadata[{key}]",
                    f"Metadata values are texts of at most {MAX_METADATA_VALUE} characters",
                )
            if len(key) > MAX_METADATA_NAME:
                raise bad_parameter(
                    f"metadata[{key}]", f"Metadata keys can be at most {MAX_METADATA_NAME} characters long"
                )
        after = {key: text for key, text in after.items() if text != ""}
        if len(after) > MAX_METADATA_KEYS:
            raise bad_parameter("metadata", f"Metadata can have at most {MAX_METADATA_KEYS} keys")
        return after

    def expand(self) -> list[str]:
        return self.texts("expand") or []

    def finish(self) -> None:
        """Call it when all are read: what is left is unknown."""
        for name in self._given:
            if name not in self._read:
                raise bad_parameter(name, f"Received unknown parameter: {name}", "parameter_unknown")


def _absent(name: str) -> str:
    raise StripeError(400, f"Missing required param: {name}.", "parameter_missing", param=name)


def _integer(name: str, value: str) -> int:
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 18):
        raise bad_parameter(name, f"Invalid integer: {value}", "parameter_invalid_integer")
    return int(value)
