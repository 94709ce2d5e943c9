"""What the servers of a measurement listen on."""

STREAM_PORT, LOAD_PORT = 5201, 7000
