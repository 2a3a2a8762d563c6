"""An S3 server that ends with its standard input. Prints its port once the bucket `tilth-blobs` is there."""

import sys

import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
port = server.get_host_and_port()[1]
boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1").create_bucket(Bucket="tilth-blobs")
sys.stdout.write(f"{port}\n")
sys.stdout.flush()
sys.stdin.read()
server.stop()
