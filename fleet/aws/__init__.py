"""Edge to AWS: sessions, throttling, reads and writes. The only user of boto3 and botocore."""
