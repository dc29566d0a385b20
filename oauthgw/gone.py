"""Clients and users that are gone, however they went: one by one, in bulk, or from a shell.

What they were given is ended in words first, so that the journal tells of it; every process is told last. Runs in the deleting transaction.
"""

from typing import Any

from django.contrib.auth.models import User
from django.db.models.signals import post_delete, pre_delete
from django.dispatch import receiver

from oauthgw.ending import end_grants
from oauthgw.journal.changes import Topic, publish
from oauthgw.models import Client


@receiver(pre_delete, sender=Client, dispatch_uid="oauthgw.gone.clients_grants")
def end_clients_grants(sender: type[Client], instance: Client, **kwargs: Any) -> None:
    end_grants("The client was removed.", client_id=instance.pk)


@receiver(pre_delete, sender=User, dispatch_uid="oauthgw.gone.users_grants")
def end_users_grants(sender: type[User], instance: User, **kwargs: Any) -> None:
    end_grants("The user was removed.", user_id=instance.pk)


@receiver(post_delete, sender=Client, dispatch_uid="oauthgw.gone.client")
def tell_of_client(sender: type[Client], instance: Client, **kwargs: Any) -> None:
    publish(Topic.CLIENT, instance.pk)


@receiver(post_delete, sender=User, dispatch_uid="oauthgw.gone.user")
def tell_of_user(sender: type[User], instance: User, **kwargs: Any) -> None:
    publish(Topic.USER, instance.pk)
