"""OpenBLAS computes, and pandas reads, groups and knows zones."""

import hashlib
import importlib.metadata
import io
from base64 import urlsafe_b64encode

import numpy
import pandas

random = numpy.random.default_rng(7)
a, b = random.normal(size=(300, 300)), random.normal(size=300)
assert numpy.allclose(a @ numpy.linalg.solve(a, b), b)
u, s, v = numpy.linalg.svd(a)
assert numpy.allclose(u @ numpy.diag(s) @ v, a)
assert numpy.allclose(numpy.fft.ifft(numpy.fft.fft(b)).real, b)
text = "when,what,count\n2025-03-30T00:30Z,a,1\n2025-03-30T01:30Z,b,2\n2025-03-30T02:30Z,a,3\n"
table = pandas.read_csv(io.StringIO(text), parse_dates=["when"])
assert table.groupby("what")["count"].sum().to_dict() == {"a": 4, "b": 2}
local = table["when"].dt.tz_convert("Europe/Paris")
assert [when.hour for when in local] == [1, 3, 4], "the hour that spring takes"
assert pandas.read_json(io.StringIO(table.to_json())).shape == (3, 3)
# The records of distributions know of the symbols that were cut.
for file in importlib.metadata.files("numpy"):
    if file.hash is not None:
        data = file.read_binary()
        assert urlsafe_b64encode(hashlib.new(file.hash.mode, data).digest()).rstrip(b"=").decode() == file.hash.value, (
            file
        )
        assert file.size == len(data), file
assert importlib.metadata.version("pandas") == pandas.__version__
print("ok")
