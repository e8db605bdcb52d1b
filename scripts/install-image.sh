#!/bin/sh
# Install the product with one extra into a fresh environment, at the versions of the lock.
# The Dockerfile runs this; so does `make image-steps`, where there is no Docker.
#   install-image.sh EXTRA ENVIRONMENT
set -eu
extra=$1
environment=$2
python3 -m venv "$environment"
sed -E '/^ *--hash/d; s/ *\\$//' requirements.lock >"$environment/constraints.txt"
"$environment/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check \
    --constraint "$environment/constraints.txt" ".[$extra]"
# The wheel is the library; the image's own environment also gets the shells (docs/adr/0010).
cp -R api flows "$("$environment/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
