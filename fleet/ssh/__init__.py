"""The SSH edge: verified connections to hosts, one exec for facts and one for the install."""
