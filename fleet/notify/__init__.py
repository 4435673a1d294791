"""Edge to people: hands messages over to mail servers and webhooks; holds no secret longer."""
