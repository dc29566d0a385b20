"""Clients and users that are gone, told to every process, however they went: one by one, in bulk, or from a shell.

Knows rows and the change log. Runs in the deleting transaction, after the row itself and all that hung on it.
"""

from typing import Any

from django.contrib.auth.models import User
from django.db.models.signals import post_delete
from django.dispatch import receiver

from oauthgw.journal.changes import Topic, publish
from oauthgw.models import Client


@receiver(post_delete, sender=Client, dispatch_uid="oauthgw.gone.client")
def tell_of_client(sender: type[Client], instance: Client, **kwargs: Any) -> None:
    publish(Topic.CLIENT, instance.pk)


@receiver(post_delete, sender=User, dispatch_uid="oauthgw.gone.user")
def tell_of_user(sender: type[User], instance: User, **kwargs: Any) -> None:
    publish(Topic.USER, instance.pk)
