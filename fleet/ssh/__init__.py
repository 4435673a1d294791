"""The edge towards hosts: one verified SSH connection, one exec for facts, one for the install."""
