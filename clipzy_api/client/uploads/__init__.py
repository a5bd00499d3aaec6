"""How a file gets to the front end: in one form, resumable by tus, or in parts directly to the S3 service."""
