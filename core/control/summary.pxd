# What the command summary shows: one table, read by the console's thread and by Python.
from libc.stdint cimport uint32_t

from pymomentum.core.base.buf cimport buf_t

cdef enum summary_form_t:
    SUMMARY_TEXT
    SUMMARY_JSON
    SUMMARY_XML
    SUMMARY_FORMS

cdef enum:
    SUMMARY_ROWS = 64           # at most

cdef struct summary_t:
    double value[SUMMARY_ROWS]  # by row
    bint hidden[SUMMARY_ROWS]   # not in the text: nothing has raised it yet
    uint32_t segments           # of the spool, to be read at start
    uint32_t segments_read

cdef void summary_take(summary_t *s) noexcept nogil                             # as things are now; any thread
cdef void summary_write(const summary_t *s, int form, buf_t *out) noexcept nogil
