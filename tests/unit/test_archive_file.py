"""An archive file gives back what went into it, one block at a time, or says that it cannot."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payouts.archive_file import Packed, Record, block_of, pack, read_blocks, unpack, write_blocks
from payouts.errors import PayloadUnavailableError
from payouts.sealing import Sealer, new_key

KEY = new_key()


def records(*payloads: bytes) -> list[Record]:
    return [
        Record(10 * n, f"evt_{n}", "acct_1", "payout.paid", 1_790_000_000_000 + n, payload)
        for n, payload in enumerate(payloads, start=1)
    ]


def part(packed: Packed, index: int) -> bytes:
    block = packed.blocks[index]
    return packed.content[block.offset :][: block.length]


@given(st.lists(st.binary(max_size=300) | st.text(max_size=100).map(str.encode)), st.booleans())
def test_payloads_of_any_bytes_come_back_block_by_block(payloads: list[bytes], sealed: bool) -> None:
    sealer = Sealer([KEY] if sealed else [])
    kept = records(*payloads)
    packed = pack(kept, sealer, block_bytes=400)
    assert sum(block.length for block in packed.blocks) == len(packed.content)
    found = [r for n, block in enumerate(packed.blocks) for r in unpack(part(packed, n), block, sealer)]
    assert found == kept


def test_one_event_is_found_in_the_one_block_that_holds_it() -> None:
    kept = records(*(b"x" * 300 for _ in range(20)))
    packed = pack(kept, Sealer(), block_bytes=1_000)
    blocks = read_blocks(write_blocks(packed.blocks))
    assert len(blocks) > 5
    for record in kept:
        block = block_of(blocks, record.id)
        assert block is not None
        assert record in unpack(part(packed, blocks.index(block)), block, Sealer())
    assert block_of(blocks, 9) is None


def test_a_plain_file_reads_with_gzip_alone_and_says_what_it_holds() -> None:
    packed = pack(records(b'{"id":"evt_1"}', b"\xff\x00"), Sealer())
    lines = [json.loads(line) for line in gzip.decompress(packed.content).splitlines()]
    assert lines[0] == {
        "id": "10",
        "event_id": "evt_1",
        "account": "acct_1",
        "type": "payout.paid",
        "received_at_ms": 1_790_000_000_001,
        "payload": '{"id":"evt_1"}',
    }
    assert lines[1]["payload_base64"] == "/wA="


def test_a_sealed_file_shows_nothing_and_is_small_all_the_same() -> None:
    kept = records(*(b'{"id":"evt_%d","object":"event","livemode":false}' % n for n in range(500)))
    plain, sealed = pack(kept, Sealer()), pack(kept, Sealer([KEY]))
    assert b"evt_" not in sealed.content
    assert len(sealed.content) < 1.5 * len(plain.content)


@pytest.mark.parametrize("keys", [[], [KEY]])
def test_a_changed_byte_is_damage_wherever_it_is(keys: list[str]) -> None:
    sealer = Sealer(keys)
    packed = pack(records(b"one", b"two"), sealer)
    for place in (0, len(packed.content) // 2, len(packed.content) - 1):
        damaged = bytearray(packed.content)
        damaged[place] ^= 1
        with pytest.raises(PayloadUnavailableError, match="payouts archive verify"):
            unpack(bytes(damaged), packed.blocks[0], sealer)


def test_the_same_events_make_the_same_plain_file() -> None:
    kept = records(b"one", b"two")
    assert pack(kept, Sealer()).sha256 == pack(kept, Sealer()).sha256
