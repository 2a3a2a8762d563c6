"""Messages to the outside."""

from tilth.backends.notify.webhook import AddressRefused, Answer, NotDelivered, Receivers

__all__ = ["AddressRefused", "Answer", "NotDelivered", "Receivers"]
