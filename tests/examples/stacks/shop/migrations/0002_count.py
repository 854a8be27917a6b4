"""Count what is ordered, and let each name be one."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """The second version."""

    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddField("order", "count", models.PositiveIntegerField(default=1)),
        migrations.AlterField("order", "name", models.CharField(max_length=40, unique=True)),
    ]
