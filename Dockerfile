# SnakeSeg in one file, in the versions of constraints.txt: docker build --tag snakeseg .
# PyPI's torch runs on CPUs and GPUs. Another build of it, for CPUs alone or an older CUDA, is taken from the index of its
# wheels: docker build --build-arg TORCH_INDEX=URL --tag snakeseg .
# Built once, it needs no network: docs/how-to/cluster.md. apptainer.def makes the same for clusters.
FROM python:3.11-slim-trixie
ARG TORCH_INDEX
WORKDIR /opt/snakeseg
COPY . .
# What torch itself depends on comes with the rest.
RUN pip install --no-cache-dir --no-deps --constraint constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch \
    && pip install --no-cache-dir --constraint constraints.txt --editable '.[slurm,cluster-generic,parquet]' \
    && python -m compileall -q src
# Any user may run it (--user), so what goes to a home goes where any may write.
ENV HOME=/tmp
USER 1000:1000
WORKDIR /data
ENTRYPOINT ["snakemake", "--snakefile", "/opt/snakeseg/Snakefile"]
