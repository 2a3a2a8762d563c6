"""Which passwords are taken, and how they are kept: argon2id with the least memory that OWASP's cheat sheet allows.

19 MiB and two passes stand there beside 46 MiB and one as equally strong; the smaller one leaves a small server its memory.
"""

from __future__ import annotations

import re
import unicodedata

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from tilth.domains.identity.types import WeakPassword

MIN_PASSWORD_CHARS = 12
MAX_PASSWORD_CHARS = 256
MIN_DIFFERENT_CHARS = 5
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)
_COMMON = frozenset(
    [
        "password",
        "passwort",
        "kennwort",
        "motdepasse",
        "contrasena",
        "passw0rd",
        "p4ssw0rd",
        "letmein",
        "welcome",
        "changeme",
        "changemenow",
        "changemeplease",
        "administrator",
        "admin",
        "adminadmin",
        "qwerty",
        "qwertyuiop",
        "qwertyuiopasdfghjkl",
        "asdfghjkl",
        "asdfghjklzxcvbnm",
        "zxcvbnm",
        "1q2w3e4r5t6y",
        "1qaz2wsx3edc",
        "qazwsxedcrfv",
        "iloveyou",
        "iloveyouforever",
        "football",
        "baseball",
        "superman",
        "batman",
        "princess",
        "dragon",
        "monkey",
        "master",
        "sunshine",
        "shadow",
        "trustno",
        "starwars",
        "whatever",
        "default",
        "secret",
        "topsecret",
        "mypassword",
        "mysecretpassword",
        "thisismypassword",
        "correcthorsebatterystaple",
        "machinelearning",
        "datascience",
        "mlflow",
        "tilth",
        "abcdefghijkl",
        "abcdefghijklmnopqrstuvwxyz",
        "letmeinletmein",
        "passwordpassword",
        "qwertyqwerty",
    ]
)
_ORDERED = "01234567890123456789 98765432109876543210 abcdefghijklmnopqrstuvwxyz zyxwvutsrqponmlkjihgfedcba"


def normal(password: str) -> str:
    """The same password typed on another keyboard is the same: Unicode NFKC, as NIST SP 800-63B asks for."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, name: str) -> None:
    """name: of the user. Raises WeakPassword, which says what to do; the password is never repeated."""
    text = normal(password)
    if len(text) < MIN_PASSWORD_CHARS:
        raise WeakPassword(f"this password has {len(text)} characters: use at least {MIN_PASSWORD_CHARS}, such as four words")
    if len(text) > MAX_PASSWORD_CHARS:
        raise WeakPassword(f"this password has {len(text)} characters: use at most {MAX_PASSWORD_CHARS}")
    if len(set(text)) < MIN_DIFFERENT_CHARS or text.lower() in _ORDERED:
        raise WeakPassword("this password is a row of the same or neighbouring characters: use something nobody would try first")
    core = _core(text)
    if core in _COMMON or core == _core(name) or core == "":
        raise WeakPassword(
            "this password is a common word, your own name or only digits, perhaps with some more at its ends: "
            "use something nobody would try first, such as four words"
        )


def hash_password(password: str) -> str:
    """About 30 ms and 19 MiB: never inside a transaction, never on the event loop."""
    return _HASHER.hash(normal(password))


def password_matches(stored: str, password: str) -> bool:
    """As costly as `hash_password`, whatever the outcome."""
    try:
        return _HASHER.verify(stored, normal(password))
    except (VerificationError, InvalidHashError):
        return False


def needs_new_hash(stored: str) -> bool:
    """Whether it was made with other costs than today's."""
    return _HASHER.check_needs_rehash(stored)


def _core(text: str) -> str:
    """Without what people add to a word to make it pass: case, signs, and digits around it."""
    return re.sub(r"^[\d_]+|[\d_]+$", "", re.sub(r"\W", "", text.lower()))
