"""The programs cc-gen-keypair and cc-convert-pem-pubkey. Source: spec/operations.md 5.3."""

from __future__ import annotations

import base64
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

_LARGEST_PEM = 64 * 1024  # bytes


def gen_keypair(argv: Sequence[str] | None = None) -> NoReturn:
    """Print a fresh Ed25519 pair as two lines for `.env`."""
    from ccserver.config.keys import new_key_lines

    given = list(sys.argv[1:] if argv is None else argv)
    if given in (["-h"], ["-help"], ["--help"]):
        print("usage: cc-gen-keypair\n\nprints JWT_PUBLIC_KEY and JWT_PRIVATE_KEY for .env")
        sys.exit(0)
    if given:
        _fail("usage: cc-gen-keypair (takes no arguments)", 2)
    print("\n".join(line for line in new_key_lines() if line.startswith("JWT_")))
    sys.exit(0)


def convert_pem_pubkey(argv: Sequence[str] | None = None) -> NoReturn:
    """Print the Ed25519 key of a PEM file as a line for `.env`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    given = list(sys.argv[1:] if argv is None else argv)
    usage = "usage: cc-convert-pem-pubkey <file>\n\nprints the Ed25519 public key of a PEM file for .env"
    if given in (["-h"], ["-help"], ["--help"]):
        print(usage)
        sys.exit(0)
    if len(given) != 1:
        _fail(usage)
    path = Path(given[0])
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_PEM)
    except OSError as error:
        _fail(f"{path}: cannot be read: {error.strerror}")
    if b"-----BEGIN PUBLIC KEY-----" not in text:
        _fail(f"{path}: has no PEM block PUBLIC KEY")
    try:
        key = load_pem_public_key(text[text.index(b"-----BEGIN PUBLIC KEY-----") :])
    except (ValueError, UnsupportedAlgorithm) as error:
        _fail(f"{path}: cannot be decoded: {error}")
    if not isinstance(key, Ed25519PublicKey):
        _fail(f"{path}: holds a {type(key).__name__.removesuffix('PublicKey')} key, not an Ed25519 one")
    print(f'CROSS_LOGIN_JWT_PUBLIC_KEY="{base64.b64encode(key.public_bytes_raw()).decode()}"')
    sys.exit(0)


def _fail(message: str, status: int = 1) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(status)
