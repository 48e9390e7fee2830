"""A small OpenID Connect provider on the loopback interface: authorization code flow with PKCE.

It consents to everything at once. `user`, `extra` and the `break_*` switches say what it tells about whom.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "ccserver", "client secret"


@dataclass
class Provider:
    """State of the provider; tests change it between requests."""

    port: int = 0
    user: dict[str, Any] = field(default_factory=dict)
    """What /userinfo answers beside `sub`."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Claims of the ID token, over the usual ones; None removes one."""
    subject: str = "subject-1"
    userinfo_subject: str | None = None
    signing_key: Any = None
    algorithm: str = "RS256"
    id_token: bool = True
    fail: str = ""
    """Path that answers 500."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    key_name: str = "key-1"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, code: dict[str, str]) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url, "sub": self.subject, "aud": CLIENT, "iat": now, "exp": now + 300,
            "nonce": code["nonce"],
        } | self.extra  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        key = self.key if self.signing_key is None else self.signing_key
        return jwt.encode(claims, key, algorithm=self.algorithm, headers={"kid": self.key_name})


@contextmanager
def provider() -> Iterator[Provider]:
    """Serves until the end of the block."""
    state = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, state, "")

        def do_POST(self) -> None:
            _answer(self, state, self.rfile.read(int(self.headers["Content-Length"])).decode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, state: Provider, body: str) -> None:
    parts = urlsplit(handler.path)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    form = {name: values[0] for name, values in parse_qs(body).items()}
    if parts.path == state.fail:
        _send(handler, 500, {"error": "server_error"})
        return
    match parts.path:
        case "/.well-known/openid-configuration":
            names = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
            found = {f"{name}_endpoint": f"{state.url}/{path}" for name, path in names.items()}
            _send(handler, 200, found | {"issuer": state.url, "jwks_uri": f"{state.url}/jwks"})
        case "/authorize":
            _authorize(handler, state, query)
        case "/token":
            _token(handler, state, form)
        case "/userinfo":
            if handler.headers.get("Authorization") != "Bearer access":
                _send(handler, 401, {})
                return
            subject = state.subject if state.userinfo_subject is None else state.userinfo_subject
            _send(handler, 200, {"sub": subject, **state.user})
        case "/jwks":
            key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(state.key.public_key()))
            _send(handler, 200, {"keys": [key | {"kid": state.key_name, "use": "sig"}]})
        case _:
            _send(handler, 404, {})


def _authorize(handler: BaseHTTPRequestHandler, state: Provider, query: dict[str, str]) -> None:
    assert query["response_type"] == "code"
    assert query["client_id"] == CLIENT
    assert query["scope"].split() == ["openid", "profile", "roles"]
    assert query["code_challenge_method"] == "S256"
    code = secrets.token_hex(8)
    state.codes[code] = query
    target = query["redirect_uri"] + "?" + urlencode({"code": code, "state": query["state"]})
    handler.send_response(302)
    handler.send_header("Location", target)
    handler.end_headers()


def _token(handler: BaseHTTPRequestHandler, state: Provider, form: dict[str, str]) -> None:
    basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
    code = state.codes.pop(form.get("code", ""), None)
    challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    if handler.headers.get("Authorization") != f"Basic {basic}":
        _send(handler, 401, {"error": "invalid_client"})
    elif (
        code is None
        or form.get("redirect_uri") != code["redirect_uri"]
        or base64.urlsafe_b64encode(challenge).rstrip(b"=").decode() != code["code_challenge"]
    ):
        _send(handler, 400, {"error": "invalid_grant"})
    else:
        answer = {"access_token": "access", "token_type": "Bearer", "expires_in": 300}
        _send(handler, 200, answer | ({"id_token": state.token(code)} if state.id_token else {}))


def _send(handler: BaseHTTPRequestHandler, status: int, document: Any) -> None:
    body = json.dumps(document).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
