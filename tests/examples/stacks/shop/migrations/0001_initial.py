"""Make the table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """All of the first version."""

    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=40)),
                ("made", models.DateTimeField(auto_now_add=True)),
            ],
        ),
    ]
