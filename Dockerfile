# SnakeSeg in one file, in the versions of constraints.txt: docker build --tag snakeseg .
# For a GPU, with the CUDA that its driver knows: docker build --build-arg TORCH=cu130 --tag snakeseg .
# Built once, it needs no network: docs/how-to/cluster.md. apptainer.def makes the same for clusters.
FROM python:3.11-slim-trixie
# The builds of torch: cpu, or cu130 and its like.
ARG TORCH=cpu
WORKDIR /opt/snakeseg
COPY . .
# What torch itself depends on comes with the rest.
RUN pip install --no-cache-dir --no-deps --constraint constraints.txt --index-url "https://download.pytorch.org/whl/${TORCH}" torch \
    && pip install --no-cache-dir --constraint constraints.txt --editable '.[slurm,cluster-generic,parquet]' \
    && python -m compileall -q src
# Any user may run it (--user), so what goes to a home goes where any may write.
ENV HOME=/tmp
USER 1000:1000
WORKDIR /data
ENTRYPOINT ["snakemake", "--snakefile", "/opt/snakeseg/Snakefile"]
