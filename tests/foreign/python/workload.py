"""A program as users of the PyPI package "spiffe" write them, against Lintel's Workload API.

    workload.py -target HOST:PORT -peer ID -partner-target HOST:PORT -partner ID

SPIFFE_ENDPOINT_SOCKET names the API. Prints "ok CHECK" for each check; after "watching" it waits
for another SVID. Exit status: 0 all is well, 1 something is not.
"""
import argparse
import os
import queue
import socket
import ssl
import sys
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from spiffe import JwtSvid, TrustDomain, WorkloadApiClient

OWN_ID = "spiffe://building-1.smart.local/reports"
OWN_DOMAIN = TrustDomain("building-1.smart.local")
PARTNER = TrustDomain("partner.example")
PATIENCE = 60
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"


def check(condition, what):
    if not condition:
        sys.exit(f"{what} is not as it must be")


def dial(address, context, bundle, peer):
    """Succeeds when both sides believe each other: the server sends its settings only then."""
    svid = context.default_svid
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.set_alpn_protocols(["h2"])
    roots = "".join(one.public_bytes(Encoding.PEM).decode() for one in bundle.x509_authorities)
    tls.load_verify_locations(cadata=roots)
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = os.path.join(folder, "svid.pem"), os.path.join(folder, "svid.key")
        svid.save(certs_chain_path=certificate, private_key_path=key, encoding=Encoding.PEM)
        tls.load_cert_chain(certificate, key)
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as raw, tls.wrap_socket(raw) as connection:
        leaf = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        check(names.get_values_for_type(x509.UniformResourceIdentifier) == [peer], "the name of the peer")
        connection.sendall(PREFACE)
        check(len(connection.recv(9)) > 0, "the answer of the peer")


def main():
    parser = argparse.ArgumentParser()
    for name in ("-target", "-peer", "-partner-target", "-partner"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()

    with WorkloadApiClient(default_timeout=PATIENCE) as client:
        context = client.fetch_x509_context()
        check(len(context.x509_svids) == 1 and str(context.default_svid.spiffe_id) == OWN_ID, "the X.509-SVID")
        print("ok x509-svid", flush=True)

        bundles = client.fetch_x509_bundles()
        keys = client.fetch_jwt_bundles()
        for domain in (OWN_DOMAIN, PARTNER):
            check(len(bundles.get_bundle_for_trust_domain(domain).x509_authorities) == 1, f"the bundle of {domain}")
            check(len(keys.get_bundle_for_trust_domain(domain).jwt_authorities) == 1, f"the JWT keys of {domain}")
        check(len(bundles.bundles) == 2 and len(keys.bundles) == 2, "the number of bundles")
        print("ok bundles", flush=True)

        token = client.fetch_jwt_svid({"a", "b"}).token
        own = keys.get_bundle_for_trust_domain(OWN_DOMAIN)
        check(str(JwtSvid.parse_and_validate(token, own, {"a"}).spiffe_id) == OWN_ID, "the JWT-SVID")
        check(str(client.validate_jwt_svid(token, "b").spiffe_id) == OWN_ID, "the JWT-SVID that was validated")
        try:
            client.validate_jwt_svid(token, "c")
        except Exception:  # whatever this library calls a refusal
            pass
        else:
            check(False, "the audience of the JWT-SVID")
        print("ok jwt-svid", flush=True)

        dial(options.target, context, context.x509_bundle_set.get_bundle_for_trust_domain(OWN_DOMAIN), options.peer)
        print("ok tls", flush=True)
        dial(options.partner_target, context, context.x509_bundle_set.get_bundle_for_trust_domain(PARTNER), options.partner)
        print("ok federated-tls", flush=True)

        updates = queue.Queue()
        watch = client.stream_x509_contexts(updates.put, updates.put)
        first = None
        while True:
            update = updates.get(timeout=3 * PATIENCE)
            if isinstance(update, Exception):
                raise update
            leaf = update.default_svid.leaf
            if first is None:
                first = leaf
                print("watching", flush=True)
            elif leaf != first:
                print("ok rotation", flush=True)
                break
        watch.cancel()


main()
