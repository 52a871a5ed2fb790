"""A CHAP secret as its digest: for stores that have to tell later whether an access is the one they gave. Pure."""

import hashlib

from storage.volumes.port import Access, Chap

DIGEST_CHARS = 32


def masked(access: Access, authority: str) -> Access:
    """The access with a digest for its secret."""
    if access.chap is None:
        return access
    user, secret = access.chap
    digest = hashlib.pbkdf2_hmac("sha256", secret.encode(), f"{authority} {user}".encode(), 20_000).hex()
    return access._replace(chap=Chap(user, digest[:DIGEST_CHARS]))
