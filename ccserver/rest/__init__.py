"""HTTP: programming interfaces, pages, static files."""

from ccserver.rest.application import create_application

__all__ = ["create_application"]
