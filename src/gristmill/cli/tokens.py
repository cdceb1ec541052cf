"""``gristmill token``: access for people and programs."""

from typing import Annotated

import typer

from gristmill.cli.session import Session


def create(
    session: Session,
    *,
    user: Annotated[str, typer.Option(metavar="NAME", help="Whom it speaks for.")],
    group: Annotated[list[str] | None, typer.Option(help="A group it carries.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="read, write, agent or admin.")] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="Such as 30d, 12h, or seconds.")
    ] = None,
    email: Annotated[str | None, typer.Option(help="An address it carries.")] = None,
    api_key: Annotated[bool, typer.Option("--api-key", help="A plain key, no JWT.")] = False,
) -> None:
    """Make a token; its secret is the last line and is never shown again."""
    made = session.administration.create_token(
        user,
        groups=group or (),
        expires=expires,
        email=email,
        api_key=api_key,
        **({"scopes": scope} if scope else {}),
    )
    if session.output.as_json:
        session.output.json(made)
        return
    until = "" if made.expires_at is None else f", good until {made.expires_at.isoformat()}"
    session.output.note(f"token {made.id} for {user}{until}")
    session.output.line(made.token)


def show(session: Session) -> None:
    """List the tokens, without secrets."""
    tokens = session.administration.tokens()
    if session.output.as_json:
        session.output.json(tokens)
        return
    rows = (
        (token.id, token.user, " ".join(token.groups), " ".join(token.scopes), token.expires_at)
        for token in tokens
    )
    session.output.table(("ID", "USER", "GROUPS", "SCOPES", "EXPIRES"), rows)


def approve(session: Session, code: Annotated[str, typer.Argument(metavar="CODE")]) -> None:
    """Let the terminal that shows this code log in as you."""
    session.client.approve_login(code)
    if session.output.as_json:
        session.output.json({"approved": code})


def revoke(session: Session, token_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """End a token at once."""
    session.administration.revoke_token(token_id)
    if session.output.as_json:
        session.output.json({"revoked": token_id})
