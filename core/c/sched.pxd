# How the kernel shares its CPUs among our threads.
cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #include <unistd.h>
    #include <sys/resource.h>
    #include <sys/syscall.h>
    /* A thread that asks for short slices is served sooner after it wakes, and gets no more in all (Linux 6.12;
       kernels before it ignore the slice). */
    static void ec_thread_prompt(void) {
        struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority; uint64_t runtime, deadline, period; } a;
        memset(&a, 0, sizeof a); a.size = sizeof a; a.runtime = 100000;
        a.nice = getpriority(PRIO_PROCESS, 0);
        syscall(SYS_sched_setattr, 0, &a, 0); }
    /* Of a thread whose work may wait for the others'. */
    static void ec_thread_patient(void) { setpriority(PRIO_PROCESS, syscall(SYS_gettid), getpriority(PRIO_PROCESS, 0) + 10); }
    """
    void thread_prompt "ec_thread_prompt"() noexcept nogil
    void thread_patient "ec_thread_patient"() noexcept nogil
