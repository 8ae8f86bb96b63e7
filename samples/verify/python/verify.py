"""Verifies Gatehouse access tokens with PyJWT."""

import re
import time

import jwt

COMPACT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
LONGEST_LIFETIME = 30 * 86400
TOLERANCE = 5


def verify(token, find_key, *, algorithm, issuer, audience=None, now=time.time):
    """The claims of a good token. Raises jwt.InvalidTokenError.

    algorithm: the one that is expected, "ES256" or "HS256"; the token has no say in it.
    find_key: from a kid to a key, or None. For ES256 look it up in the issuer's JWK set (jwt.PyJWKClient fetches and
    caches it); for HS256 it is the shared secret, whatever the kid.
    """
    if len(token) > 8192 or COMPACT.fullmatch(token) is None:  # PyJWT takes padding
        raise jwt.InvalidTokenError("form")
    header = jwt.get_unverified_header(token)
    if header.keys() != {"alg", "typ", "kid"} or header["typ"] != "JWT" or not is_text(header["kid"]):
        raise jwt.InvalidTokenError("header")
    key = find_key(header["kid"])
    if header["alg"] != algorithm or key is None:
        raise jwt.InvalidTokenError("algorithm or key")

    # Times are judged below: PyJWT has a clock of its own, and takes texts and fractions for times.
    options = {"require": ["sub", "sid", "jti", "type", "iat", "exp"], "verify_iat": False, "verify_nbf": False}
    claims = jwt.decode(
        token, key, algorithms=[algorithm], issuer=issuer, audience=audience, leeway=TOLERANCE, options=options
    )

    iat, exp = claims["iat"], claims["exp"]
    nbf = claims.get("nbf", iat)
    sound = (
        claims.get("iss") == issuer
        and claims["type"] == "access"  # and no refresh token
        and is_for(claims, audience)
        and is_uuid(claims["sub"])
        and is_uuid(claims["sid"])
        and is_text(claims["jti"])
        and all(type(second) is int and 0 <= second < 2**32 for second in (iat, exp, nbf))
        and 0 < exp - iat <= LONGEST_LIFETIME
        and max(iat, nbf) - TOLERANCE <= now() < exp + TOLERANCE
    )
    if not sound:
        raise jwt.InvalidTokenError("claims")
    return claims


def is_for(claims, audience):
    """RFC 7519 section 4.1.3: a verifier without a name refuses every token that has an audience."""
    if audience is None:
        return "aud" not in claims
    aud = claims.get("aud")
    return aud == audience or (isinstance(aud, list) and all(isinstance(each, str) for each in aud) and audience in aud)


def is_uuid(value):
    return isinstance(value, str) and UUID.fullmatch(value) is not None


def is_text(value):
    return isinstance(value, str) and 0 < len(value) <= 128
