"""The transport of `POST /query`: statuses, envelope, types, limits. Contract: spec/graphql.md 1, 15."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from ccserver.graphql import view
from ccserver.graphql.request import Request
from ccserver.model.user import Principal
from ccserver.pseudonyms import PLAIN, Names

USER = Principal("alice", frozenset({"user"}))


class NoServices:
    """A site none of these requests may touch, but to learn that names are shown as they are."""

    def names(self, _: object) -> Names:
        return PLAIN


def ask(body: object, **options: Any) -> tuple[int, dict[str, str], dict[str, Any]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    introspection = options.pop("introspection", False)
    request = Request(NoServices(), USER, introspection)  # type: ignore[arg-type]
    status, headers, pieces = view.answer(raw, request, **options)
    return status, headers, json.loads(b"".join(pieces))


def query(text: str, **options: Any) -> tuple[int, dict[str, Any]]:
    status, _headers, document = ask({"query": text}, **options)
    return status, document


def code(document: dict[str, Any]) -> str:
    return str(document["errors"][0]["extensions"]["code"])


async def handle(body: bytes, **options: Any) -> view.Answer:
    return await view.handle(body, USER, NoServices(), **options)  # type: ignore[arg-type]


async def test_an_operation_is_answered_with_data_alone() -> None:
    status, headers, pieces = await handle(
        b'{"query":"{ __typename }"}', content_type="application/json; charset=utf-8"
    )
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert b"".join(pieces) == b'{"data":{"__typename":"Query"}}'
    assert headers["Content-Length"] == str(len(b"".join(pieces)))


@pytest.mark.parametrize(
    "options",
    [
        {"method": "GET"},
        {"content_type": "multipart/form-data; boundary=x"},
        {"content_type": ""},
        {"content_type": "application/graphql"},
    ],
)
async def test_other_transports_are_refused(options: dict[str, str]) -> None:
    status, _headers, pieces = await handle(b'{"query":"{ __typename }"}', **options)
    assert status == 400
    assert b"".join(pieces) == b'{"errors":[{"message":"transport not supported"}],"data":null}'


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"[]", b'[{"query":"{ __typename }"}]', b'{"query": 3}', b"\xff"]
)
def test_batches_and_broken_bodies_are_refused(body: bytes) -> None:
    status, _headers, document = ask(body)
    assert status == 400
    assert document["data"] is None
    [error] = document["errors"]
    assert error["message"].startswith("json request body could not be decoded")


def test_unknown_members_are_ignored() -> None:
    status, _headers, document = ask({"query": "{ __typename }", "extensions": {"a": 1}, "foo": []})
    assert (status, document) == (200, {"data": {"__typename": "Query"}})


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "application/json"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("application/*;q=0.8", "application/json"),
        ("application/graphql-response+json, application/json", "application/graphql-response+json"),
        ("text/html, application/json", "application/json"),
        ("text/html", "application/graphql-response+json"),
    ],
)
def test_media_type_of_the_answer(accept: str, media_type: str) -> None:
    assert view.response_type(accept) == media_type


@pytest.mark.parametrize(("media_type", "status"), [(view.JSON, 422), (view.GRAPHQL_JSON, 400)])
def test_documents_that_do_not_parse(media_type: str, status: int) -> None:
    answered, document = query("{", media_type=media_type)
    assert (answered, code(document), document["data"]) == (status, "GRAPHQL_PARSE_FAILED", None)


def test_documents_that_do_not_fit_the_schema() -> None:
    status, document = query("{ nonsense }")
    assert (status, code(document), list(document)) == (422, "GRAPHQL_VALIDATION_FAILED", ["errors", "data"])


def test_variables_that_do_not_fit() -> None:
    status, _headers, document = ask(
        {"query": "query($id: ID!) { job(id: $id) { id } }", "variables": {"id": [1]}}
    )
    assert (status, code(document)) == (422, "GRAPHQL_VALIDATION_FAILED")
    assert document["errors"][0]["path"][0] == "variable"


def test_surplus_variables_are_ignored() -> None:
    status, _headers, document = ask({"query": "{ __typename }", "variables": {"x": 1}})
    assert (status, document["data"]) == (200, {"__typename": "Query"})


@pytest.mark.parametrize("name", [None, "", "C"])
def test_several_operations_need_a_known_name(name: str | None) -> None:
    text = "query A { __typename } query B { a: __typename }"
    status, _headers, document = ask({"query": text, "operationName": name})
    assert status == 422
    assert document["errors"][0]["message"] == f"operation {name or ''} not found"


def test_the_name_selects_the_operation() -> None:
    text = "query A { __typename } query B { a: __typename }"
    assert ask({"query": text, "operationName": "B"})[2] == {"data": {"a": "Query"}}


def test_introspection_is_off() -> None:
    status, document = query('{ __schema { types { name } } __type(name: "Job") { name } __typename }')
    assert status == 200
    assert document["data"] == {"__schema": None, "__type": None, "__typename": "Query"}
    assert [(error["message"], error["path"]) for error in document["errors"]] == [
        ("introspection disabled", ["__schema"]),
        ("introspection disabled", ["__type"]),
    ]


def test_introspection_can_be_switched_on() -> None:
    status, document = query("{ __schema { queryType { name } } }", introspection=True)
    assert (status, document) == (200, {"data": {"__schema": {"queryType": {"name": "Query"}}}})


def aliases(count: int) -> str:
    return " ".join(f"a{n}: __typename" for n in range(count))


def test_five_thousand_fields_are_allowed() -> None:
    assert query("{" + aliases(5000) + "}")[0] == 200


def test_more_are_refused_unexecuted() -> None:
    status, document = query("{" + aliases(5001) + "}")
    assert (status, code(document), document["data"]) == (200, "COMPLEXITY_LIMIT_EXCEEDED", None)
    assert (
        document["errors"][0]["message"] == "operation has complexity 5001, which exceeds the limit of 5000"
    )


def test_a_field_costs_one_plus_its_selection() -> None:
    status, document = query("{" + " ".join(f"a{n}: tags {{ id name }}" for n in range(1667)) + "}")
    assert (status, code(document)) == (200, "COMPLEXITY_LIMIT_EXCEEDED")
    assert "complexity 5001," in document["errors"][0]["message"]


def test_a_fragment_counts_at_each_spread() -> None:
    spreads = " ".join(f"b{n}: __typename ...F" for n in range(51))
    text = "{" + spreads + "} fragment F on Query { " + aliases(100) + " }"
    status, document = query(text)
    assert (status, code(document)) == (200, "COMPLEXITY_LIMIT_EXCEEDED")
    assert "complexity 5151," in document["errors"][0]["message"]


def test_fragments_in_fragments_are_counted_without_being_unfolded() -> None:
    chain = [f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60)]
    text = "{ ...F0 }" + " ".join(chain) + " fragment F60 on Query { __typename }"
    assert f"complexity {2**60}," in query(text)[1]["errors"][0]["message"]


def test_a_fragment_in_itself_is_invalid() -> None:
    status, document = query("{ ...F } fragment F on Query { ...F }")
    assert (status, code(document)) == (422, "GRAPHQL_VALIDATION_FAILED")


def test_depth_is_limited() -> None:
    status, document = query("{ jobs " * 25 + "{ a }" + " }" * 25)
    assert (status, code(document)) == (200, "DEPTH_LIMIT_EXCEEDED")


def test_one_field_many_times_is_not_compared_with_itself_for_ever() -> None:
    status, document = query("{" + "__typename " * 4000 + "}")
    assert (status, code(document), document["data"]) == (422, "GRAPHQL_VALIDATION_FAILED", None)


def test_absurd_nesting_is_refused() -> None:
    status, document = query("{a" * 50_000)
    assert (status, code(document), document["data"]) == (422, "GRAPHQL_PARSE_FAILED", None)


@pytest.mark.parametrize("length", [300, 3000])
def test_absurdly_long_chains_of_fragments_are_refused(length: int) -> None:
    chain = [f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(length)]
    status, document = query("{ ...F0 }" + " ".join(chain) + f" fragment F{length} on Query {{ __typename }}")
    assert (status, document["data"]) == (422, None)
    assert code(document) in ("GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED")


def test_an_unexpected_exception_shows_nothing_of_the_inside(caplog: pytest.LogCaptureFixture) -> None:
    status, document = query('{ user(username: "alice") { name } }')
    assert status == 200
    assert document["data"] == {"user": None}
    [error] = document["errors"]
    assert error == {
        "message": "internal server error",
        "path": ["user"],
        "locations": [{"line": 1, "column": 3}],
    }
    assert "AttributeError" in caplog.text


@pytest.mark.parametrize(("accepted", "wbits"), [("gzip, deflate", 31), ("br;q=1, deflate", 15)])
def test_long_answers_are_compressed(accepted: str, wbits: int) -> None:
    body = json.dumps({"query": "{" + aliases(500) + "}"}).encode()
    request = Request(NoServices(), USER)  # type: ignore[arg-type]
    status, headers, pieces = view.answer(body, request, accept_encoding=accepted)
    plain = zlib.decompress(b"".join(pieces), wbits=wbits)
    assert status == 200
    assert headers["Content-Encoding"] == accepted.split(",")[0 if wbits == 31 else 1].strip()
    assert headers["Content-Length"] == str(sum(map(len, pieces)))
    assert len(json.loads(plain)["data"]) == 500


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "br"])
def test_compression_is_the_clients_choice(accepted: str) -> None:
    _status, headers, document = ask({"query": "{" + aliases(500) + "}"}, accept_encoding=accepted)
    assert "Content-Encoding" not in headers
    assert len(document["data"]) == 500


@pytest.mark.parametrize("number", ["5_0", " 50", "\u0665", "", "0x10", "5.0"])
def test_texts_that_are_no_integers_do_not_fit(number: str) -> None:
    text = "query($n: Int!) { jobs(page: {itemsPerPage: $n, page: 1}) { count } }"
    status, _headers, document = ask({"query": text, "variables": {"n": number}})
    assert (status, code(document)) == (422, "GRAPHQL_VALIDATION_FAILED")
