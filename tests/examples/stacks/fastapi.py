"""A service on uvicorn with its C parts, asked over HTTP."""

import json
import threading
import time
import urllib.error
import urllib.request

import httptools  # noqa: F401
import uvicorn
import uvloop  # noqa: F401
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    """What is posted."""

    name: str
    price: float


@app.get("/items/{number}")
async def read(number: int):
    return {"number": number}


@app.post("/items")
def write(item: Item):
    return {"twice": item.price * 2, "name": item.name}


server = uvicorn.Server(
    uvicorn.Config(app, host="127.0.0.1", port=8000, loop="uvloop", http="httptools", log_level="warning")
)
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    assert thread.is_alive()
    time.sleep(0.05)


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:8000{path}", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


assert ask("/items/42") == (200, {"number": 42})
assert ask("/items", {"name": "a", "price": 1.5}) == (200, {"twice": 3.0, "name": "a"})
assert ask("/items/x")[0] == 422
assert "/items/{number}" in ask("/openapi.json")[1]["paths"]
server.should_exit = True
thread.join()
print("ok")
