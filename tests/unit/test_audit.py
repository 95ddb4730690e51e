"""A chain of audit entries holds, or the first entry that does not fit is named."""

import dataclasses
import hashlib
import json
from collections.abc import Callable

import pytest

from payouts.audit import GENESIS, START, Entry, Head, canonical, chain_of, digest_of, sealed, verify

Entries = list[Entry]


def make_chain(length: int) -> Entries:
    made: Entries = []
    for number in range(1, length + 1):
        previous = made[-1].digest if made else GENESIS
        made.append(
            sealed(
                Entry(
                    id=1000 + number,
                    account="acct_1",
                    chain="acct_1/2026-11",
                    number=number,
                    at_ms=1_795_000_000_000 + number,
                    actor="anna",
                    action="payout.approve",
                    subject=f"pay_{number}",
                    reason="as agreed" if number % 2 else None,
                    details='{"amount_minor":100}',
                    previous=previous,
                )
            )
        )
    return made


def head_of(entries: Entries) -> Head:
    return Head(entries[-1].number, entries[-1].digest)


def test_an_untouched_chain_is_whole() -> None:
    entries = make_chain(20)
    assert verify(entries, head_of(entries)) is None


def test_a_chain_without_entries_is_whole() -> None:
    assert verify([], START) is None


CHANGES: dict[str, object] = {
    "id": 1,
    "account": "acct_2",
    "chain": "acct_2/2026-11",
    "at_ms": 5,
    "actor": "bert",
    "action": "payout.cancel",
    "subject": "pay_99",
    "reason": "another",
    "details": '{"amount_minor":101}',
    "previous": GENESIS,
    "digest": GENESIS,
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_changed_field_is_found_at_its_entry(field: str) -> None:
    entries = make_chain(9)
    head = head_of(entries)
    entries[4] = dataclasses.replace(entries[4], **{field: CHANGES[field]})  # type: ignore[arg-type]
    fault = verify(entries, head)
    assert fault is not None
    assert fault.number == 5
    assert "was changed" in fault.what


def test_no_field_of_an_entry_is_left_out_of_these_changes() -> None:
    assert set(CHANGES) | {"number"} == {field.name for field in dataclasses.fields(Entry)}


def forge(entries: Entries) -> Entries:
    """The fifth entry changed and given a digest that fits what it now says."""
    return [*entries[:4], sealed(dataclasses.replace(entries[4], actor="bert")), *entries[5:]]


def swap(entries: Entries) -> Entries:
    """What the fifth and the sixth say, exchanged."""
    fifth, sixth = entries[4], entries[5]
    return [
        *entries[:4],
        sealed(dataclasses.replace(sixth, number=5, previous=fifth.previous)),
        sealed(dataclasses.replace(fifth, number=6, previous=sixth.previous)),
        *entries[6:],
    ]


@pytest.mark.parametrize(
    ("tamper", "number", "said"),
    [
        (lambda entries: entries[1:], 1, "missing"),
        (lambda entries: entries[:4] + entries[5:], 5, "missing"),
        (lambda entries: entries[:-1], 9, "ends too early"),
        (lambda entries: entries[:-3], 7, "ends too early"),
        (lambda entries: [], 1, "ends too early"),
        (forge, 6, "does not follow"),
        (swap, 6, "does not follow"),
        (lambda entries: [dataclasses.replace(entries[0], number=0), *entries], 0, "does not belong"),
        (lambda entries: [*entries[:8], sealed(dataclasses.replace(entries[8], actor="x"))], 9, "head names"),
    ],
    ids=["first", "middle", "last", "tail", "all", "forged", "swapped", "before the first", "forged last"],
)
def test_tampering_names_the_first_entry_that_does_not_fit(
    tamper: Callable[[Entries], Entries], number: int, said: str
) -> None:
    entries = make_chain(9)
    fault = verify(tamper(entries), head_of(entries))
    assert fault is not None
    assert (fault.number, said in fault.what) == (number, True)


def test_an_entry_behind_the_head_is_found() -> None:
    entries = make_chain(9)
    fault = verify(entries, head_of(entries[:8]))
    assert fault is not None
    assert fault.number == 9
    assert "behind the chain's end" in fault.what


def test_a_digest_can_be_recomputed_by_hand_from_what_is_stored() -> None:
    entry = make_chain(1)[0]
    fields = dataclasses.asdict(entry)
    del fields["digest"]
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    assert digest_of(entry) == hashlib.sha256(text.encode()).hexdigest() == entry.digest


def test_equal_values_have_one_canonical_form() -> None:
    assert canonical({"b": "ü", "a": {"d": 1, "c": None}}) == '{"a":{"c":null,"d":1},"b":"\\u00fc"}'


@pytest.mark.parametrize(
    ("at_ms", "chain"),
    [(1_796_083_199_999, "acct_1/2026-11"), (1_796_083_200_000, "acct_1/2026-12")],
)
def test_a_chain_ends_with_the_month_in_utc(at_ms: int, chain: str) -> None:
    assert chain_of("acct_1", at_ms) == chain
