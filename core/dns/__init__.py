"""DNS: c-ares on the loop, our cache, MX logic."""
