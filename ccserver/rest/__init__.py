"""HTTP: programming interfaces, pages, static files; put together in `application`."""
