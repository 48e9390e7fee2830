"""Administration of accounts, for pages (session) and scripts (token). Source: spec/rest-api.md 4.2, 4.6."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quart import Response, request

from ccserver.auth.guards import Group
from ccserver.auth.users import UserError
from ccserver.model.strict import WireError, fields, parse_json, text
from ccserver.model.user import ASSIGNABLE_ROLES, Principal
from ccserver.rest.answers import HttpError, json_answer, text_answer
from ccserver.rest.web import Call, Routes

NOTICE = Path("./var/notice.txt")
_LONGEST_NOTICE = 10000
_OPERATIONS = ("add-role", "remove-role", "add-project", "remove-project")


def register(routes: Routes) -> None:
    for prefix, group in (("/config", Group.CONFIG_API), ("/api", Group.API)):
        routes.add(f"{prefix}/users/", "GET", group, users)
        routes.add(f"{prefix}/users/", "POST PUT", group, create)
        routes.add(f"{prefix}/users/", "DELETE", group, remove)
        routes.add(f"{prefix}/roles/", "GET", group, roles)
        routes.add(f"{prefix}/user/<username>", "POST", group, change)
    routes.add("/config/notice/", "POST", Group.CONFIG_API, notice)


def _admins_only(call: Call, what: str) -> None:
    if "admin" not in call.principal.roles:
        raise HttpError(403, f"only admins are allowed to {what}")


async def users(call: Call) -> Response:
    _admins_only(call, "fetch a list of users")
    filtered = request.args.get("not-just-user") == "true"
    accounts = await call.run(call.site.users.list, not_just_user=filtered)
    return json_answer([_members(account) for account in accounts])


def _members(account: Principal) -> dict[str, Any]:
    return {
        "username": account.username,
        "name": account.name,
        "email": account.email,
        "roles": sorted(account.roles, key=ASSIGNABLE_ROLES.index)
        if account.roles <= set(ASSIGNABLE_ROLES)
        else sorted(account.roles),
        "projects": list(account.projects),
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
    await call.run(call.site.users.delete, (await call.form()).get("username", ""))
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
    kind = request.headers.get("Content-Type", "")
    if "form" in kind:
        return await call.form()
    body = await call.body()
    if not body.strip():
        return request.args.to_dict()
    try:
        return fields(parse_json(body), "", dict.fromkeys(_OPERATIONS, text))
    except WireError as error:
        raise HttpError(400, f"parsing request body failed: {error}") from None


async def notice(call: Call) -> Response:
    """Text shown on the home page; empty text clears it."""
    content = (await call.form()).get("new-content", "")
    if len(content) > _LONGEST_NOTICE:
        raise HttpError(400, f"the notice is longer than {_LONGEST_NOTICE} characters")
    await call.run(_write_notice, content)
    call.web.notice.text = content
    return text_answer("Update Notice Content Success" if content else "Empty Notice Content Success")


def _write_notice(content: str) -> None:
    NOTICE.parent.mkdir(parents=True, exist_ok=True)
    NOTICE.write_text(content, encoding="utf-8")


def read_notice() -> str:
    try:
        return NOTICE.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
