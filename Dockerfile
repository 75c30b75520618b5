# Image of SnakeSeg with the packages of the lock files, checked by SHA-256: docker build --tag snakeseg .
# PyPI's torch runs on CPUs and GPUs. For another build (CPU only, older CUDA), give the index of its wheels; they are
# not checked by SHA-256: docker build --build-arg TORCH_INDEX=URL --tag snakeseg .
# The image runs without a network: docs/how-to/cluster.md. apptainer.def builds the same image for clusters.
FROM python:3.11-slim-trixie@sha256:9534e5a8e315485d4061ed659af0fd78a284c015f9b73661b41d6bab25604534
ARG TORCH_INDEX
WORKDIR /opt/snakeseg
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation --require-hashes --requirement requirements.lock \
    && if [ -z "$TORCH_INDEX" ]; then pip install --no-cache-dir --no-deps --require-hashes --requirement torch.lock; \
       else pip install --no-cache-dir --constraint constraints.txt --index-url "$TORCH_INDEX" torch; fi \
    && pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && python -m compileall -q src
# Any user may run the image (--user), so the home must be a folder where every user may write.
ENV HOME=/tmp
USER 1000:1000
WORKDIR /data
ENTRYPOINT ["snakemake", "--snakefile", "/opt/snakeseg/Snakefile"]
