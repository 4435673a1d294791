"""Pure decisions about registering a host: classify, check, plan, verify."""
