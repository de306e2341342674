"""Words without mail in them: status, slice, arena, buffer, list, heap, wheel, hash, ring."""
