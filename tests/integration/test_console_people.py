"""People, tokens and the audit log in the console."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from payouts.people import Role
from tests.support.databases import migrated_file
from tests.support.site import Site, words_of


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(migrated_file(tmp_path / "payouts.db"))
    yield made
    made.close()


def token_in(html: str) -> str:
    found = re.search(r"pt_[\w-]{43}", html)
    assert found is not None, words_of(html)
    return found[0]


def who(site: Site, token: str) -> dict[str, object]:
    answer = site.client().get("/api/auth/session", headers={"Authorization": f"Bearer {token}"})
    return {"status": answer.status_code, **answer.json()}


def test_an_admin_adds_somebody_whose_token_is_shown_once(site: Site) -> None:
    anna = site.visit()
    made = anna.sent("/people", "/people", name="ben", role="operator", days="30", scopes="")
    token = token_in(made.text)
    assert who(site, token)["role"] == "operator"
    assert token not in anna.get("/people/ben")
    assert token not in anna.get("/people/tokens")
    assert "there is somebody called ben already" in anna.send("/people", "/people", name="ben", role="admin")
    assert "person.add" in anna.reads("/audit?actor=anna")


def test_whoever_is_deactivated_loses_sessions_and_tokens_at_once(site: Site) -> None:
    anna, ben = site.visit(), site.visit("ben", Role.OPERATOR)
    said = anna.send("/people/ben", "/people/ben/deactivate", reason="has left")
    assert "let in no more" in said
    assert ben.client.get("/api/auth/session").status_code == 401
    assert "has left" in anna.reads("/audit?subject=person:ben")
    # A page that was opened before: told, and nothing happens twice.
    assert "the last admin" in anna.send("/people/anna", "/people/anna/deactivate", reason="oh")


def test_a_reason_that_was_typed_is_not_lost_when_it_is_refused(site: Site) -> None:
    anna = site.visit()
    refused = anna.sent("/people/anna", "/people/anna/deactivate", reason="a long thought")
    assert 'value="a long thought"' in anna.get(refused.headers["location"])


def test_one_ends_the_sessions_of_another(site: Site) -> None:
    anna, ben = site.visit(), site.visit("ben", Role.VIEWER)
    assert "1 session of ben ended" in anna.send(
        "/people/ben", "/people/ben/sign-out", reason="lost a laptop"
    )
    assert ben.client.get("/api/auth/session").status_code == 401


def test_a_program_gets_a_token_for_what_is_ticked_and_it_is_revoked(site: Site) -> None:
    anna = site.visit()
    made = anna.sent("/people/tokens", "/people/tokens", name="portal", scopes="read", days="30")
    token = token_in(made.text)
    assert (who(site, token)["name"], who(site, token)["scopes"]) == ("program:portal", ["read"])
    with site.engine.connect() as connection:
        row_id = connection.execute(sa.text("SELECT id FROM tokens WHERE name = 'portal'")).scalar()
    anna.send("/people/tokens", f"/people/tokens/{row_id}/revoke", reason="it leaked")
    assert who(site, token)["status"] == 401


def test_everybody_makes_tokens_of_their_own_for_no_more_than_they_may(site: Site) -> None:
    ben = site.visit("ben", Role.OPERATOR)
    token = token_in(ben.sent("/me", "/me/tokens", name="laptop", scopes="read", days="7").text)
    assert who(site, token)["scopes"] == ["read"]
    assert "you may not give" in ben.send("/me", "/me/tokens", name="more", scopes="admin", days="7")
    with site.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT id, name FROM tokens")).all()
    ids = {row.name: row.id for row in rows}
    ben.send("/me", f"/me/tokens/{ids['laptop']}/revoke")
    assert who(site, token)["status"] == 401
    # Not those of others.
    site.token("anna")
    with site.engine.connect() as connection:
        other = connection.execute(sa.text("SELECT MAX(id) FROM tokens")).scalar()
    kept = {"csrf": ben.client.get("/me").text.split('name="csrf" value="')[1].split('"')[0]}
    refused = ben.client.post(f"/me/tokens/{other}/revoke", data=kept)
    assert refused.status_code == 404
    assert "you have no token" in words_of(refused.text)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.APPROVER])
def test_others_see_no_button_and_are_refused_where_they_send_it_all_the_same(site: Site, role: Role) -> None:
    site.visit("anna")
    ben = site.visit("ben", role)
    page = ben.get("/people/anna")
    assert "/people/anna/deactivate" not in page
    csrf = page.split('name="csrf" value="')[1].split('"')[0]
    for path in ("/people", "/people/anna/deactivate", "/people/anna/tokens", "/people/tokens"):
        answer = ben.client.post(path, data={"csrf": csrf, "name": "x", "role": "admin", "reason": "y"})
        assert answer.status_code == 403
        assert "it takes the scope admin" in words_of(answer.text)


def test_the_audit_log_is_checked_from_its_page(site: Site) -> None:
    anna = site.visit()
    assert "whole" in anna.send("/audit", "/audit/verify")
    with site.engine.begin() as connection:
        connection.execute(sa.text("UPDATE audit SET actor = 'nobody' WHERE action = 'session.open'"))
    assert "broken" in anna.send("/audit", "/audit/verify")


def test_the_roles_are_told_in_words(site: Site) -> None:
    page = site.visit().reads("/people")
    assert "approver approve, read" in page
    assert "approve approve or reject what another person asked for" in page
