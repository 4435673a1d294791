"""The conductor: observe, decide, perform, record. It prints nothing; observers listen."""
