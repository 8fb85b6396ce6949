"""Web servers for `storage`: time limits, and which machines may be asked.

An address in data, or one that a server redirects to, may lead into the private network of the reader: to services of
this machine, of the local network, or of the cloud that gives out credentials. Such private addresses are connected to
only if the command line names their host.
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from pipelines.io.addresses import ANY_HOST


class PrivateAddress(OSError):
    """A connection that was refused before it was made; the same for open and closed ports."""

    def __init__(self) -> None:
        super().__init__(
            None,
            "a private address, which only the command line may name; network.allow_private=true lets lists name them",
        )


def options(hosts: frozenset[str]) -> dict[str, Any]:
    """Options of fsspec's file system of web servers.

    Args:
        hosts: Hosts that may have private addresses, because the command line names them.
    """
    from aiohttp import ClientTimeout  # here, because it takes a quarter of a second to load and few addresses need it

    # aiohttp's default limit is five minutes, even for a whole download.
    timeout = ClientTimeout(total=None, sock_connect=10, sock_read=60)
    return {"client_kwargs": {"timeout": timeout}, "get_client": _client(hosts)}


@cache  # one function for the same hosts, because fsspec keeps a file system for equal options
def _client(hosts: frozenset[str]) -> Callable[..., Awaitable[Any]]:
    async def client(**kwargs: Any) -> Any:
        from aiohttp import ClientSession, TCPConnector

        def open_socket(address: Any) -> socket.socket:
            """The socket for a connection, once its address is known: after name servers and redirects."""
            family, kind, protocol, _, place = address
            if not may_connect(place[0], hosts):
                raise PrivateAddress
            return socket.socket(family, kind, protocol)

        kwargs.pop("loop", None)
        return ClientSession(connector=TCPConnector(socket_factory=open_socket), **kwargs)

    return client


def may_connect(ip: str, hosts: frozenset[str]) -> bool:
    """Whether a connection to an IP address may be made."""
    address = ipaddress.ip_address(ip.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if (address.is_global and not address.is_multicast) or ANY_HOST in hosts:
        return True
    return any(str(address) in _addresses(host) for host in hosts)


def _addresses(host: str) -> set[str]:
    try:
        addresses = {str(place[4][0]).partition("%")[0] for place in socket.getaddrinfo(host, None)}
    except OSError:
        return set()
    return {str(getattr(ip, "ipv4_mapped", None) or ip) for ip in map(ipaddress.ip_address, addresses)}
