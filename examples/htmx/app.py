"""Questions of an audience, with votes. Each change is pushed as HTML of the server."""

import os
import sqlite3
import time
from typing import Annotated

import httpx
import jwt
from fastapi import FastAPI, Form, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates

HUB, KEY = os.environ["HUB"], os.environ["BARESTREAM_TOKEN_KEY"]

# A token is made for each publish, so it need not be valid for long.
TOKEN_SECONDS = 60

app = FastAPI()
templates = Jinja2Templates("templates")
# One connection, so that publishes keep the order of the changes.
hub = httpx.AsyncClient(limits=httpx.Limits(max_connections=1))
db = sqlite3.connect(os.environ.get("DATABASE", "questions.db"), isolation_level=None)
db.execute("CREATE TABLE IF NOT EXISTS questions (id INTEGER PRIMARY KEY, text, votes DEFAULT 0)")


def rendered() -> str:
    """Return the list of questions as HTML, those with most votes first."""
    rows = db.execute("SELECT id, text, votes FROM questions ORDER BY votes DESC, id").fetchall()
    return templates.get_template("questions.html").render(questions=rows)


async def publish() -> None:
    """Push the list to all pages."""
    claims = {"mercure": {"publish": ["/questions"]}, "exp": int(time.time()) + TOKEN_SECONDS}
    headers = {"Authorization": f"Bearer {jwt.encode(claims, KEY)}"}
    form = {"topic": "/questions", "data": rendered()}
    (await hub.post(HUB, data=form, headers=headers)).raise_for_status()


@app.get("/")
async def page(request: Request) -> HTMLResponse:
    """Send the page. Its script gets the questions, and what changes then."""
    return templates.TemplateResponse(request, "page.html")


@app.get("/questions")
async def questions() -> HTMLResponse:
    """Send the list alone."""
    return HTMLResponse(rendered())


@app.post("/questions", status_code=204, response_class=Response)
async def ask(text: Annotated[str, Form(min_length=1, max_length=300)]) -> None:
    """Take a question. The answer is empty: every page gets the list from the hub, this one too."""
    db.execute("INSERT INTO questions (text) VALUES (?)", [text])
    await publish()


@app.post("/questions/{number}/votes", status_code=204, response_class=Response)
async def vote(number: int) -> None:
    """Count a vote."""
    db.execute("UPDATE questions SET votes = votes + 1 WHERE id = ?", [number])
    await publish()


app.mount("/htmx", StaticFiles(directory="node_modules/htmx.org/dist"))
app.mount("/page", StaticFiles(directory="page"))
