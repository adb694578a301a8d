"""The processes of RUN: their containers, and what is mounted into them."""
