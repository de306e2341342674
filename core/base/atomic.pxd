# C11 atomics under short names.  _acq, _rel: acquire load, release store.
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #define atomic_add64(p, v) __atomic_add_fetch((p), (v), __ATOMIC_ACQ_REL)
    #define atomic_add32(p, v) __atomic_add_fetch((p), (v), __ATOMIC_ACQ_REL)
    #define atomic_load64(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define atomic_load32(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define atomic_store64(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    #define atomic_store32(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    #define atomic_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
    #define atomic_loadp(p) __atomic_load_n((void **)(p), __ATOMIC_ACQUIRE)
    #define atomic_storep(p, v) __atomic_store_n((void **)(p), (void *)(v), __ATOMIC_RELEASE)
    #define atomic_swapp(p, v) __atomic_exchange_n((void **)(p), (void *)(v), __ATOMIC_ACQ_REL)
    static inline int atomic_casp(void *p, void *old, void *new_) {
        return __atomic_compare_exchange_n((void **)p, &old, new_, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE); }
    static inline int atomic_cas64(uint64_t *p, uint64_t old, uint64_t new_) {
        return __atomic_compare_exchange_n(p, &old, new_, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE); }
    static inline int atomic_cas32(uint32_t *p, uint32_t old, uint32_t new_) {
        return __atomic_compare_exchange_n(p, &old, new_, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE); }
    """
    uint64_t atomic_add64(uint64_t *p, int64_t v) noexcept nogil    # answers the new value
    uint32_t atomic_add32(uint32_t *p, int v) noexcept nogil
    uint64_t atomic_load64(uint64_t *p) noexcept nogil
    uint32_t atomic_load32(uint32_t *p) noexcept nogil
    void atomic_store64(uint64_t *p, uint64_t v) noexcept nogil
    void atomic_store32(uint32_t *p, uint32_t v) noexcept nogil
    void atomic_fence() noexcept nogil
    void *atomic_loadp(void *p) noexcept nogil
    void atomic_storep(void *p, void *v) noexcept nogil
    void *atomic_swapp(void *p, void *v) noexcept nogil
    bint atomic_casp(void *p, void *old, void *new) noexcept nogil
    bint atomic_cas64(uint64_t *p, uint64_t old, uint64_t new) noexcept nogil
    bint atomic_cas32(uint32_t *p, uint32_t old, uint32_t new) noexcept nogil
