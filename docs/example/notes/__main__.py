"""`python -m notes` serves; `python -m notes --check` tries itself out and says how it went."""

import os
import sys

from waitress import serve

from notes.app import make_app


def check(app):
    """Keep two notes through the service's own answers, and count them."""
    client = app.test_client()
    for text in ("bread", "a longer one"):
        assert client.post("/notes", data=text).status_code == 201
    print(len(client.get("/notes").get_json()), "notes kept")


if __name__ == "__main__":
    application = make_app(os.environ["NOTES_DB"])
    if "--check" in sys.argv:
        check(application)
    else:
        serve(application, host="0.0.0.0", port=int(os.environ["PORT"]))
