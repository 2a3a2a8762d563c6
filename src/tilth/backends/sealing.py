"""Secrets at rest: AES-256-GCM under a key that lives in the home, never in the database; and signatures under a key made from it.

Whoever reads only the database, or a copy of it, reads no secret. Source: NIST SP 800-38D (96-bit random nonces). What is only to be
proven, not hidden, is signed (HMAC-SHA256, RFC 2104): random nonces are good for 2^32 texts, and callers make us sign as many as they like.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tilth.core.errors import Damaged
from tilth.core.ids import new_id

NONCE_BYTES = 12
KEY_BYTES = 32


class SecretUnreadable(Damaged):
    """A sealed secret does not open: the key is another one, or the text was changed."""


class Sealer:
    """Seals, opens and signs short texts. context: what the text belongs to; sealed or signed for one thing, it is no good for another."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._signing_key = HKDF(SHA256(), KEY_BYTES, salt=None, info=b"tilth signatures").derive(key)

    def seal(self, secret: str, context: str) -> str:
        nonce = os.urandom(NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, secret.encode(), context.encode())).decode()

    def open(self, sealed: str, context: str) -> str:
        """Raises SecretUnreadable."""
        try:
            data = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], context.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise SecretUnreadable(
                f"the secret of {context} does not open with the key of this home; restore keys/secrets.key with the home, "
                "or set the secret anew"
            ) from error

    def sign(self, text: str, context: str) -> str:
        """64 hexadecimal digits, which only who has the key can make."""
        return hmac.new(self._signing_key, f"{context}\0{text}".encode(), hashlib.sha256).hexdigest()

    def has_signed(self, text: str, context: str, signature: str) -> bool:
        return hmac.compare_digest(self.sign(text, context).encode(), signature.encode())


def open_sealer(home: Path) -> Sealer:
    """The sealer of a home; its key (keys/secrets.key, mode 0600) is made at first use, by one of several processes."""
    folder = home / "keys"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / "secrets.key"
    if not path.exists():
        _make_key(path)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise SecretUnreadable(f"{path} has {len(key)} bytes instead of {KEY_BYTES}: restore it from a copy of the home")
    return Sealer(key)


def _make_key(path: Path) -> None:
    temporary = path.with_name(f"{new_id()}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(AESGCM.generate_key(KEY_BYTES * 8))
        file.flush()
        os.fsync(file.fileno())
    # A link fails where another process was first; then its key is the key.
    with contextlib.suppress(FileExistsError):
        os.link(temporary, path)
    temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
