"""Whom a request comes from: the token in its Authorization header."""

from starlette.requests import Request

from api.problems import ApiError, challenge


def bearer_token(request: Request) -> str:
    """The token as it was sent. ApiError 401 where there is none, or not in the one form there is."""
    said = request.headers.getlist("authorization")
    if len(said) != 1:
        raise ApiError(
            401,
            "token_missing",
            "send your token in one header: Authorization: Bearer pt_…",
            headers=challenge(),
        )
    scheme, _, token = said[0].strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise ApiError(
            401,
            "token_missing",
            "the header Authorization takes the word Bearer, a space and your token",
            headers=challenge('error="invalid_request"'),
        )
    return token.strip()
