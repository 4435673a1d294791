"""Edge to the database: runs, audit and observations. The only user of SQLAlchemy."""
