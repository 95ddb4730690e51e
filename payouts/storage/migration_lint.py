"""What in a migration blocks a table in use, or breaks the version that still runs beside the new one.

Judged by the statements that it prints for MySQL, so that whatever wrote them is seen. A table that the same
migration makes is empty and nobody's yet: anything may be done to it. Where a rule does not fit, the
migration says so, with the reason:

    # lint: allow drops: no version since 0.3 reads it
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from payouts.storage.migrate import statements_of
from payouts.storage.revisions import SCRIPTS, all_revisions

RULES = {
    "drops": "the version before still reads or writes it: first release code that does without, then drop "
    "it in a migration of a later release",
    "renames": "the version before knows the old name alone: add the new one, write both, move over, drop",
    "retypes": "copies the table, and nothing is written meanwhile: add a column of the new type, fill it in "
    "steps, move over",
    "required": "fails every insert of the version before, which does not give it: let it be NULL, or give "
    "it a default",
    "index": "may block the table: create_index of payouts.migrations.online says that it may not",
    "unique": "fails on rows that are there, and on inserts of the version before: find the doubles first, "
    "and let a release pass that makes none",
    "rewrites": "locks the rows of a table in use until the last is changed: do it in steps, from the code",
    "unread": "is a statement that is not known here: say why it does no harm",
}
"""What a migration may not do to a table in use, and what to do instead."""

_ALLOWED = re.compile(r"^\s*# lint: allow (\w+): (\S.{9,})$", re.MULTILINE)
_TABLE = r"`?(\w+)`?"
_OWN = "alembic_version"


@dataclass(frozen=True, slots=True)
class Objection:
    """A statement of a migration that breaks a rule."""

    revision: str
    rule: str
    statement: str

    def __str__(self) -> str:
        return f"{self.revision}: {self.rule}: {self.statement[:160]}\n    {RULES[self.rule]}"


def lint(scripts: Path = SCRIPTS) -> list[Objection]:
    """Every objection to the migrations, the oldest first, those left out that they allow with a reason."""
    found = []
    for revision in all_revisions(scripts):
        [source] = (scripts / "versions").glob(f"{revision}_*.py")
        allowed = allowances(source.read_text())
        objections = judge(revision, statements_of(revision, scripts))
        found += [each for each in objections if each.rule not in allowed]
    return found


def allowances(source: str) -> dict[str, str]:
    """The rules that a migration sets aside, each with its reason, which must be more than a word."""
    return {rule: reason for rule, reason in _ALLOWED.findall(source) if rule in RULES}


def judge(revision: str, statements: list[str]) -> Iterator[Objection]:
    """What is to be said against the statements of one migration, in MySQL's words."""
    made: set[str] = set()
    for statement in statements:
        rule = _broken(statement, made)
        if rule:
            yield Objection(revision, rule, statement)


def _broken(statement: str, made: set[str]) -> str | None:
    words = " ".join(statement.split())
    if match := re.match(rf"CREATE TABLE (?:IF NOT EXISTS )?{_TABLE}", words, re.IGNORECASE):
        made.add(match[1])
        return None
    if match := re.match(rf"CREATE (UNIQUE )?INDEX \S+ ON {_TABLE}", words, re.IGNORECASE):
        if match[2] in made:
            return None
        return "unique" if match[1] else None if _is_online(words) else "index"
    if match := re.match(rf"ALTER TABLE {_TABLE} (.*)", words, re.IGNORECASE):
        return None if match[1] in made else _broken_by_change(match[2])
    if re.match(r"(DROP (TABLE|INDEX|VIEW)|TRUNCATE) ", words, re.IGNORECASE):
        return "drops"
    if re.match(r"RENAME TABLE ", words, re.IGNORECASE):
        return "renames"
    if match := re.match(rf"(UPDATE|DELETE FROM|REPLACE INTO) {_TABLE}", words, re.IGNORECASE):
        return None if match[2] in made | {_OWN} else "rewrites"
    if match := re.match(rf"INSERT (?:IGNORE )?INTO {_TABLE}", words, re.IGNORECASE):
        # The rows of a new table, taken from one in use: it is read once, and its rows are not locked.
        return None if match[1] in made | {_OWN} else "rewrites"
    return "unread"


def _broken_by_change(change: str) -> str | None:
    if re.match(r"(RENAME|CHANGE) ", change, re.IGNORECASE):
        return "renames"
    if re.match(r"DROP ", change, re.IGNORECASE):
        return "drops"
    if re.match(r"(MODIFY|ALTER COLUMN|CONVERT) ", change, re.IGNORECASE):
        return "retypes"
    if re.match(r"ADD (CONSTRAINT \S+ )?UNIQUE", change, re.IGNORECASE):
        return "unique"
    if re.match(r"ADD (INDEX|KEY) ", change, re.IGNORECASE):
        return None if _is_online(change) else "index"
    if re.match(r"ADD (CONSTRAINT|PRIMARY|FOREIGN|CHECK)", change, re.IGNORECASE):
        return "retypes"
    if re.match(r"ADD ", change, re.IGNORECASE):
        needed = re.search(r"\bNOT NULL\b", change, re.IGNORECASE)
        return "required" if needed and not re.search(r"\bDEFAULT\b", change, re.IGNORECASE) else None
    return "unread"


def _is_online(words: str) -> bool:
    return all(
        re.search(rf"\b{word}\b", words, re.IGNORECASE)
        for word in (r"ALGORITHM\s*=?\s*INPLACE", r"LOCK\s*=?\s*NONE")
    )
