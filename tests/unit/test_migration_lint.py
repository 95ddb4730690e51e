"""Which statements of a migration are objected to, and how one says that a rule does not fit."""

import pytest

from payouts.storage.migration_lint import allowances, judge, lint


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("DROP TABLE payouts", "drops"),
        ("DROP INDEX ix_payouts_account_id ON payouts", "drops"),
        ("ALTER TABLE payouts DROP COLUMN method", "drops"),
        ("ALTER TABLE payouts RENAME COLUMN method TO way", "renames"),
        ("ALTER TABLE payouts CHANGE method way VARCHAR(20)", "renames"),
        ("RENAME TABLE payouts TO paid", "renames"),
        ("ALTER TABLE payouts MODIFY method VARCHAR(200) NOT NULL", "retypes"),
        ("ALTER TABLE payouts CONVERT TO CHARACTER SET utf8mb4", "retypes"),
        ("ALTER TABLE payouts ADD PRIMARY KEY (stripe_id)", "retypes"),
        ("ALTER TABLE payouts ADD COLUMN way VARCHAR(20) NOT NULL", "required"),
        ("CREATE INDEX ix_payouts_method ON payouts (method)", "index"),
        ("CREATE INDEX ix_payouts_method ON payouts (method) ALGORITHM=COPY LOCK=NONE", "index"),
        ("ALTER TABLE payouts ADD INDEX ix_payouts_method (method)", "index"),
        ("CREATE UNIQUE INDEX uq ON payouts (method) ALGORITHM=INPLACE LOCK=NONE", "unique"),
        ("ALTER TABLE payouts ADD CONSTRAINT uq UNIQUE (method)", "unique"),
        ("UPDATE payouts SET method = 'standard'", "rewrites"),
        ("delete from payouts", "rewrites"),
        ("OPTIMIZE TABLE payouts", "unread"),
    ],
)
def test_what_blocks_a_table_in_use_or_breaks_the_version_before(statement: str, rule: str) -> None:
    [objection] = judge("0099", [statement])
    assert objection.rule == rule
    assert statement in str(objection)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE payouts ADD COLUMN way VARCHAR(20)",
        "ALTER TABLE payouts ADD COLUMN way VARCHAR(20) DEFAULT 'standard' NOT NULL",
        "CREATE INDEX ix_payouts_method ON payouts (method) ALGORITHM=INPLACE LOCK=NONE",
        "UPDATE alembic_version SET version_num='0099' WHERE alembic_version.version_num = '0098'",
    ],
)
def test_what_adds_to_a_table_in_use_may_pass(statement: str) -> None:
    assert list(judge("0099", [statement])) == []


def test_to_a_table_that_the_same_migration_makes_anything_may_be_done() -> None:
    made = "CREATE TABLE ways (\n    id BIGINT NOT NULL,\n    name VARCHAR(20) NOT NULL\n)"
    later = ["CREATE UNIQUE INDEX uq_ways_name ON ways (name)", "INSERT INTO ways VALUES (1, 'standard')"]
    assert list(judge("0099", [made, *later])) == []
    assert [each.rule for each in judge("0099", later)] == ["unique", "rewrites"]


def test_a_rule_is_set_aside_by_name_and_with_a_reason_only() -> None:
    assert allowances("# lint: allow drops: nobody reads it since 0.3\n") == {
        "drops": "nobody reads it since 0.3"
    }
    assert (
        allowances("# lint: allow drops\n# lint: allow drops: ok\n# lint: allow all: it is fine so\n") == {}
    )


def test_the_migrations_of_the_project_pass() -> None:
    assert [str(each) for each in lint()] == []
