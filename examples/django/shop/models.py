"""What the shop sells."""

from django.db import models


class Product(models.Model):
    """A product and its stock.

    Attributes:
        left: How many there are.
        version: Counts the changes, so that a page can tell an older one from a newer one.
    """

    name = models.CharField(max_length=50)
    left = models.PositiveIntegerField()
    version = models.PositiveIntegerField(default=0)

    def as_json(self) -> dict[str, object]:
        """Return what pages show."""
        return {"id": self.pk, "left": self.left, "version": self.version}
