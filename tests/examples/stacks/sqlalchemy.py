"""Models, a transaction and an error over psycopg2; without a server in $DATABASE, on SQLite alone."""

import os

import psycopg2
from sqlalchemy import ForeignKey, create_engine, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    """The tables."""


class Owner(Base):
    """Has things."""

    __tablename__ = "slimrun_owner"
    __table_args__ = {"prefixes": ["TEMPORARY"]}
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    things: Mapped[list["Thing"]] = relationship(back_populates="owner")


class Thing(Base):
    """Is had."""

    __tablename__ = "slimrun_thing"
    __table_args__ = {"prefixes": ["TEMPORARY"]}
    id: Mapped[int] = mapped_column(primary_key=True)
    price: Mapped[float]
    owner_id: Mapped[int] = mapped_column(ForeignKey("slimrun_owner.id"))
    owner: Mapped[Owner] = relationship(back_populates="things")


def exercise(connection):
    Base.metadata.create_all(connection)
    with Session(connection) as session:
        session.add(Owner(name="a", things=[Thing(price=20.5), Thing(price=21.5)]))
        session.flush()
        assert session.scalar(select(func.sum(Thing.price)).join(Owner).where(Owner.name == "a")) == 42
        try:
            with session.begin_nested():
                session.add(Owner(name="a"))
                session.flush()
        except IntegrityError as error:
            return error.orig
    return None


with create_engine("sqlite://").connect() as connection:
    assert exercise(connection) is not None
if "DATABASE" in os.environ:
    engine = create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(os.environ["DATABASE"]))
    with engine.connect() as connection:
        assert connection.scalar(text("select ssl from pg_stat_ssl where pid = pg_backend_pid()")) is True
        assert exercise(connection).pgcode == "23505"
        print("postgresql")
print("ok")
