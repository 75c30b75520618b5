"""Networks of the papers; `registry` lists them."""
