"""Values to people: console, plain lines and JSON. Decides and fetches nothing."""
