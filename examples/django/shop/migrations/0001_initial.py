"""The table of products, and some of them."""

from django.db import migrations, models

PRODUCTS = {"Tea": 12, "Coffee": 7, "Bread": 3}


def add_products(apps, _) -> None:
    """Fill the shop."""
    model = apps.get_model("shop", "Product")
    model.objects.bulk_create(model(name=name, left=left) for name, left in PRODUCTS.items())


class Migration(migrations.Migration):
    """The first one."""

    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            "Product",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.CharField(max_length=50)),
                ("left", models.PositiveIntegerField()),
                ("version", models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.RunPython(add_products, migrations.RunPython.noop),
    )
