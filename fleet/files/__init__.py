"""Edge to the disk: inventory, pins and templates in, values and file:line problems out."""
