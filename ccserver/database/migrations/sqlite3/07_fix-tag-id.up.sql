-- Nothing to do on SQLite: tag ids count up by themselves.
SELECT 1;
