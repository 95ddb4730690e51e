"""A read-only browser over the tables, by sqladmin, with the console's own templates around it.

Rows are paged by key, newest first; nothing is counted. Columns with secrets are not mapped, so that no query
can ask for them. Of sqladmin's routes only those that look are there.
"""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import ChoiceLoader, PackageLoader
from markupsafe import Markup, escape
from sqladmin import Admin, ModelView
from sqladmin.pagination import Pagination
from sqlalchemy import Select, Table
from sqlalchemy.orm import registry, sessionmaker
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from console.web.call import View, json_response
from console.web.frame import Frame, to_sign_in
from payouts import people
from payouts.errors import RefusedError
from payouts.storage.schema import metadata

BASE = "/data"
ROWS = 50
SECRET = {
    "inbox": {"payload"},
    "tokens": {"digest"},
    "idempotency_keys": {"body"},
}
"""Columns that are not shown: secrets, and what Stripe says of people, which the pages show by role."""
ABOUT = {
    "approvals": "what second persons decided on payouts and bank accounts; append-only",
    "differences": "where our books and Stripe differ, from when it was first seen until it is gone",
    "inbox": "every event that was taken, once: what Stripe sent, and how far it is",
    "ledger_accounts": "what holds money, one row for each kind, currency and partner; 0: the platform's own",
    "ledger_transactions": "what was posted to the books, each with two postings or more; append-only",
    "limits": "bounds on payouts, for all partners or one: the most, and from where on a person approves",
    "partners": "whom payouts go to: their accounts at Stripe, banks, schedules, and what they may get",
    "payout_requests": "payouts as they were asked for, with what they came to",
    "payouts": "payouts as Stripe tells of them, those of nobody's request included",
    "people": "who may sign in and act, with their roles",
    "replays": "events that somebody asked to be run once more: which, why, and how far it is",
    "tokens": "what people and programs act by: of each only a digest is kept",
}
"""What is in tables that say nothing, or too little, of themselves in the database."""
LOOKING = {"index", "list", "details"}
TEMPLATES = Path(__file__).parent / "templates" / "data"


def mount(app: Starlette, frame: Frame) -> None:
    """Put the browser at BASE."""
    engine = frame.parts.engine.execution_options(read_only=True)
    admin = Admin(
        Starlette(),
        session_maker=sessionmaker(bind=engine),
        base_url=BASE,
        title="Data",
        templates_dir=str(TEMPLATES),
    )
    frame.parts.renderer.equip(admin.templates.env)
    own = admin.templates.env.loader
    admin.templates.env.loader = ChoiceLoader([own, PackageLoader("console.web")] if own else [])
    for table in metadata.sorted_tables:
        admin.add_view(_view(table))
    admin.admin.router.routes = [
        route for route in admin.admin.router.routes if getattr(route, "name", "") in LOOKING
    ]
    # A mount takes only what is below it: the menu's own address leads there.
    app.add_route(BASE, _to_tables, methods=["GET"])
    app.mount(BASE, _Door(admin.admin, frame), name="admin")


async def _to_tables(_: Request) -> Response:
    return RedirectResponse(f"{BASE}/", 308)


class _Door:
    """Lets in whoever may read, and hands the templates what they show around themselves."""

    def __init__(self, app: ASGIApp, frame: Frame) -> None:
        self._app, self._frame = app, frame

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            visitor = await run_in_threadpool(self._frame.visitor, request)
            if visitor is not None:
                visitor.actor.require(people.Scope.READ)
        except RefusedError as error:
            answer = json_response({"error": error.code, "message": str(error)}, 403)
            await answer(scope, receive, send)
            return
        if visitor is None:
            await to_sign_in(request)(scope, receive, send)
            return
        request.state.call = View(parts=self._frame.parts, request=request, visitor=visitor)
        await self._app(scope, receive, send)


class _Page(Pagination):
    """A page by key: whether there is an older one, and where."""

    older: str | None = None

    def add_pagination_urls(self, base_url: Any) -> None:
        """None: rows are not numbered."""


class _TableView(ModelView):
    can_create = can_edit = can_delete = can_export = can_import = False
    page_size = ROWS

    def cells(self, row: Any, key: object) -> Markup:
        """The cells of a row; the first leads to all of it. `key`: the row's own, as sqladmin names it.

        Made here and not by the template: fifty rows of thirty columns take it as long as all the rest.
        """
        first, *others = [(name, getattr(row, name)) for name in self._list_prop_names]
        address = f"/data/{self.identity}/details/{quote(str(key), safe='')}"
        link = Markup('<a href="{}" data-open>{}</a>').format(address, first[1])
        shown = [_CELL % (escape(first[0]), link)]
        shown += [_CELL % (escape(name), self.said(value)) for name, value in others]
        return Markup("\n").join(shown)

    @staticmethod
    def said(value: object) -> Markup:
        """A value as a person reads it."""
        if value is None:
            return _NULL
        return escape(("no", "yes")[value] if isinstance(value, bool) else value)

    async def list(self, request: Request) -> Pagination:
        """Rows before the one that the address names, newest first."""
        key = self.pk_columns[0]
        query: Select[Any] = self.list_query(request).order_by(key.desc()).limit(ROWS + 1)
        before = request.query_params.get("before")
        if before is not None:
            query = query.where(key < _as_key(key, before))
        rows = await self._run_query(query)
        page = _Page(rows=rows[:ROWS], page=1, page_size=ROWS, count=len(rows[:ROWS]))
        if len(rows) > ROWS:
            last = getattr(rows[ROWS - 1], key.name)
            page.older = str(request.url.include_query_params(before=last))
        return page


def about(table: Table) -> str:
    """What is in a table, in a line."""
    return ABOUT.get(table.name) or table.comment or ""


def _as_key(column: Any, text: str) -> Any:
    if column.type.python_type is int:
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise HTTPException(400, f"before takes a row id, not {text[:40]!r}")
        return int(text)
    return text[:255]


@cache
def _mapped(table: Table) -> type:
    # As classes once in a process: they are the same for every console in it.
    made = type(f"{table.name.title().replace('_', '')}Row", (), {})
    _REGISTRY.map_imperatively(made, table, exclude_properties=sorted(SECRET.get(table.name, ())))
    return made


def _view(table: Table) -> type[ModelView]:
    model = _mapped(table)
    shown = [column.name for column in table.columns if column.name not in SECRET.get(table.name, ())]
    attributes = {
        "column_list": shown,
        "column_details_list": shown,
        "comment": about(table),
        "list_template": "list.html",
        "details_template": "details.html",
    }
    made: type[ModelView] = type(f"{model.__name__}View", (_TableView,), attributes, model=model)
    made.name = made.name_plural = made.identity = table.name  # sqladmin takes them from the class
    return made


_REGISTRY = registry()
_CELL = Markup('<td data-label="%s" class="cut">%s</td>')
_NULL = Markup('<span class="quiet">NULL</span>')
