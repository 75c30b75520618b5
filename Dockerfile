# SnakeSeg in one file, of the very files that the locks name by their SHA-256: docker build --tag snakeseg .
# PyPI's torch runs on CPUs and GPUs. Another build of it, for CPUs alone or an older CUDA, is taken from the index of its
# wheels, without a SHA-256: docker build --build-arg TORCH_INDEX=URL --tag snakeseg .
# Built once, it needs no network: docs/how-to/cluster.md. apptainer.def makes the same for clusters.
FROM python:3.11-slim-trixie@sha256:9534e5a8e315485d4061ed659af0fd78a284c015f9b73661b41d6bab25604534
ARG TORCH_INDEX
WORKDIR /opt/snakeseg
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation --require-hashes --requirement requirements.lock \
    && if [ -z "$TORCH_INDEX" ]; then pip install --no-cache-dir --no-deps --require-hashes --requirement torch.lock; \
       else pip install --no-cache-dir --constraint constraints.txt --index-url "$TORCH_INDEX" torch; fi \
    && pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && python -m compileall -q src
# Any user may run it (--user), so what goes to a home goes where any may write.
ENV HOME=/tmp
USER 1000:1000
WORKDIR /data
ENTRYPOINT ["snakemake", "--snakefile", "/opt/snakeseg/Snakefile"]
