"""Where notes are kept."""

import sqlite3
from contextlib import closing


class Store:
    """Notes in a file; a connection for each call, so that any thread may call."""

    def __init__(self, path):
        self._path = path
        with closing(self._open()) as connection, connection:
            connection.execute("create table if not exists note (id integer primary key, text text not null)")

    def add(self, text):
        """Keep a note; answers with its number."""
        with closing(self._open()) as connection, connection:
            return connection.execute("insert into note (text) values (?)", (text,)).lastrowid

    def all(self):
        """Every note, the oldest first."""
        with closing(self._open()) as connection:
            return [
                {"id": row[0], "text": row[1]} for row in connection.execute("select id, text from note order by id")
            ]

    def _open(self):
        return sqlite3.connect(self._path)
