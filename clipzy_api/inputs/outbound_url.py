"""Validates a URL that this service is to open for a client."""

from clipzy_api.problems import ApiError
from clipzy_api.services import services
from clipzy_storage.errors import UrlRefused
from clipzy_storage.outbound.addresses import AddressPolicy
from clipzy_storage.outbound.target_url import TargetUrl


def checked_url(value: str) -> TargetUrl:
    """Its parts; names are not looked up. Raises ``ApiError`` 422."""
    try:
        url = TargetUrl.parse(value)
        AddressPolicy(services().settings.allow_private_addresses).check_literal(url.host)
    except UrlRefused as error:
        raise ApiError("URL_REFUSED", detail=f"The URL is refused: {error}.") from None
    return url
