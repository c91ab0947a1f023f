"""A board of orders that everyone sees, with notices for each user and a summary of the day."""

import asyncio
import os
import sqlite3
import time
from typing import Annotated
from uuid import UUID, uuid4

import httpx
import jwt
from fastapi import Cookie, FastAPI, Form, Response
from fastapi.staticfiles import StaticFiles

from barestream.runs import Runs

HUB, KEY = os.environ["HUB"], os.environ["BARESTREAM_TOKEN_KEY"]
TOKEN_SECONDS = int(os.environ.get("TOKEN_SECONDS", "3600"))

app = FastAPI()
# One connection, so that publishes keep the order of the changes.
hub = httpx.AsyncClient(limits=httpx.Limits(max_connections=1))
db = sqlite3.connect(os.environ.get("DATABASE", "orders.db"), isolation_level=None)
db.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item, state, user)")


def token(right: str, *topics: str) -> str:
    """Return a token of the hub with a right to topics: to publish, or to subscribe."""
    return jwt.encode({"mercure": {right: topics}, "exp": int(time.time()) + TOKEN_SECONDS}, KEY)


runs = Runs(HUB, lambda: token("publish", "*"), lambda: token("subscribe", "*"))


async def publish(**update: object) -> None:
    """Publish an update; the database has the change by then."""
    headers = {"Authorization": f"Bearer {token('publish', '*')}"}
    (await hub.post(HUB, json=update, headers=headers)).raise_for_status()


@app.post("/session")
async def renew(answer: Response, user: Annotated[UUID, Cookie(default_factory=uuid4)]) -> int:
    """Renew the user's cookie for the hub, and return when it ends; your sign-in stands here."""
    answer.set_cookie("user", str(user), httponly=True)
    cookie = token("subscribe", f"/notices/{user}", "/.well-known/mercure/runs/summary/{id}")
    answer.set_cookie("mercureAuthorization", cookie, httponly=True)
    return int(time.time()) + TOKEN_SECONDS


@app.get("/orders")
async def orders() -> list[tuple[int, str, str]]:
    """Return the id, the item and the state of each order."""
    return db.execute("SELECT id, item, state FROM orders").fetchall()


@app.post("/orders")
async def order(item: Annotated[str, Form()], user: Annotated[UUID, Cookie()]) -> None:
    """Take an order of the user."""
    sql = "INSERT INTO orders (item, state, user) VALUES (?, 'new', ?) RETURNING id, item, state"
    [row] = db.execute(sql, [item, str(user)])
    await publish(topic=f"/orders/{row[0]}", data=row)


@app.post("/orders/{number}")
async def move(number: int) -> None:
    """Move an order on, and tell the user who ordered it."""
    sql = "UPDATE orders SET state = iif(state = 'new', 'packed', 'sent') WHERE id = ? RETURNING *"
    for _, item, state, user in db.execute(sql, [number]).fetchall():
        await publish(topic=f"/orders/{number}", data=[number, item, state])
        await publish(topic=f"/notices/{user}", data=f"Your order is {state}: {item}", private=True)


async def summary():
    """Yield the words of a summary; a language model would stand here."""
    for word in " ".join(f"{item}: {state}." for _, item, state in await orders()).split():
        await asyncio.sleep(0.1)
        yield f"{word} "


@app.post("/summary")
async def summarise() -> None:
    """Start a summary, which every page shows while it is written."""
    await runs.start("summary", summary)


app.mount("/", StaticFiles(directory="page", html=True))
