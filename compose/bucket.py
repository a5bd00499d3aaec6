"""Creates the bucket S3_BUCKET_NAME unless it exists, on the server that boto3's settings name."""

import os

import boto3


def main() -> None:
    client = boto3.client("s3")
    bucket = os.environ["S3_BUCKET_NAME"]
    if bucket not in [found["Name"] for found in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=bucket)


if __name__ == "__main__":
    main()
