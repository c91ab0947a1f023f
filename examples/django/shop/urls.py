"""The addresses."""

from django.urls import path

from shop import views

urlpatterns = [
    path("", views.page),
    path("products", views.products),
    path("products/<int:pk>/buy", views.buy),
]
