"""The AWS edge: reads from AWS and changes things there; the home of boto3."""
