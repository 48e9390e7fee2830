"""Jobs: what they look like on the wire and in the database, their life cycle, tags, filters, statistics."""
