"""Outgoing mail: durable once handed in, sent when the relay takes it, never in anybody's way."""

import asyncio
import smtplib
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate
from functools import partial

import msgspec
import structlog

from gristmill.domain.clock import Chance
from gristmill.domain.errors import UnavailableError
from gristmill.services.waiting import PAUSE_AFTER_FAILURE, pause, wait_for
from gristmill.store import mail as store
from gristmill.store.database import Database, Transaction
from gristmill.store.mail import Letter

FIRST_PAUSE, LONGEST_PAUSE = 10.0, 3_600.0
"""Seconds before a mail is tried again, doubled at each try up to the second."""

KEPT_FOR = 3 * 86_400.0
"""Seconds after which a mail that nobody takes is given up."""

MOST_A_ROUND = 50
RELAY_TIMEOUT = 20.0
LONGEST_SUBJECT = 200

log = structlog.get_logger()


class PostOffice(msgspec.Struct, frozen=True, kw_only=True):
    """The relay that takes mail, and the address it comes from."""

    host: str
    port: int
    sender: str


class Mailer:
    """The outbox. post: None sends nothing and keeps nothing. admin: an address, or ''."""

    def __init__(
        self, database: Database, chance: Chance, post: PostOffice | None, admin: str
    ) -> None:
        self._database, self._chance = database, chance
        self._post, self._admin = post, admin
        self._handed_in = asyncio.Event()

    def enqueue(self, tx: Transaction, recipients: Sequence[str], subject: str, body: str) -> None:
        """Have a mail sent once the transaction is durable."""
        if not recipients:
            return
        if self._post is None:
            log.info("mail.no_relay", subject=subject, recipients=len(recipients))
            return
        clean = "".join(letter if letter.isprintable() else " " for letter in subject)
        store.insert_mail(tx, recipients, clean[:LONGEST_SUBJECT], body, self._chance.now())
        tx.after_commit(self._handed_in.set)

    def tell_admins(self, tx: Transaction, subject: str, body: str) -> None:
        """Have the administrator told, if there is one to tell."""
        self.enqueue(tx, [self._admin] if self._admin else [], subject, body)

    async def run(self) -> None:
        """Send what is due until cancelled; sleeps while nothing is."""
        while True:
            self._handed_in.clear()
            try:
                due = None if self._post is None else await self._round(self._post)
            except UnavailableError:
                await pause(PAUSE_AFTER_FAILURE)
                continue
            wait = None if due is None else max(0.0, due - self._chance.now())
            await wait_for(self._handed_in, wait)

    async def _round(self, post: PostOffice) -> float | None:
        """Send some; return when the next mail is due."""
        now = self._chance.now()
        letters = await self._database.read(lambda tx: store.due_mail(tx, now, MOST_A_ROUND))
        if letters:
            refused = await _aside(partial(self._send_all, post, letters))
            await self._database.write(lambda tx: self._settle(tx, letters, refused))
        return await self._database.read(store.next_mail)

    def _send_all(self, post: PostOffice, letters: Sequence[Letter]) -> dict[int, str]:
        """Return why letters were not taken, by id."""
        refused: dict[int, str] = {}
        try:
            relay = smtplib.SMTP(post.host, post.port, timeout=RELAY_TIMEOUT)
        except (OSError, smtplib.SMTPException) as error:
            log.warning("mail.relay_unreachable", error=str(error), waiting=len(letters))
            return dict.fromkeys((letter.id for letter in letters), str(error))
        try:
            for letter in letters:
                try:
                    relay.send_message(self._message(post, letter))
                except (OSError, smtplib.SMTPException, ValueError) as error:
                    refused[letter.id] = str(error)
                    with suppress(OSError, smtplib.SMTPException):
                        relay.rset()
        finally:
            with suppress(OSError, smtplib.SMTPException):
                relay.quit()
        return refused

    def _message(self, post: PostOffice, letter: Letter) -> EmailMessage:
        message = EmailMessage()
        message["From"] = post.sender
        message["To"] = letter.recipients.replace(",", ", ")
        message["Subject"] = letter.subject
        message["Date"] = formatdate(letter.created_at)
        # A letter that was sent just before a crash is sent again: its id tells that it is one.
        message["Message-ID"] = f"<{letter.id}.{letter.created_at:.6f}.{post.sender}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.body)
        return message

    def _settle(self, tx: Transaction, letters: Sequence[Letter], refused: dict[int, str]) -> None:
        now = self._chance.now()
        later: list[tuple[float, int]] = []
        done: list[int] = []
        for letter in letters:
            why = refused.get(letter.id)
            if why is None:
                done.append(letter.id)
            elif now - letter.created_at > KEPT_FOR:
                log.error("mail.given_up", subject=letter.subject, error=why)
                done.append(letter.id)
            else:
                log.warning("mail.not_taken", subject=letter.subject, error=why)
                later.append((now + _pause(letter.tries), letter.id))
        store.delete_mail(tx, done)
        store.postpone_mail(tx, later)


async def _aside(work: Callable[[], dict[int, str]]) -> dict[int, str]:
    """Do work in a thread of its own, which nobody waits for when the server stops.

    A thread of the event loop's pool would be waited for, and a relay may keep one for long.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[dict[int, str]] = loop.create_future()

    def tell(result: dict[int, str] | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result or {})

    def act() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as met:
            error = met
        # The loop is closed when the server has stopped in the meantime.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=act, name="mail", daemon=True).start()
    return await done


def _pause(tries: int) -> float:
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries, 20))
