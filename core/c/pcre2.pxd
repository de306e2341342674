# PCRE2, 8 bits a character.
from libc.stdint cimport uint32_t

cdef extern from *:
    """
    #ifndef PCRE2_CODE_UNIT_WIDTH
    #define PCRE2_CODE_UNIT_WIDTH 8
    #endif
    #include <pcre2.h>
    """
    ctypedef struct pcre2_code:
        pass
    ctypedef struct pcre2_match_data:
        pass
    ctypedef struct pcre2_match_context:
        pass
    enum:
        PCRE2_JIT_COMPLETE
        PCRE2_NEVER_BACKSLASH_C
    pcre2_code *pcre2_compile(const unsigned char*, size_t, uint32_t, int*, size_t*, void*) noexcept nogil
    void pcre2_code_free(pcre2_code*) noexcept nogil
    int pcre2_jit_compile(pcre2_code*, uint32_t) noexcept nogil
    pcre2_match_data *pcre2_match_data_create(uint32_t, void*) noexcept nogil
    void pcre2_match_data_free(pcre2_match_data*) noexcept nogil
    pcre2_match_context *pcre2_match_context_create(void*) noexcept nogil
    int pcre2_set_match_limit(pcre2_match_context*, uint32_t) noexcept nogil
    int pcre2_match(const pcre2_code*, const unsigned char*, size_t, size_t, uint32_t, pcre2_match_data*, pcre2_match_context*) noexcept nogil
    int pcre2_get_error_message(int, unsigned char*, size_t) noexcept nogil
