"""Symmetric and public keys, a certificate, and what only OpenSSL's legacy provider has."""

import datetime

from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

box = Fernet(Fernet.generate_key())
assert box.decrypt(box.encrypt(b"text")) == b"text"
key = AESGCM.generate_key(256)
assert AESGCM(key).decrypt(b"n" * 12, AESGCM(key).encrypt(b"n" * 12, b"text", b"more"), b"more") == b"text"
pair = rsa.generate_private_key(65537, 2048)
scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
pair.public_key().verify(pair.sign(b"text", scheme, hashes.SHA256()), b"text", scheme, hashes.SHA256())
signer = ed25519.Ed25519PrivateKey.generate()
signer.public_key().verify(signer.sign(b"text"), b"text")
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "slim")])
now = datetime.datetime.now(datetime.UTC)
curve = ec.generate_private_key(ec.SECP256R1())
made = x509.CertificateBuilder(name, name, curve.public_key(), 7, now, now + datetime.timedelta(days=1))
certificate = made.sign(curve, hashes.SHA256())
again = x509.load_pem_x509_certificate(certificate.public_bytes(serialization.Encoding.PEM))
again.verify_directly_issued_by(again)
stream = Cipher(ARC4(b"k" * 16), None).encryptor()
assert len(stream.update(b"text")) == 4
print("ok")
