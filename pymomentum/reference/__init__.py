"""The manual: pages of options, and a check of configuration examples that others wrote."""
