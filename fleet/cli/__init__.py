"""The commands, one module each: options in, one request down to a package, an exit code back.

``main`` has the table of commands, ``options`` the options that several share, and ``output`` how a
result, talk and a question reach the terminal.
"""
