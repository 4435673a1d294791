"""The simulated shop hosts: root folders, SSH servers and the programs on them."""
