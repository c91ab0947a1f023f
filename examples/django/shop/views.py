"""The page, the stock, and a purchase."""

from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from shop.hub import publish
from shop.models import Product


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Send the page. Its script gets the stock, and what changes then."""
    return render(request, "shop.html", {"products": Product.objects.all()})


@require_GET
def products(_: HttpRequest) -> JsonResponse:
    """Send the stock."""
    return JsonResponse([each.as_json() for each in Product.objects.all()], safe=False)


@require_POST
@transaction.atomic
def buy(_: HttpRequest, pk: int) -> HttpResponse:
    """Sell one, and publish what is left once the transaction has been committed."""
    in_stock = Product.objects.filter(pk=pk, left__gt=0)
    if not in_stock.update(left=F("left") - 1, version=F("version") + 1):
        return HttpResponse("It is sold out.", status=409)
    stock = Product.objects.get(pk=pk).as_json()
    # robust: a hub that is away fails no purchase. Django logs the error.
    transaction.on_commit(lambda: publish(f"/products/{pk}", stock), robust=True)
    return HttpResponse(status=204)
