"""Administration of accounts, for pages (session) and scripts (token). Source: spec/rest-api.md 4.2, 4.6."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from quart import Response, request

from ccserver.auth.guards import Group
from ccserver.auth.users import UserError
from ccserver.model.strict import parse_json, record, text
from ccserver.model.user import ASSIGNABLE_ROLES, Principal
from ccserver.pseudonyms import Kind, Names
from ccserver.rest import documents
from ccserver.rest.answers import HttpError, json_answer, text_answer
from ccserver.rest.parsing import decoded
from ccserver.rest.table import FLAG, MESSAGE, Operation, Parameter, Route, listed
from ccserver.rest.web import Call

NOTICE = Path("./var/notice.txt")
_LONGEST_NOTICE = 10000
_OPERATIONS = ("add-role", "remove-role", "add-project", "remove-project")
_CHANGES = record(dict.fromkeys(_OPERATIONS, text), lambda found, _: found, title="AccountChange")


def _admins_only(call: Call, what: str) -> None:
    if "admin" not in call.principal.roles:
        raise HttpError(403, f"only admins are allowed to {what}")


async def users(call: Call) -> Response:
    _admins_only(call, "fetch a list of users")
    filtered = request.args.get("not-just-user") == "true"
    accounts = await call.run(call.site.users.list, not_just_user=filtered)
    return json_answer([_members(account, call.names) for account in accounts])


def _members(account: Principal, names: Names) -> dict[str, Any]:
    return {
        "username": names.shown(Kind.USER, account.username),
        "name": names.shown(Kind.NAME, account.name),
        "email": names.shown(Kind.EMAIL, account.email),
        "roles": sorted(account.roles, key=ASSIGNABLE_ROLES.index)
        if account.roles <= set(ASSIGNABLE_ROLES)
        else sorted(account.roles),
        "projects": [names.shown(Kind.PROJECT, project) for project in account.projects],
        "authType": 0,
        "authSource": 0,
    }


async def create(call: Call) -> Response:
    _admins_only(call, "create users")
    form = await call.form()
    username, role, project = form.get("username", ""), form.get("role", ""), form.get("project", "")
    if not 1 <= len(username) <= 100:
        raise HttpError(400, "username must be between 1 and 100 characters")
    if role not in ASSIGNABLE_ROLES:
        raise HttpError(400, f"supplied role is no valid option : {role}")
    if not form.get("password") and role != "api":
        raise HttpError(400, "only API users are allowed to have a blank password (login will be impossible)")
    if project and role != "manager":
        raise HttpError(400, "only managers require a project")
    if role == "manager" and not project:
        raise HttpError(400, "managers require a project to manage")
    try:
        await call.run(
            call.site.users.add,
            username,
            [role],
            form.get("password", ""),
            form.get("name", ""),
            form.get("email", ""),
            [project] if project else [],
        )
    except UserError as error:
        raise HttpError(422, str(error)) from None
    return text_answer(f"User {username} successfully created!\n")


async def remove(call: Call) -> Response:
    _admins_only(call, "delete users")
    username = (await call.form()).get("username", "")
    if username == call.principal.username:
        raise HttpError(422, "this is your own account; another administrator can delete it")
    await call.run(call.site.users.delete, username)
    return Response(b"", 200, content_type="text/plain; charset=utf-8")


async def roles(call: Call) -> Response:
    _admins_only(call, "fetch a list of roles")
    return json_answer(list(ASSIGNABLE_ROLES))


async def change(call: Call, username: str) -> Response:
    _admins_only(call, "update users")
    wanted = await _operations(call)
    operation = next((name for name in _OPERATIONS if wanted.get(name)), None)
    if operation is None:
        raise HttpError(400, f"no operation specified: must provide one of {', '.join(_OPERATIONS)}")
    repository = call.site.users
    work = {
        "add-role": repository.add_role,
        "remove-role": repository.remove_role,
        "add-project": repository.add_project,
        "remove-project": repository.remove_project,
    }[operation]
    try:
        await call.run(work, username, wanted[operation])
    except UserError as error:
        raise HttpError(422, str(error)) from None
    done = " ".join(word.capitalize() for word in operation.split("-")) + " Success"
    return json_answer({"msg": f"{done} for user {username}" if request.path.startswith("/api/") else done})


async def _operations(call: Call) -> dict[str, str]:
    """JSON whatever its content type says, as for every JSON body; else form fields."""
    if request.mimetype == "multipart/form-data":
        return await call.form()
    body = await call.body()
    if body.lstrip()[:1] in (b"{", b"["):
        return decoded(_decode_changes, body)
    return request.args.to_dict() | dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _decode_changes(body: bytes) -> dict[str, str]:
    return _CHANGES.read(parse_json(body), "")


async def notice(call: Call) -> Response:
    """Text shown on the home page; empty text clears it."""
    content = (await call.form()).get("new-content", "")
    if len(content.encode()) > _LONGEST_NOTICE:
        raise HttpError(400, f"the notice is longer than {_LONGEST_NOTICE} bytes")
    await call.run(_write_notice, content)
    call.web.notice.text = content
    return text_answer("Update Notice Content Success" if content else "Empty Notice Content Success")


def _write_notice(content: str) -> None:
    NOTICE.parent.mkdir(parents=True, exist_ok=True)
    draft = NOTICE.with_suffix(".new")
    draft.write_text(content, encoding="utf-8")
    draft.replace(NOTICE)


def read_notice() -> str:
    try:
        return NOTICE.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


_ADMINS = {403: "the caller is no admin"}
_USERS = Operation(
    "List accounts",
    {200: listed(documents.USER)},
    _ADMINS,
    query=(Parameter("not-just-user", "leave out accounts with no role or only the role user", FLAG),),
)
_CREATE = Operation(
    "Create an account",
    {200: "text/plain"},
    {
        400: "the name, the role, or what the role needs or forbids",
        **_ADMINS,
        422: "there is such an account already",
    },
    form=(
        Parameter("username", "1 to 100 characters", required=True),
        Parameter("role", "one of them", {"enum": list(ASSIGNABLE_ROLES)}, required=True),
        Parameter("password", "may be empty for the role api only"),
        Parameter("name", "real name"),
        Parameter("email", "address"),
        Parameter("project", "of the role manager, and of no other"),
    ),
)
_REMOVE = Operation(
    "Delete an account; one that does not exist is no error",
    {200: "text/plain"},
    {**_ADMINS, 422: "it is the caller's own account"},
    form=(Parameter("username", "whose"),),
)
_ROLES = Operation("The roles an account can have", {200: listed({"enum": list(ASSIGNABLE_ROLES)})}, _ADMINS)
_CHANGE = Operation(
    "Give or take a role or project; the first of the four that is present counts",
    {200: MESSAGE},
    {
        400: "none of the four is present",
        **_ADMINS,
        422: "there is no such account, no such role, or the change makes no sense",
    },
    body=_CHANGES,
    form=tuple(Parameter(name, "role" if "role" in name else "project") for name in _OPERATIONS),
)
_NOTICE = Operation(
    "Set the notice of the home page; empty: none",
    {200: "text/plain"},
    {400: f"it is longer than {_LONGEST_NOTICE} bytes"},
    form=(Parameter("new-content", "plain text"),),
)

ROUTES = (
    *(
        Route(f"{prefix}/{path}", methods, group, handler, operation, presentable=methods == "GET")
        for prefix, group in (("/config", Group.CONFIG_API), ("/api", Group.API))
        for path, methods, handler, operation in (
            ("users/", "GET", users, _USERS),
            ("users/", "POST PUT", create, _CREATE),
            ("users/", "DELETE", remove, _REMOVE),
            ("roles/", "GET", roles, _ROLES),
            ("user/<username>", "POST", change, _CHANGE),
        )
    ),
    Route("/config/notice/", "POST", Group.CONFIG_API, notice, _NOTICE),
)
