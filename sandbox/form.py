"""Form-encoded parameters with nested keys: `metadata[a]=b`, `types[]=x`, `expand[0]=y`."""

from urllib.parse import parse_qsl

from sandbox.errors import bad_parameter
from sandbox.shared import Json

MAX_DEPTH = 6


def decode(text: str) -> Json:
    """Objects become dicts, lists become lists, and each leaf stays the text that it was."""
    tree: Json = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        if "[" in key:
            _put(tree, _path(key), value)
        else:
            tree[key] = value
    # The keys of metadata are names, also where they look like the places of a list.
    return {key: value if key == "metadata" else _with_lists(value) for key, value in tree.items()}


def _path(key: str) -> list[str]:
    head, *rest = key.split("[")
    if len(rest) > MAX_DEPTH or not head or any(not part.endswith("]") for part in rest):
        raise bad_parameter(head or key, f"Invalid parameter name: {key}")
    return [head, *(part[:-1] for part in rest)]


def _put(tree: Json, path: list[str], value: str) -> None:
    for part in path[:-1]:
        inner = tree.setdefault(part, {})
        if not isinstance(inner, dict):
            raise bad_parameter(path[0], f"Invalid {path[0]}: both a value and an object")
        tree = inner
    last = path[-1] or str(len(tree))  # `a[]` adds to a list
    tree[last] = value


def _with_lists(value: object) -> object:
    if not isinstance(value, dict):
        return value
    inner = {key: _with_lists(each) for key, each in value.items()}
    if inner and all(key.isascii() and key.isdecimal() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner
