"""Our own API of projects, members, users, tokens and browser sessions."""

from tilth.domains.identity.api import people, sessions

routes = [*people.routes, *sessions.routes]

__all__ = ["routes"]
