"""Migrations of an application on SQLite, and a query through them."""

import sys

sys.path.insert(0, "/app")
import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/tmp/db.sqlite3"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "shop"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    TIME_ZONE="Europe/Paris",
)
django.setup()
from django.core.management import call_command  # noqa: E402
from shop.models import Order  # noqa: E402

call_command("check")
call_command("makemigrations", "--check", "--dry-run")
call_command("migrate", verbosity=1)
Order.objects.create(name="a", count=20)
Order.objects.create(name="b", count=22)
total = Order.objects.filter(count__gt=10).aggregate(total=django.db.models.Sum("count"))["total"]
assert total == 42
assert Order.objects.get(name="a").made.tzinfo is not None
print("ok")
