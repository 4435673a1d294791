"""Edge: messages to people, over SMTP and HTTP; SNS arrives as a callable."""
