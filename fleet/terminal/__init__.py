"""What all screens share: tables, times, streams."""
