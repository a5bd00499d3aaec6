"""Addresses as they stand in answers: to this API, and to files in storage."""

from dataclasses import replace

from clipzy_api.services import services
from clipzy_storage.backends.base import Link


def absolute(path: str) -> str:
    """The address of ``path`` under PUBLIC_URL; the path alone where that is not set."""
    return (services().settings.public_url or "") + path


def link_to(key: str) -> Link:
    """Where a client finds the file, made anew for every answer."""
    link = services().storage.link(key)
    return replace(link, url=absolute(link.url)) if link.url.startswith("/") else link


def period_of(link: Link, *, life_seconds: int) -> str:
    """A word that changes with every half of a link's life, so that no cached answer holds one that is about to die.

    ``life_seconds`` is what a link gets; where credentials end sooner, the word changes when they are renewed.
    """
    if link.expires_at is None:
        return ""
    return f"-{int(link.expires_at.timestamp()) // max(1, life_seconds // 2)}"
