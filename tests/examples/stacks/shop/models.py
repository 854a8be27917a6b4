"""What is sold."""

from django.db import models


class Order(models.Model):
    """A name and how many of it."""

    name = models.CharField(max_length=40, unique=True)
    count = models.PositiveIntegerField(default=1)
    made = models.DateTimeField(auto_now_add=True)
