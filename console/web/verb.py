"""What a person may do from a page: its button, what it will do, and what its form asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

from console.web.flash import Flash
from payouts.people import Scope


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a form asks for."""

    name: str
    label: str
    kind: str = "text"
    """An input's type, `select`, `textarea`, `checkbox`, or `tick`: a box that is ticked, one of several."""
    value: str = ""
    choices: Sequence[str | tuple[str, str]] = ()
    """Of a select: values, or values with what is shown for them."""
    required: bool = True
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Verb:
    """One action: a button that opens a form, which says what will happen before it does."""

    label: str
    says: str
    """What it will do, in a sentence."""
    action: str
    """The address that the form is sent to."""
    scope: Scope = Scope.OPERATE
    """Who does not have it is not shown the form, and refused where it is sent all the same."""
    needs_reason: bool = True
    fields: Sequence[Field] = ()
    hidden: Sequence[tuple[str, str]] = ()
    row: tuple[str, str] | None = None
    """Hidden as well: which row it is for, where the forms of several rows go to one address."""
    danger: bool = False
    """It cannot be taken back, or stops something."""
    why_not: str | None = None
    """Why it is not possible now; shown in place of the form."""
    open: bool = False
    """Shown unfolded: it is what the page is for."""

    def came_back(self, flash: Flash | None) -> bool:
        """Whether `flash` is the refusal of this very form."""
        if flash is None or flash.action != self.action:
            return False
        return self.row is None or self.row[1] in flash.typed.get(self.row[0], ())
