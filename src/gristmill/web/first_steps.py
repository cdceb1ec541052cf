"""What somebody sees whose server has no jobs yet: the two ways to submit one, ready to copy."""

import shlex

from gristmill.services.house import House
from gristmill.web.markup import Markup, tag
from gristmill.web.sessions import Visitor
from gristmill.web.visit import AnyRequest

COMMAND = "echo hello"


def first_steps(request: AnyRequest, house: House, visitor: Visitor) -> Markup:
    """Return the lines; where the home is, only the administrator is told."""
    home = str(house.home) if visitor.who.admin else None
    return tag(
        "div",
        tag("p", "No jobs yet. Submit one from a terminal:"),
        tag("pre", _command_line(home)),
        tag("p", "or from anywhere else:"),
        tag("pre", _curl(request, home)),
        tag(
            "p", "What else a job can say is in ", tag("a", "the documentation", href="/docs"), "."
        ),
        class_="empty",
    )


def _command_line(home: str | None) -> str:
    where = f"--home {shlex.quote(home)} " if home else ""
    return f"gristmill submit {where}-- {COMMAND}"


def _curl(request: AnyRequest, home: str | None) -> str:
    token = f"$(cat {shlex.quote(home + '/client.token')})" if home else "$TOKEN"
    scheme, host = request.scope["scheme"], request.headers.get("host", "localhost")
    trust = ""
    if scheme == "https":
        trust = f"--cacert {shlex.quote(home + '/ca.pem') if home else 'ca.pem'} "
    return (
        f"curl {trust}{scheme}://{host}/v1/jobs \\\n"
        f'  -H "Authorization: Bearer {token}" \\\n'
        f"""  -H "Content-Type: application/json" -d '{{"command": "{COMMAND}"}}'"""
    )
