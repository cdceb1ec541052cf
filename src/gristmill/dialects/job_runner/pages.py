"""The login form and its way out; the only pages of this interface."""

import asyncio
from html import escape
from http.cookies import SimpleCookie
from urllib.parse import parse_qsl, quote

from gristmill.dialects.job_runner.errors import RefusedError
from gristmill.dialects.job_runner.exchange import Answer, Header, Request
from gristmill.dialects.job_runner.sessions import (
    CSRF_COOKIE,
    LIFETIME,
    SESSION_COOKIE,
    Sessions,
    comes_from_here,
    same_text,
)
from gristmill.domain.errors import NotAuthenticatedError

LOGIN = "/accounts/login/"
LOGOUT = "/accounts/logout/"
AFTER_LOGIN = "/"
LONGEST_NEXT = 2000
LARGEST_FORM = 16_384
MOST_FIELDS = 20
CSRF_LIFETIME = 364 * 86400
FORM_TYPE = "application/x-www-form-urlencoded"
MOST_CHECKS = 2
"""Passwords checked at a time: each check is slow on purpose, and must not slow down the rest."""

TOKEN_LENGTH = range(16, 129)
"""Characters of a form token that we take back from a cookie."""

_PLAIN = "/?&=%:+,;@~.-_!*'()"
_WRONG = "The user name or the password is wrong."
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in</title>
<h1>Log in</h1>
{wrong}<form method="post" action="{action}">
<input type="hidden" name="csrfmiddlewaretoken" value="{token}">
<input type="hidden" name="next" value="{next}">
<p><label>User name <input name="username" autocomplete="username" required autofocus></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" \
required></label></p>
<p><button>Log in</button></p>
</form>
</html>
"""


class Pages:
    """Answers ``/accounts/login/`` and ``/accounts/logout/``."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._checking = asyncio.Semaphore(MOST_CHECKS)

    async def log_in(self, request: Request) -> Answer:
        """Show the form, or take it and give a session. Raises RefusedError."""
        if request.method == "GET":
            return self._form(request, dict(request.query).get("next", ""))
        form = await _read_form(request)
        token = request.cookies.get(CSRF_COOKIE, "")
        given = form.get("csrfmiddlewaretoken", "")
        if not token or not same_text(token, given) or not comes_from_here(request):
            return _html(403, "<p>The form is not from this server: load the page again.</p>")
        wanted = form.get("next", "")
        try:
            name, password = form.get("username", ""), form.get("password", "")
            async with self._checking:
                handle = await self._sessions.open(name, password)
        except NotAuthenticatedError:
            return self._form(request, wanted, _WRONG)
        await self._sessions.close(request.cookies.get(SESSION_COOKIE, ""))
        cookies = (
            _cookie(request, SESSION_COOKIE, handle, int(LIFETIME)),
            _cookie(request, CSRF_COOKIE, self._sessions.new_token(), CSRF_LIFETIME),
        )
        return _redirect(_own_path(wanted), cookies)

    async def log_out(self, request: Request) -> Answer:
        """End the session, and go to the form."""
        await self._sessions.close(request.cookies.get(SESSION_COOKIE, ""))
        return _redirect(request.mount + LOGIN, (_cookie(request, SESSION_COOKIE, "", 0),))

    def _form(self, request: Request, wanted: str, wrong: str = "") -> Answer:
        token = request.cookies.get(CSRF_COOKIE, "")
        if len(token) not in TOKEN_LENGTH or not token.isascii():
            token = self._sessions.new_token()
        page = _PAGE.format(
            action=request.mount + LOGIN,
            token=escape(token),
            next=escape(_own_path(wanted)),
            wrong=f'<p role="alert">{escape(wrong)}</p>\n' if wrong else "",
        )
        return _html(200, page, (_cookie(request, CSRF_COOKIE, token, CSRF_LIFETIME),))


async def _read_form(request: Request) -> dict[str, str]:
    if request.text(b"content-type").partition(";")[0].strip().lower() != FORM_TYPE:
        raise RefusedError(400, f"Content-Type: a login form is {FORM_TYPE}")
    await request.load()
    if len(request.body) > LARGEST_FORM:
        raise RefusedError(400, f"the form is larger than {LARGEST_FORM} bytes")
    try:
        text = request.body.decode("ascii")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise RefusedError(400, f"the form cannot be read: {error}") from error


def _own_path(wanted: str) -> str:
    """Never send anybody to another site after their login."""
    plain = wanted.isascii() and wanted.isprintable() and "\\" not in wanted
    own = wanted.startswith("/") and not wanted.startswith("//")
    return wanted if own and plain and len(wanted) <= LONGEST_NEXT else AFTER_LOGIN


def _cookie(request: Request, name: str, value: str, seconds: int) -> Header:
    jar: SimpleCookie = SimpleCookie()
    jar[name] = value
    morsel = jar[name]
    morsel["path"], morsel["max-age"], morsel["samesite"] = "/", seconds, "Lax"
    # A script of the dashboard reads the form token, to send it in a header.
    morsel["httponly"] = name == SESSION_COOKIE
    morsel["secure"] = request.secure
    return b"set-cookie", morsel.OutputString().encode("latin-1")


def _redirect(where: str, cookies: tuple[Header, ...]) -> Answer:
    return Answer(302, b"", ((b"location", quote(where, safe=_PLAIN).encode("ascii")), *cookies))


def _html(status: int, text: str, headers: tuple[Header, ...] = ()) -> Answer:
    return Answer(
        status,
        text.encode(),
        (
            (b"content-type", b"text/html; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"content-security-policy", b"default-src 'none'; form-action 'self'"),
            (b"x-frame-options", b"DENY"),
            *headers,
        ),
    )
