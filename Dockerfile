# The app in a container: see docs/deploy.md.
FROM python:3.12-slim-bookworm

WORKDIR /app
COPY requirements.txt ./
# The extra index has the CPU builds; PyPI's torch for Linux brings gigabytes of CUDA.
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -r requirements.txt

COPY app.py ./
COPY cbir ./cbir
COPY samples/bundle ./samples/bundle
COPY samples/examples ./samples/examples

# Spaces run containers as user 1000. The code stays root's; a volume mounted on the cache becomes the user's.
RUN useradd --create-home --uid 1000 user && install --directory --owner=user --group=user /home/user/.cache
USER 1000
ENV HOME=/home/user \
    PYTHONUNBUFFERED=1 \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860
# A Space downloads its bundle here.
EXPOSE 7860

# `http.client` rather than `urllib`: no proxy of the environment comes between.
HEALTHCHECK --interval=30s --timeout=10s --start-period=90s \
    CMD ["python", "-c", "import http.client, os; app = http.client.HTTPConnection('127.0.0.1:' + os.environ['GRADIO_SERVER_PORT'], timeout=8); app.request('GET', '/health'); exit(app.getresponse().status != 200)"]
# As process 1, Python does not hear SIGTERM; SIGINT it does, and closes the app.
STOPSIGNAL SIGINT
CMD ["python", "app.py"]
