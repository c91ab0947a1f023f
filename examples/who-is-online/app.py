"""Who is in a room. The app says who the users are; the hub knows which of them are there."""

import os
import time
from typing import Annotated
from urllib.parse import quote

import jwt
from fastapi import Cookie, FastAPI, Form, Response
from fastapi.staticfiles import StaticFiles

KEY = os.environ["BARESTREAM_TOKEN_KEY"]
TOKEN_SECONDS = 3600

ROOM = "/rooms/lobby"
# To read what is said in the room, and to read who is there.
RIGHTS = [ROOM, f"/.well-known/mercure/presence/{quote(ROOM, safe='')}"]

app = FastAPI()


@app.post("/login")
async def log_in(answer: Response, name: Annotated[str, Form(pattern="^[A-Za-z]{1,20}$")]) -> None:
    """Take anybody by a name; your sign-in stands here."""
    answer.set_cookie("user", name, httponly=True)


@app.post("/session")
async def renew(answer: Response, user: Annotated[str, Cookie()] = "") -> dict[str, str | int]:
    """Renew the user's cookie for the hub; return who it is, and when the cookie ends."""
    ends = int(time.time()) + TOKEN_SECONDS
    if user:
        # The others see sub and the payload.
        rights = {"subscribe": RIGHTS, "payload": {"name": user}}
        token = jwt.encode({"sub": user.lower(), "mercure": rights, "exp": ends}, KEY)
        answer.set_cookie("mercureAuthorization", token, httponly=True)
    return {"user": user, "ends": ends}


@app.post("/logout")
async def log_out(answer: Response) -> None:
    """Forget the user."""
    answer.delete_cookie("user")
    answer.delete_cookie("mercureAuthorization")


app.mount("/", StaticFiles(directory="page", html=True))
