"""What each channel makes of a notice."""

import json
import stat
from pathlib import Path

import pytest
import structlog

from payouts.channels.folder import FolderChannel
from payouts.channels.log import LogChannel
from payouts.notices import Notice, NoticeError

BODY = '{"name": "payout.completed", "amount_minor": 1200, "text": "for Käthe"}'


def notice(row_id: int = 5, body: str = BODY) -> Notice:
    return Notice(row_id, "acct_1", "payout.completed", 7, None, body, 1_790_000_000_000)


def test_a_notice_becomes_one_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "notices"
    FolderChannel(folder).deliver(notice())
    (file,) = folder.iterdir()
    assert json.loads(file.read_text()) == {
        "id": "5",
        "name": "payout.completed",
        "account": "acct_1",
        "created_at_ms": 1_790_000_000_000,
        "body": json.loads(BODY),
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_second_delivery_replaces_the_first(tmp_path: Path) -> None:
    for channel in (FolderChannel(tmp_path), FolderChannel(tmp_path)):
        channel.deliver(notice())
    assert [json.loads(file.read_text())["id"] for file in tmp_path.iterdir()] == ["5"]


def test_only_the_newest_files_stay_and_nothing_that_is_not_ours_goes(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("mine")
    (tmp_path / f"{1:019d}.json.9-9.part").write_text("of a process that was killed")
    channel = FolderChannel(tmp_path, keep_files=20)
    for row_id in range(1, 101):
        channel.deliver(notice(row_id))
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names.pop() == "README"
    assert 20 <= len(names) <= 23
    assert names == [f"{row_id:019d}.json" for row_id in range(101 - len(names), 101)]


def test_a_folder_that_takes_nothing_is_an_error_that_may_heal(tmp_path: Path) -> None:
    folder = tmp_path / "notices"
    folder.write_text("a file in its place")
    channel = FolderChannel(folder)
    with pytest.raises(NoticeError) as raised:
        channel.deliver(notice())
    assert raised.value.transient
    assert str(folder) in str(raised.value)

    folder.unlink()
    channel.deliver(notice())
    assert len(list(folder.iterdir())) == 1


def test_a_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    channel = FolderChannel(tmp_path / "notices")
    channel.deliver(notice(1))
    for file in (tmp_path / "notices").iterdir():
        file.unlink()
    (tmp_path / "notices").rmdir()
    with pytest.raises(NoticeError):
        channel.deliver(notice(2))
    channel.deliver(notice(2))
    assert len(list((tmp_path / "notices").iterdir())) == 1


def test_the_log_gets_ids_and_nothing_of_the_body() -> None:
    with structlog.testing.capture_logs() as lines:
        LogChannel().deliver(notice())
    assert lines == [
        {
            "event": "notice.delivered",
            "log_level": "info",
            "notice_id": "5",
            "name": "payout.completed",
            "account": "acct_1",
            "payout_id": "7",
            "request_id": None,
        }
    ]
