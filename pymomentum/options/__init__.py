"""Every core option, declared once, by topic; `registry` answers questions about them."""
