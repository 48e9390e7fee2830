"""Documents that every part of the server speaks about: users, jobs, metric data. Depends on nothing."""
