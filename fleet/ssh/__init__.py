"""Edge to the hosts: SSH connections, facts and the installer. The only user of paramiko."""
